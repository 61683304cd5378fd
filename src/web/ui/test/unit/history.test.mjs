// Questions to the history are in the browser's time zone, or in the daemon's if it lacks that.

import assert from "node:assert/strict";
import { test } from "node:test";
import { history } from "../../src/api";

/** Answers as a daemon does that knows only its own zone; `asked` has the zones it was asked for. */
const daemon = (asked, isWrong) => async (address) => {
  const zone = new URL(address, "http://pi/").searchParams.get("tz");
  asked.push(zone);
  const refusal = isWrong ? "no such host" : zone === "local" ? "" : "unknown";
  return { ok: refusal === "", status: refusal === "" ? 200 : 400, text: async () => JSON.stringify({ error: refusal, zone }) };
};

test("the daemon's zone is used from the first time that it does not know the browser's", async () => {
  const wrong = [];
  globalThis.fetch = daemon(wrong, true);
  await assert.rejects(history({ what: "x" }), /no such host/);
  assert.deepEqual(wrong, ["Europe/Berlin", "local"]);
  const asked = [];
  globalThis.fetch = daemon(asked, false);
  assert.equal((await history({ what: "hosts" })).zone, "local");
  await history({ what: "hosts" });
  assert.deepEqual(asked, ["Europe/Berlin", "local", "local"]);
});
