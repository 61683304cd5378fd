// Runs the tests that need no browser: bundles test/unit/*.test.mjs and runs them with Node's test
// runner, in a time zone whose days have 23, 24 and 25 hours.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const here = new URL("unit/", import.meta.url).pathname;
const out = mkdtempSync(join(tmpdir(), "brightstat-page-"));
try {
  const tests = readdirSync(here).filter((name) => name.endsWith(".test.mjs"));
  await build({
    entryPoints: tests.map((name) => join(here, name)),
    bundle: true,
    platform: "node",
    format: "esm",
    outdir: out,
    outExtension: { ".js": ".mjs" },
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".css": "empty" },
    logLevel: "warning",
  });
  const files = tests.map((name) => join(out, name));
  const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=dot", ...files], {
    stdio: "inherit",
    cwd: new URL("..", import.meta.url).pathname,
    env: { ...process.env, TZ: "Europe/Berlin", LC_ALL: "en_GB.UTF-8", LANG: "en_GB.UTF-8" },
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
