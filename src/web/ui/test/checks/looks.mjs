// Every view on every device: width, contrast, size of the download, motion.

import assert from "node:assert/strict";
import { DESKTOP, PHONE } from "../browser.mjs";
import { truth, PAGE_URL, axe, locale, check, browser, foreign, open, close, seen } from "../harness.mjs";

const VIEWS = ["", "#/history?range=hour", "#/history?range=hour&split=ports&compare=1", `#/host/${Object.keys(truth.hosts)[0]}?range=hour`, "#/history?split=interfaces", "#/status", "#/nowhere"];

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

await check("nothing jumps while a view loads: layout shift below 0.05", async () => {
  const wrong = [];
  for (const [device, options] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    for (const hash of VIEWS) {
      const page = await open("about:blank", options);
      await page.addInitScript(() => {
        window.shifts = [];
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            if (entry.hadRecentInput) continue;
            window.shifts.push([entry.value, ...entry.sources.map(({ node }) => `${node?.nodeName}.${node?.className ?? node?.textContent}`)]);
          }
        }).observe({ type: "layout-shift", buffered: true });
      });
      await page.goto(PAGE_URL + hash);
      await page.waitForTimeout(4_000);
      const shifts = await page.evaluate(() => window.shifts);
      const sum = shifts.reduce((all, [value]) => all + value, 0);
      if (sum >= 0.05) wrong.push(`${device} ${hash}: ${sum.toFixed(3)}: ${JSON.stringify(shifts)}`);
      await close(page);
    }
  }
  assert.deepEqual(wrong, []);
});

await check("the labels of the axis of time neither overlap nor are cut", async () => {
  for (const options of [PHONE, SMALL, DESKTOP]) {
    for (const range of ["hour", "day", "week", "month", "year"]) {
      const page = await open("about:blank", options);
      // Records what is drawn, and where.
      await page.addInitScript(() => {
        window.drawn = [];
        const { fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
          const matrix = this.getTransform();
          const wide = this.measureText(text).width * matrix.a;
          const left = (this.textAlign === "center" ? x - this.measureText(text).width / 2 : x) * matrix.a + matrix.e;
          if (this.textAlign === "center") window.drawn.push({ text, left, right: left + wide, y: Math.round(y), room: this.canvas.width });
          return fillText.apply(this, arguments);
        };
      });
      await page.goto(`${PAGE_URL}#/history?range=${range}`);
      await page.locator(".plot canvas").waitFor();
      await page.waitForTimeout(500);
      const drawn = await page.evaluate(() => window.drawn);
      const labels = [...new Map(drawn.map((each) => [`${each.text} ${each.left}`, each])).values()].sort((a, b) => a.left - b.left);
      const last = labels.filter((each) => each.y === labels.at(-1).y);
      assert.ok(last.length >= 2, `${range}: ${JSON.stringify(labels)}`);
      const latest = new Map(last.map((each) => [each.text, each]));
      const shown = [...latest.values()].sort((a, b) => a.left - b.left);
      shown.forEach((each, at) => {
        assert.ok(each.left >= 0 && each.right <= each.room, `${range}: ${each.text} is cut: ${JSON.stringify(each)}`);
        const next = shown[at + 1];
        assert.ok(!next || each.right < next.left, `${range}: ${each.text} overlaps ${next?.text}`);
      });
      await close(page);
    }
  }
});

await check("on paper there is a page, not its buttons; chosen colours keep the legend apart", async () => {
  const page = await open("#/history?range=hour", { colorScheme: "dark" });
  await page.locator("table tbody tr").first().waitFor();
  await page.emulateMedia({ media: "print" });
  const pressed = await page.locator("button:visible, summary:visible, input:visible, nav:visible").evaluateAll((all) => all.filter((e) => !e.closest("thead")).map((e) => e.outerHTML));
  assert.deepEqual(pressed, []);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
  await seen(page, "h1", /./);
  assert.ok(await page.locator(".plot canvas").isVisible());
  await page.emulateMedia({ media: "screen", forcedColors: "active" });
  const colors = await page.locator(".legend .key i").evaluateAll((all) => all.map((e) => getComputedStyle(e).borderTopColor));
  assert.ok(new Set(colors.slice(0, 3)).size === 3, `the legend's colours: ${colors}`);
  await close(page);
});

await check("the page speaks a person's language in every view", async () => {
  for (const hash of VIEWS) {
    const page = await open(hash);
    await page.waitForTimeout(1_200);
    const text = await page.locator("body").innerText();
    for (const word of [/not covered/i, /\bdropped\b/i, /\binside\b/i, /since the start/i, /EN10MB/, /\bcaptur/i]) {
      assert.doesNotMatch(text, word, `${hash} says ${word}`);
    }
    await close(page);
  }
});
