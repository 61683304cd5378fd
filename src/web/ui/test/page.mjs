// The page in a real browser against a real daemon that was fed a capture whose numbers are
// known. Run by tests/page.rs, which starts and stops the daemon when asked to (a word on
// stdout, "done" on stdin).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { DESKTOP, PHONE, start } from "./browser.mjs";

const { PAGE_URL, PAGE_TRUTH } = process.env;
const truth = JSON.parse(readFileSync(PAGE_TRUTH, "utf8"));
const locale = { locale: "en-GB", timezoneId: "Europe/Berlin" };
const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function daemon(what) {
  console.log(`daemon: ${what}`);
  const answer = await answers.next();
  assert.equal(answer.value, "done");
}

let failures = 0;
async function check(name, body) {
  try {
    await body();
    console.log(`ok: ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED: ${name}\n${error.stack ?? error}`);
  }
}

const browser = await start();
const problems = [];
const foreign = [];

/** A page of its own context, whose errors and foreign requests are kept. */
async function open(hash = "", options = {}) {
  const context = await browser.newContext({ ...DESKTOP, ...locale, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`${hash}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/ERR_CONNECTION|ERR_EMPTY|ERR_SOCKET/.test(message.text())) {
      problems.push(`${hash}: ${message.text()}`);
    }
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.origin !== new URL(PAGE_URL).origin) foreign.push(request.url());
  });
  await page.goto(PAGE_URL + hash);
  return page;
}

const close = (page) => page.context().close();
const api = async (path) => (await fetch(`${PAGE_URL}api/v1/${path}`)).json();

/** The text of the first element, once it matches. */
async function seen(page, selector, pattern) {
  const element = page.locator(selector).first();
  try {
    await element.filter({ hasText: pattern }).waitFor({ timeout: 15_000 });
  } catch {
    const text = await element.textContent({ timeout: 1_000 }).catch(() => "nothing");
    throw new Error(`expected ${selector} to show ${pattern}, saw: ${text}`);
  }
  return element.textContent();
}

/** Asks until it is so, for ten seconds. (Playwright's waitForFunction is stopped by the page's policy.) */
async function until(is, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await is()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain for ${await what()}`);
}

const address = (page, pattern) => until(() => pattern.test(new URL(page.url()).hash), () => `an address that matches ${pattern}; it is ${page.url()}`);

/** Where the graph is, once it stands still: it is made anew when its lines change. */
async function graphBox(page) {
  let box = null;
  await until(
    async () => {
      const before = box;
      box = await page.locator(".u-over").boundingBox();
      return box !== null && JSON.stringify(box) === JSON.stringify(before);
    },
    () => "the graph to stand still",
  );
  return box;
}

/** What "Download CSV" gives, as objects. */
async function csv(where) {
  const page = where.page?.() ?? where;
  const [download] = await Promise.all([page.waitForEvent("download"), where.getByRole("button", { name: "Download CSV" }).click()]);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\n").map((line) => line.split(","));
  const [head, ...rows] = lines;
  return rows.map((row) => Object.fromEntries(head.map((key, at) => [key, /^-?\d+(\.\d+)?$/.test(row[at]) ? Number(row[at]) : row[at]])));
}

/** The view of a split, once its table is there. */
async function split(kind, range = "hour") {
  const page = await open(`#/history?range=${range}&split=${kind}`);
  await page.locator("table tbody tr").first().waitFor();
  return page;
}

/** Bytes as the page writes some thousand of them. */
const kilo = (bytes) => `${new Intl.NumberFormat("en-GB", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 }).format(bytes / 1000)}\u00a0kB`;
const isKilo = (bytes) => new RegExp(`^${kilo(bytes).replaceAll(".", "\\.").replace("\u00a0", "\\s")}$`);
const sum = (rows, key) => rows.reduce((all, row) => all + row[key], 0);

await check("the daemon has counted the capture", async () => {
  const live = await api("live");
  assert.equal(live.totals.packets, truth.totals.frames);
  assert.equal(live.totals.bytes, truth.totals.wire);
  // History is made of minutes that have ended.
  for (let tries = 0; tries < 180; tries += 1) {
    const { total } = await api("history?what=ports&from=1h&by=none");
    if (total.packets === truth.totals.frames) return;
    await new Promise((done) => setTimeout(done, 500));
  }
  assert.fail("after 90 s the minute of the capture is not in the history");
});

await check("now: drops, hosts and the volume of today are those of the capture", async () => {
  const page = await open();
  await seen(page, ".tile:has-text('Dropped') .value", /^0$/);
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
  // A share is of the network's traffic, and what is in "other" and "not IP" is on every page.
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
  // The kernel's counters come with an answer of their own.
  await seen(page, "tbody tr td:nth-child(10)", /^\d+$/);
  const [row, ...more] = await csv(page);
  assert.equal(more.length, 0);
  assert.deepEqual([row.interface, row.packets, row.total, row.dropped], ["rx", truth.totals.frames, truth.totals.wire, 0]);
  assert.equal(row.bytes_in + row.bytes_out + row.bytes_inside, truth.totals.wire);
  assert.equal(typeof row.kernel_errors, "number");
  await close(page);
});

await check("tables are sorted, searched and paged", async () => {
  const page = await split("hosts");
  const first = () => page.locator("tbody tr td").first().textContent();
  const column = async (at) => (await csv(page)).filter((row) => row.host !== "none" && row.host !== "other").map((row) => Object.values(row)[at]);
  await page.getByRole("columnheader", { name: "Received" }).getByRole("button").click();
  assert.equal(await page.getByRole("columnheader", { name: "Received" }).getAttribute("aria-sort"), "descending");
  let values = await column(3);
  assert.deepEqual(values, [...values].sort((a, b) => b - a));
  await page.getByRole("columnheader", { name: "Received" }).getByRole("button").click();
  values = await column(3);
  assert.deepEqual(values, [...values].sort((a, b) => a - b));
  const top = await first();
  await page.getByRole("button", { name: "Next" }).click();
  await seen(page, ".pager", /2 of 3/);
  assert.notEqual(await first(), top);
  const [wanted] = Object.keys(truth.hosts).slice(-1);
  await page.getByRole("searchbox").fill(wanted);
  const found = await page.locator("tbody tr").count();
  assert.equal(found, Object.keys(truth.hosts).filter((host) => host.includes(wanted)).length);
  // The digits of its volume do not name it.
  await page.getByRole("searchbox").fill(String(truth.hosts[wanted].in_wire + truth.hosts[wanted].out_wire + 1_000_000).slice(1));
  await seen(page, ".empty", /Nothing here matches/);
  await page.getByRole("searchbox").fill("no such host");
  await seen(page, ".empty", /Nothing here matches/);
  await close(page);
});

await check("order, search and page of a table are in the address: a link and the way back keep them", async () => {
  const page = await split("hosts");
  const first = () => page.locator("tbody tr td").first().textContent();
  await page.getByRole("columnheader", { name: "Packets" }).getByRole("button").click();
  await page.getByRole("button", { name: "Next" }).click();
  await address(page, /sort=packets&page=2/);
  const top = await first();
  const shared = await open(new URL(page.url()).hash);
  await seen(shared, ".pager", /2 of 3/);
  assert.equal(await shared.locator("tbody tr td").first().textContent(), top);
  await close(shared);
  await page.getByRole("searchbox").fill("192.168");
  await address(page, /q=192\.168$/);
  assert.doesNotMatch(page.url(), /page=/, "a search begins with the first page");
  const rows = await page.locator("tbody tr").count();
  await page.locator("tbody tr td a").first().click();
  await address(page, /^#\/host\//);
  await page.goBack();
  await page.locator("tbody tr td a").first().waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "192.168");
  assert.equal(await page.locator("tbody tr").count(), rows);
  assert.equal(await page.getByRole("columnheader", { name: "Packets" }).getAttribute("aria-sort"), "descending");
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

await check("a host is opened by a click; back leads back; its address can be shared", async () => {
  const page = await split("hosts");
  const name = await page.locator("tbody tr td a").first().textContent();
  await page.locator("tbody tr td a").first().click();
  await seen(page, "h1", new RegExp(name.replaceAll(".", "\\.")));
  await address(page, /^#\/host\/.*range=hour/);
  const want = truth.hosts[name];
  await seen(page, ".number:has-text('Received') b", isKilo(want.in_wire));
  await seen(page, ".number:has-text('Sent') b", isKilo(want.out_wire));
  await seen(page, ".facts", /First seen/);
  const shared = await open(new URL(page.url()).hash, { colorScheme: "dark" });
  await seen(shared, "h1", new RegExp(name.replaceAll(".", "\\.")));
  await seen(shared, ".number:has-text('Received') b", isKilo(want.in_wire));
  await close(shared);
  await page.goBack();
  await address(page, /^#\/history\?.*split=hosts/);
  await page.locator("tbody tr td a").first().waitFor();
  await page.getByRole("button", { name: "Ports" }).click();
  await address(page, /split=ports/);
  await page.locator("tbody tr td a").first().click();
  await address(page, /^#\/port\/(tcp|udp)\/\d+/);
  await close(page);
});

await check("ranges: buttons, a drag over the graph, from and to, compared with before", async () => {
  const page = await open("#/history?range=hour");
  await page.locator(".plot canvas").waitFor();
  await page.getByRole("button", { name: "Week" }).click();
  await address(page, /range=week/);
  await page.getByRole("button", { name: "Compare with before" }).click();
  await address(page, /compare=1/);
  await seen(page, ".legend", /In before/);
  await page.getByRole("button", { name: "Compare with before" }).click();
  await until(async () => !/In before/.test(await page.locator(".legend").first().textContent()), () => "the line of before to go");
  const box = await graphBox(page);
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await address(page, /from=\d+&to=\d+|to=\d+.*from=\d+/);
  const dragged = new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
  const length = dragged.get("to") - dragged.get("from");
  assert.ok(Math.abs(length - 60_480) < 4_000, `a tenth of a week is 60480 s, dragged ${length}`);
  await page.locator(".pick summary").click();
  await page.locator("input[name=from]").fill("2026-01-05T10:00");
  await page.locator("input[name=to]").fill("2026-01-05T12:00");
  await page.getByRole("button", { name: "Show" }).click();
  await address(page, /from=1767603600/);
  await seen(page, ".notice", /Nothing was captured in this span/);
  await seen(page, ".legend", /not covered/);
  await page.getByRole("button", { name: "Earlier" }).click();
  await address(page, /from=1767596400/);
  await page.goBack();
  await address(page, /from=1767603600/);
  await close(page);
});

await check("a finger drags over the graph as a mouse does, and up and down still scrolls", async () => {
  const page = await open("#/history?range=week", PHONE);
  await page.locator(".u-over").waitFor();
  const session = await page.context().newCDPSession(page);
  const box = await graphBox(page);
  const drag = async (to) => {
    const from = { x: box.x + box.width * 0.2, y: box.y + box.height * 0.6 };
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [from] });
    for (let part = 1; part <= 10; part += 1) {
      const touchPoints = [{ x: from.x + (to.x * part) / 10, y: from.y + (to.y * part) / 10 }];
      await session.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints });
    }
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  };
  await drag({ x: 0, y: -120 });
  await until(() => page.evaluate(() => scrollY > 0), () => "the page to scroll");
  await address(page, /range=week/);
  await page.evaluate(() => scrollTo(0, 0));
  await drag({ x: box.width * 0.5, y: 0 });
  await address(page, /from=\d+&to=\d+/);
  const dragged = new URLSearchParams(new URL(page.url()).hash.split("?")[1]);
  const length = dragged.get("to") - dragged.get("from");
  assert.ok(Math.abs(length - 302_400) < 30_000, `half of a week is 302400 s, dragged ${length}`);
  await close(page);
});

await check("rates in bits or bytes, remembered", async () => {
  const page = await open("#/history?range=hour");
  await seen(page, ".number:has-text('Peak') b", /bit\/s/);
  await page.getByRole("button", { name: "B/s", exact: true }).click();
  await seen(page, ".number:has-text('Peak') b", /B\/s/);
  await page.reload();
  await seen(page, ".number:has-text('Peak') b", /B\/s/);
  await close(page);
});

await check("graphs can be read without seeing them, and without a mouse", async () => {
  const page = await open("#/history?range=hour");
  await page.locator(".plot canvas").waitFor();
  assert.match(await page.locator(".plot").getAttribute("aria-label"), /In: .* on average, at most/);
  await page.locator(".plot").focus();
  await page.keyboard.press("ArrowLeft");
  await seen(page, ".chart [aria-live]", /In .*, Out /);
  await page.locator(".numbers summary").click();
  assert.ok((await page.locator(".numbers tbody tr").count()) > 10);
  const rows = await csv(page.locator(".numbers"));
  assert.ok(rows.length > 10 && rows.some((row) => row.in_bits_per_second > 0), JSON.stringify(rows[0]));
  // Everything that a mouse reaches, Tab reaches: the first stop is the way past the header.
  await page.reload();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "To the content");
  await close(page);
});

const VIEWS = ["", "#/history?range=hour", "#/history?range=hour&split=ports&compare=1", "#/host/192.168.5.16?range=hour", "#/history?split=interfaces", "#/status", "#/nowhere"];

/** A small phone, and a laptop at 200 %: half of its pixels. */
const SMALL = { ...PHONE, viewport: { width: 360, height: 740 } };
const ZOOMED = { viewport: { width: 683, height: 384 }, deviceScaleFactor: 2 };

await check("no view is wider than a phone or a page at 200 %, no table either, and dark is dark", async () => {
  for (const options of [PHONE, SMALL, ZOOMED]) {
    for (const hash of VIEWS) {
      const page = await open(hash, options);
      await page.waitForTimeout(1_200);
      const [wide, room] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
      assert.ok(wide <= room, `${hash}: ${wide} pixels in ${room}`);
      const tables = await page.evaluate(() => [...document.querySelectorAll(".scroll")].map((box) => [box.scrollWidth, box.clientWidth]));
      for (const [wide, room] of tables) assert.ok(wide <= room, `${hash}: a table of ${wide} pixels in ${room}`);
      await close(page);
    }
  }
  const grounds = [];
  for (const colorScheme of ["light", "dark"]) {
    const page = await open("", { colorScheme });
    await page.locator("header").waitFor();
    grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    await close(page);
  }
  const light = grounds.map((color) => Math.max(...color.match(/\d+/g).map(Number)));
  assert.ok(light[0] > 200 && light[1] < 60, grounds.join(", "));
  const page = await open("#/status", { viewport: { width: 3840, height: 2160 } });
  await seen(page, "h1", /Status/);
  await close(page);
});

await check("axe finds nothing to complain of in any view, light, dark, wide or narrow", async () => {
  const wrong = [];
  for (const [device, options] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const hash of VIEWS) {
        // The page's policy forbids foreign scripts; axe is one.
        const page = await open(hash, { ...options, colorScheme, bypassCSP: true });
        await page.waitForTimeout(1_000);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        for (const { id, nodes } of violations) wrong.push(`${device} ${colorScheme} ${hash}: ${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
        await close(page);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

await check("a view that does not exist says so", async () => {
  const page = await open("#/nowhere");
  await seen(page, "h1", /There is no such view/);
  await close(page);
});

await check("the first view is one page, a script and a style sheet; a refresh is small", async () => {
  const context = await browser.newContext({ ...DESKTOP, ...locale });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  let wire = 0;
  const static_ = [];
  const pulses = [];
  const names = new Map();
  session.on("Network.requestWillBeSent", ({ requestId, request }) => names.set(requestId, new URL(request.url).pathname));
  session.on("Network.responseReceived", ({ requestId, response }) => names.set(requestId, new URL(response.url).pathname));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const name = names.get(requestId) ?? "?";
    wire += encodedDataLength;
    if (!name.startsWith("/api")) static_.push(`${name} ${encodedDataLength}`);
    else if (name === "/api/v1/pulse") pulses.push(encodedDataLength);
  });
  await page.goto(PAGE_URL);
  await seen(page, ".health", /Watching/);
  const first = wire;
  await page.waitForTimeout(4_000);
  console.log(`   first view: ${first} bytes on the wire (${static_.join(", ")}); refreshes: ${pulses.join(", ")}`);
  assert.ok(first <= 100_000, `${first} bytes`);
  assert.ok(static_.length <= 5, static_.join(", "));
  assert.ok(pulses.length >= 3 && pulses.slice(1).every((size) => size < 2_048), pulses.join(", "));
  await context.close();
});

await check("nothing moves where a person has asked for no motion", async () => {
  for (const [reducedMotion, moves] of [["no-preference", true], ["reduce", false]]) {
    const page = await open("#/status", { reducedMotion });
    await seen(page, "h1", /Status/);
    const durations = await page.evaluate(() => [...document.querySelectorAll("*")].map((e) => getComputedStyle(e)).flatMap((s) => [s.transitionDuration, s.animationDuration]));
    assert.equal(durations.some((each) => each.split(", ").some((time) => parseFloat(time) > 0)), moves, reducedMotion);
    await close(page);
  }
});

await check("a daemon that is away, and one that has started anew", async () => {
  const page = await open();
  await seen(page, ".health", /Watching/);
  await daemon("stop");
  await seen(page, ".notice.bad", /No connection.*does not answer/s);
  assert.equal(await page.locator(".tile").count(), 7, "the old numbers stay");
  await daemon("start");
  await seen(page, ".health", /Started anew at/);
  assert.equal(await page.locator(".notice.bad").count(), 0);
  // Who comes now sees that there was nothing before, unlike nothing going on.
  const late = await open();
  await seen(late, ".legend", /not covered/);
  await close(late);
  // What was counted before is in the history.
  const hosts = await split("hosts");
  const rows = await csv(hosts);
  assert.equal(sum(rows, "bytes_in"), truth.totals.wire);
  await close(hosts);
  await close(page);
});

await check("what its owner has to see to stands above every view, line by line", async () => {
  const page = await open("#/nowhere");
  const answer = await api("status");
  assert.deepEqual(answer.notices, []);
  await page.route("**/api/v1/status", (route) => route.fulfill({ json: { ...answer, notices: ["A mistake.\ncard.toml:7: mode: <b>wrong</b>"] } }));
  for (const view of ["", "#/status"]) {
    await page.goto("about:blank");
    await page.goto(PAGE_URL + view);
    await seen(page, ".notice.warn", /A mistake/);
    assert.equal(await page.locator(".notice.warn").first().innerText(), "A mistake.\ncard.toml:7: mode: <b>wrong</b>");
  }
  await close(page);
});

await check("no error in any console, and nothing was asked of any other host", async () => {
  assert.deepEqual(problems, []);
  assert.deepEqual(foreign, []);
});

await browser.close();
console.log(failures === 0 ? "all is well" : `${failures} checks failed`);
process.exit(failures === 0 ? 0 : 1);
