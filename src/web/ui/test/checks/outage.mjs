// A daemon that is down, hangs, or has notices for its owner.

import assert from "node:assert/strict";
import { truth, PAGE_URL, daemon, check, problems, foreign, open, close, api, seen, until, csv, split, sum } from "../harness.mjs";

await check("a daemon that is away, and one that has started anew", async () => {
  const page = await open();
  await seen(page, ".health", /Watching/);
  await daemon("stop");
  await seen(page, ".health.bad", /No connection.*does not answer/s);
  assert.equal(await page.locator(".tile").count(), 7, "the old numbers stay");
  await daemon("start");
  await seen(page, ".health", /Restarted at/);
  assert.equal(await page.locator(".health.bad").count(), 0);
  // A page opened now says "not recorded" for the time before, not zero.
  const late = await open();
  await seen(late, ".legend", /not recorded/);
  await close(late);
  // In its first minute it shows the traffic so far, and when the first point will be there.
  const young = await open("#/nowhere");
  await young.route("**/api/v1/history*", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, points: answer.points.map((point) => ({ ...point, covered_seconds: 0 })) } });
  });
  await young.evaluate(() => (location.hash = "#/history?range=hour"));
  await seen(young, "main .notice", /Recording since .* packets so far.*first point will be there at \d\d:\d\d/s);
  await close(young);
  // The history has what was counted before.
  const hosts = await split("hosts");
  const rows = await csv(hosts);
  assert.equal(sum(rows, "bytes_in"), truth.totals.wire);
  await close(hosts);
  await close(page);
});

await check("numbers that stand still, or do not come, are told to be old, and are new again by themselves", async () => {
  for (const how of ["stands", "hangs"]) {
    const page = await open();
    await seen(page, ".health", /Watching/);
    const frozen = await api("pulse?since=0&top=50");
    await page.route("**/api/v1/pulse*", (route) => (how === "stands" ? route.fulfill({ json: frozen }) : undefined));
    await seen(page, ".health.bad", /No new numbers for \d+\ss/);
    assert.equal(await page.locator("main.old .live").count() > 0, true, "the numbers are greyed");
    await page.unroute("**/api/v1/pulse*");
    await seen(page, ".health", /Watching/);
    assert.equal(await page.locator("main.old").count(), 0);
    await close(page);
  }
});

await check("a span that could not be answered is asked for again", async () => {
  const page = await open("#/nowhere");
  let isAway = true;
  await page.route("**/api/v1/history*", (route) => (isAway ? route.abort() : route.continue()));
  const now = Math.floor(Date.now() / 1000);
  await page.evaluate((hash) => (location.hash = hash), `#/history?from=${now - 7_200}&to=${now}`);
  await seen(page, "main .notice.bad", /does not answer/);
  isAway = false;
  await page.locator("table tbody tr").first().waitFor();
  await until(async () => (await page.locator("main .notice.bad").count()) === 0, () => "the complaint to go");
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
