// Shared by the checks of the page: the browser, the ground truth, and helpers.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { DESKTOP, start } from "./browser.mjs";

export const { PAGE_URL, PAGE_TRUTH } = process.env;
export const truth = JSON.parse(readFileSync(PAGE_TRUTH, "utf8"));
export const locale = { locale: "en-GB", timezoneId: "Europe/Berlin" };
export const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export async function daemon(what) {
  console.log(`daemon: ${what}`);
  const answer = await answers.next();
  assert.equal(answer.value, "done");
}

let failed = 0;
/** How many checks have failed. */
export const failures = () => failed;
export async function check(name, body) {
  try {
    await body();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n${error.stack ?? error}`);
    // An open page would keep asking, and fail later in the middle of another check.
    for (const page of browser.contexts().flatMap((context) => context.pages())) await close(page);
  }
}

export const browser = await start();
export const problems = [];
export const foreign = [];

/** A page in its own context; its errors and foreign requests are recorded. */
export async function open(hash = "", options = {}) {
  const context = await browser.newContext({ ...DESKTOP, ...locale, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(`${hash}: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/ERR_CONNECTION|ERR_EMPTY|ERR_SOCKET|ERR_FAILED/.test(message.text())) {
      problems.push(`${hash}: ${message.text()}`);
    }
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.origin !== new URL(PAGE_URL).origin) foreign.push(request.url());
  });
  await page.goto(hash === "about:blank" ? hash : PAGE_URL + hash);
  return page;
}

/** Closes a page, even if answers to it are still on their way through a route. */
export async function close(page) {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
}
export const api = async (path) => (await fetch(`${PAGE_URL}api/v1/${path}`)).json();

/** The text of the first element, once it matches. */
export async function seen(page, selector, pattern) {
  const element = page.locator(selector).first();
  try {
    await element.filter({ hasText: pattern }).waitFor({ timeout: 15_000 });
  } catch {
    const text = await element.textContent({ timeout: 1_000 }).catch(() => "nothing");
    throw new Error(`expected ${selector} to show ${pattern}, saw: ${text}`);
  }
  return element.textContent();
}

/** Polls `is` for ten seconds. (The page's policy blocks Playwright's waitForFunction.) */
export async function until(is, what) {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await is()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain for ${await what()}`);
}

export const address = (page, pattern) => until(() => pattern.test(new URL(page.url()).hash), () => `an address that matches ${pattern}; it is ${page.url()}`);

/** The bounds of the graph, once they are stable: it is created anew when its lines change. */
export async function graphBox(page) {
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

/** What "Download CSV" saves, as objects. Do not poll: Chromium drops all but ten a second. */
export async function csv(where) {
  const page = where.page?.() ?? where;
  const [download] = await Promise.all([page.waitForEvent("download"), where.getByRole("button", { name: "Download CSV" }).click()]);
  const lines = readFileSync(await download.path(), "utf8").trim().split("\n").map((line) => line.split(","));
  const [head, ...rows] = lines;
  return rows.map((row) => Object.fromEntries(head.map((key, at) => [key, /^-?\d+(\.\d+)?$/.test(row[at]) ? Number(row[at]) : row[at]])));
}

/** The view of a split, once its table is there. */
export async function split(kind, range = "hour") {
  const page = await open(`#/history?range=${range}&split=${kind}`);
  await page.locator("table tbody tr").first().waitFor();
  return page;
}

/** Bytes as the page shows some thousand of them. */
export const kilo = (bytes) => `${new Intl.NumberFormat("en-GB", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 }).format(bytes / 1000)}\u00a0kB`;
export const isKilo = (bytes) => new RegExp(`^${kilo(bytes).replaceAll(".", "\\.").replace("\u00a0", "\\s")}$`);
export const sum = (rows, key) => rows.reduce((all, row) => all + row[key], 0);

