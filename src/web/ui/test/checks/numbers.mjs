// The page shows exactly what was captured.

import assert from "node:assert/strict";
import { truth, check, open, close, api, seen, csv, split, kilo, isKilo, sum } from "../harness.mjs";

await check("the daemon has counted the capture", async () => {
  const live = await api("live");
  assert.equal(live.totals.packets, truth.totals.frames);
  assert.equal(live.totals.bytes, truth.totals.wire);
  // The history consists of minutes that have ended.
  for (let tries = 0; tries < 180; tries += 1) {
    const { total } = await api("history?what=ports&from=1h&by=none");
    if (total.packets === truth.totals.frames) return;
    await new Promise((done) => setTimeout(done, 500));
  }
  assert.fail("after 90 s the minute of the capture is not in the history");
});

await check("now: missed packets, hosts and the volume of today are those of the capture", async () => {
  const page = await open();
  await seen(page, ".tile:has-text('Missed packets') .value", /^0$/);
  await seen(page, ".tile:has(h2:text-is('Active hosts')) .note", new RegExp(`of ${Object.keys(truth.hosts).length} seen`));
  await seen(page, ".tile:has-text('Today') .value", isKilo(truth.totals.wire));
  await page.locator(".plot canvas").waitFor();
  await seen(page, ".health", /Watching for/);
  await close(page);
});

await check("hosts: every row of the download is the ground truth's, and the page shows the busiest", async () => {
  const page = await split("hosts");
  const rows = await csv(page);
  const named = rows.filter((row) => row.host !== "other" && row.host !== "none");
  assert.equal(named.length, Object.keys(truth.hosts).length);
  for (const row of named) {
    const want = truth.hosts[row.host];
    assert.ok(want, `${row.host} is not in the capture`);
    assert.deepEqual([row.bytes_in, row.bytes_out, row.packets], [want.in_wire, want.out_wire, want.in_pkts + want.out_pkts], row.host);
  }
  assert.equal(sum(rows, "bytes_in"), truth.totals.wire, "rows + other + none are all received bytes");
  assert.equal(sum(rows, "bytes_out"), truth.totals.wire);
  // The API says the same.
  const answer = await api("history?what=hosts&from=1h&by=none&top=1000");
  assert.equal(answer.count, named.length);
  assert.deepEqual(answer.rows.map((row) => row.addr).sort(), named.map((row) => row.host).sort());
  // On screen: busiest first.
  const busiest = Object.entries(truth.hosts).sort(([, a], [, b]) => b.in_wire + b.out_wire - a.in_wire - a.out_wire)[0];
  assert.equal(await page.locator("tbody tr td").first().textContent(), busiest[0]);
  const shown = await page.locator("tbody tr").first().locator("td").nth(3).textContent();
  assert.equal(shown, kilo(busiest[1].in_wire));
  // A share is of the network's traffic, and "other" and "not IP" are on every page of the table.
  const share = new Intl.NumberFormat("en-GB", { style: "percent", minimumFractionDigits: 1 }).format;
  const part = Math.round(((busiest[1].in_wire + busiest[1].out_wire) / truth.totals.wire) * 1_000) / 1_000;
  assert.equal(await page.locator("tbody tr").first().locator(".share > span").textContent(), share(part));
  const rest = rows.filter((row) => ["other", "none"].includes(row.host)).length;
  assert.equal(await page.locator("tbody tr.rest").count(), rest);
  if (rest > 0) await seen(page, "tbody tr.rest .word", /kept together|no IP address/);
  await close(page);
});

await check("ports and protocols: every row is the ground truth's", async () => {
  let page = await split("ports");
  let rows = await csv(page);
  const ports = {};
  for (const transport of ["tcp", "udp"]) {
    for (const [port, row] of Object.entries(truth[`${transport}_service`])) ports[`${transport}/${port}`] = [row.pkts, row.wire];
  }
  const named = rows.filter((row) => !["other", "none"].includes(row.port));
  assert.deepEqual(Object.fromEntries(named.map((row) => [row.port, [row.packets, row.total]]).sort()), Object.fromEntries(Object.entries(ports).sort()));
  assert.equal(sum(rows, "total"), truth.totals.wire);
  assert.match(await page.locator("table").textContent(), /HTTP/);
  await close(page);
  page = await split("protocols");
  rows = await csv(page);
  const name = { 6: "tcp", 17: "udp", 1: "icmp", 2: "igmp", 58: "icmpv6" };
  for (const [number, want] of Object.entries(truth.proto)) {
    const row = rows.find((row) => row.protocol === name[number]);
    assert.deepEqual([row?.packets, row?.total], [want.pkts, want.wire], name[number]);
  }
  assert.equal(sum(rows, "total"), truth.totals.wire);
  await seen(page, ".facts", /TCP retransmissions/);
  await close(page);
});

await check("interfaces: the whole traffic, with the link and the kernel's counters", async () => {
  const page = await split("interfaces");
  // The kernel's counters come in a separate answer.
  await seen(page, "tbody tr td:nth-child(10)", /^\d+$/);
  const [row, ...more] = await csv(page);
  assert.equal(more.length, 0);
  assert.deepEqual([row.interface, row.packets, row.total, row.dropped], ["rx", truth.totals.frames, truth.totals.wire, 0]);
  assert.equal(row.bytes_in + row.bytes_out + row.bytes_inside, truth.totals.wire);
  assert.equal(typeof row.kernel_errors, "number");
  await close(page);
});

await check("a host's ports and protocols are all of its traffic", async () => {
  const [name, want] = Object.entries(truth.hosts).sort(([, a], [, b]) => b.in_wire + b.out_wire - a.in_wire - a.out_wire)[0];
  const page = await open(`#/host/${name}?range=hour`);
  const { services, other_services } = await api(`hosts?name=${name}`);
  assert.ok(services.length > 0);
  for (const kind of ["Ports", "Protocols"]) {
    const table = page.getByRole("region", { name: `${kind} of ${name}` });
    await table.locator("tbody tr").first().waitFor();
    const rows = await csv(table);
    assert.equal(sum(rows, "bytes_in"), want.in_wire, `${kind}: rows + other + without a port = the host`);
    assert.equal(sum(rows, "bytes_out"), want.out_wire);
    assert.equal(sum(rows, "packets"), want.in_pkts + want.out_pkts);
    if (kind === "Ports") {
      const named = rows.filter((row) => !["other", "none"].includes(row.port)).map((row) => [row.port, row.bytes_in, row.bytes_out]);
      const expected = services.filter((row) => row.port !== null).map((row) => [`${row.protocol}/${row.port}`, row.bytes_in, row.bytes_out]);
      assert.deepEqual(named.sort(), expected.sort());
    }
  }
  assert.equal(other_services.packets_in + other_services.packets_out, 0, "few flows are alive: every packet is in a row");
  await close(page);
});

await check("a port's page lists the hosts that used it in the span", async () => {
  const [port, want] = Object.entries(truth.tcp_service).sort(([, a], [, b]) => b.wire - a.wire)[0];
  const page = await open(`#/port/tcp/${port}?range=hour`);
  const table = page.getByRole("region", { name: `Hosts of tcp/${port}` });
  await table.locator("tbody tr").first().waitFor();
  const rows = await csv(table);
  assert.ok(rows.length >= 1 && rows.every((row) => truth.hosts[row.host]), JSON.stringify(rows[0]));
  // The history has the services of local hosts; one end of each of these packets is local.
  assert.ok(rows.every((row) => row.where === "local"), JSON.stringify(rows));
  assert.equal(sum(rows, "bytes_in") + sum(rows, "bytes_out"), want.wire);
  await close(page);
});
