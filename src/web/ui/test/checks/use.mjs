// Tables, ranges, links and graphs behave as a person expects.

import assert from "node:assert/strict";
import { PHONE } from "../browser.mjs";
import { truth, check, open, close, seen, until, address, graphBox, csv, split, isKilo } from "../harness.mjs";

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
  // A search for digits of its volume does not find it.
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
  await page.getByRole("button", { name: "Compare with the week before" }).click();
  await address(page, /compare=1/);
  await seen(page, ".legend", /Download before/);
  await page.getByRole("button", { name: "Compare with the week before" }).click();
  await until(async () => !/Download before/.test(await page.locator(".legend").first().textContent()), () => "the line of before to go");
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
  await seen(page, "main .notice", /Nothing was recorded in this span/);
  await seen(page, ".legend", /not recorded/);
  await page.locator("input[name=to]").fill("2026-01-05T09:00");
  await page.getByRole("button", { name: "Show" }).click();
  await seen(page, ".pick .notice", /must end after it begins/);
  await address(page, /from=1767603600/);
  await page.getByRole("button", { name: "Zoom out" }).click();
  await address(page, /from=1767596400&to=1767618000/);
  await page.goBack();
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

await check("graphs can be read without seeing them, and without a mouse", async () => {
  const page = await open("#/history?range=hour");
  await page.locator(".plot canvas").waitFor();
  assert.match(await page.locator(".plot").getAttribute("aria-label"), /Download: .* on average, at most/);
  await page.locator(".plot").focus();
  await page.keyboard.press("ArrowLeft");
  await seen(page, ".chart [aria-live]", /Download .*, Upload /);
  await page.locator(".numbers summary").click();
  assert.ok((await page.locator(".numbers tbody tr").count()) > 10);
  const rows = await csv(page.locator(".numbers"));
  assert.ok(rows.length > 10 && rows.some((row) => row.in_bits_per_second > 0), JSON.stringify(rows[0]));
  // Tab reaches everything that a mouse does; its first stop is the link past the header.
  await page.reload();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent.trim()), "To the content");
  await close(page);
});

await check("a view that does not exist says so", async () => {
  const page = await open("#/nowhere");
  await seen(page, "h1", /There is no such view/);
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

await check("an address whose span ends before it begins says so", async () => {
  const page = await open("#/history?from=1767603600&to=1767596400");
  await seen(page, "main .notice", /must end after it begins.*last day is shown/);
  await close(page);
});

await check("today leads to today, and a peak tells when it was", async () => {
  const page = await open();
  await page.getByRole("link", { name: "Today" }).click();
  await address(page, /range=today/);
  assert.equal(await page.getByRole("button", { name: "Today" }).getAttribute("aria-pressed"), "true");
  await seen(page, ".number:has-text('Peak') small", /\d{1,2} \w{3}/);
  await page.getByRole("button", { name: "Compare with yesterday" }).click();
  await seen(page, ".note", /Dashed: yesterday, /);
  await close(page);
});

/** Passes the daemon's pulses through `change`, with their count and their parameters. */
async function pulses(page, change) {
  let count = 0;
  await page.route("**/api/v1/pulse*", async (route) => {
    const answer = await route.fetch();
    const pulse = await answer.json();
    await route.fulfill({ json: change(pulse, (count += 1), new URL(route.request().url()).searchParams) });
  });
}

await check("a busy host opens on what it does now, by the second", async () => {
  const name = Object.keys(truth.hosts)[0];
  const page = await open("#/nowhere");
  let counted = 0;
  let last = 0;
  await pulses(page, (pulse, _count, asked) => {
    // 5 MB received and 1 MB sent in each second.
    if (last > 0) counted += pulse.number - last;
    last = pulse.number;
    const busy = { ...pulse.hosts, start: pulse.number, seconds: 1, rows: [[name, 5e6, 1e6]] };
    const one = asked.get("name") === name ? { one: [1e9 + counted * 5e6, 1e9 + counted * 1e6] } : {};
    return { ...pulse, hosts: busy, ...one };
  });
  await page.evaluate(() => (location.hash = "#/"));
  await page.locator(".busiest tbody").getByRole("link", { name, exact: true }).click();
  await address(page, /^#\/host\/.*range=live/);
  await seen(page, ".number:has-text('Received now') b", /40\.0\sMbit\/s/);
  await seen(page, ".number:has-text('Sent now') b", /8\.00\sMbit\/s/);
  await page.locator(".numbers summary").click();
  const seconds = page.locator(".numbers tbody tr", { hasText: /40\.0\sMbit\/s/ });
  await until(async () => (await seconds.count()) >= 2, async () => `two seconds at 40 Mbit/s, saw ${await seconds.count()}`);
  const saved = (await csv(page.locator(".numbers"))).filter((row) => Math.abs(row.in_bits_per_second - 40e6) < 1);
  assert.ok(saved.length >= 2, `the file has ${saved.length} seconds at 40 Mbit/s`);
  // The history of the same host still shows its current rate.
  await page.getByRole("button", { name: "Hour" }).click();
  await seen(page, ".now-line", /Received 40\.0\sMbit\/s/);
  await close(page);
});

await check("the busiest keep their places while the rates allow, and while somebody points at them", async () => {
  const page = await open("#/nowhere");
  const names = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
  let isTurned = false;
  await pulses(page, (pulse, count) => {
    const rates = names.map((name, at) => [name, (isTurned ? 10 ** (at + 4) : 1e6 - at * 3e4) + ((count * (at + 3)) % 7) * 1e4, 0]);
    return { ...pulse, hosts: { ...pulse.hosts, start: pulse.number, seconds: 1, rows: rates } };
  });
  await page.evaluate(() => (location.hash = "#/"));
  const order = () => page.locator(".busiest tbody tr:not(.room) th").allTextContents();
  await page.locator(".busiest tbody tr").nth(3).waitFor();
  for (let second = 0; second < 6; second += 1) {
    assert.deepEqual(await order(), names, "jitter moves nobody");
    await page.waitForTimeout(1_000);
  }
  await page.locator(".busiest tbody tr").first().hover();
  isTurned = true;
  for (let second = 0; second < 12; second += 1) {
    // The pointer is still there.
    await page.mouse.move(300 + second, (await page.locator(".busiest tbody tr").first().boundingBox()).y + 8);
    await page.waitForTimeout(1_000);
    assert.deepEqual(await order(), names, "still while it is pointed at");
  }
  await page.mouse.move(5, 5);
  await until(async () => (await order())[0] === "192.0.2.4", async () => `the busiest to come first: ${await order()}`);
  await close(page);
});
