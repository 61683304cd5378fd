// screenshots.mjs URL DIRECTORY - pictures of every view: phone and desktop, light and dark.

import { DESKTOP, PHONE, start } from "./browser.mjs";

const [url, directory] = process.argv.slice(2);
const VIEWS = {
  now: "",
  "history-day": "#/history?range=day",
  "history-week": "#/history?range=week&compare=1&split=ports",
  "history-month": "#/history?range=month&split=interfaces",
  "history-hour": "#/history?range=hour&split=protocols",
  host: "#/host/192.168.1.10?range=week",
  status: "#/status",
};

const browser = await start();
for (const [device, options] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ ...options, colorScheme, locale: "en-GB", timezoneId: "Europe/London" });
    for (const [name, hash] of Object.entries(VIEWS)) {
      const page = await context.newPage();
      await page.goto(url + hash);
      // Wait until all answers are there and drawn.
      await page.waitForTimeout(3_000);
      await page.screenshot({ path: `${directory}/${name}-${device}-${colorScheme}.png`, fullPage: true });
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
