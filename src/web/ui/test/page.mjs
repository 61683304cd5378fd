// Tests the page in a real browser against a real daemon, fed with a capture whose numbers are
// known. tests/page.rs runs it, and starts and stops the daemon on request (a word on stdout,
// "done" on stdin).

import { browser, failures } from "./harness.mjs";

await import("./checks/numbers.mjs");
await import("./checks/use.mjs");
await import("./checks/looks.mjs");
await import("./checks/outage.mjs");

await browser.close();
console.log(failures() === 0 ? "all is well" : `${failures()} checks failed`);
process.exit(failures() === 0 ? 0 : 1);
