// The time axis follows the local calendar, through days of 23 and 25 hours.

import assert from "node:assert/strict";
import { test } from "node:test";
import { timeTicks } from "../../src/axis";

const at = (text) => new Date(text).getTime() / 1000;
const local = (seconds) => {
  const date = new Date(seconds * 1000);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes()];
};

test("the zone of these tests is the one that they are about", () => {
  assert.equal(new Date("2026-10-25T12:00:00").getTimezoneOffset(), -60);
  assert.equal(new Date("2026-10-24T12:00:00").getTimezoneOffset(), -120);
});

for (const [what, from, days] of [
  ["begins on a day of 25 hours", "2026-10-25T00:00:00", 7],
  ["begins within that day", "2026-10-25T02:30:00+01:00", 7],
  ["holds a day of 25 hours", "2026-10-22T00:00:00", 7],
  ["begins on a day of 23 hours", "2026-03-29T00:00:00", 7],
  ["holds a day of 23 hours", "2026-03-26T09:00:00", 7],
  ["is a month with both lengths of days before it", "2026-10-20T00:00:00", 31],
]) {
  test(`every day has one tick, at its midnight, with its date, in a span that ${what}`, () => {
    const begin = at(from);
    const end = begin + days * 86_400;
    const ticks = timeTicks(begin, end, 40);
    assert.ok(ticks.length >= days - 1, `${ticks.length} ticks`);
    const seen = new Set();
    for (const { at, label } of ticks) {
      const [, , day, hour, minute] = local(at);
      if (hour !== 0 || minute !== 0) continue;
      assert.match(label, new RegExp(`^${day}\\b|\\b${day}$`), label);
      assert.ok(!seen.has(label), `${label} twice`);
      seen.add(label);
    }
    // Each midnight within the span.
    let midnights = 0;
    for (let date = new Date(begin * 1000); date.getTime() <= end * 1000; date = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1)) {
      if (date.getHours() === 0 && date.getTime() >= begin * 1000) midnights += 1;
    }
    assert.equal(seen.size, midnights);
  });
}

test("the hours of a day of 25 hours are those of the clock", () => {
  const ticks = timeTicks(at("2026-10-25T00:00:00"), at("2026-10-26T00:00:00"), 10);
  const hours = ticks.map((tick) => local(tick.at)[3]);
  assert.deepEqual(hours, [0, 3, 6, 9, 12, 15, 18, 21, 0]);
  const each = timeTicks(at("2026-10-25T00:00:00"), at("2026-10-26T00:00:00"), 30);
  assert.ok(each.every((tick, place) => place === 0 || tick.at > each[place - 1].at), "in order");
});

test("no more ticks than there is room for, whatever the span", () => {
  for (const most of [2, 4, 6, 20]) {
    for (const length of [60, 300, 3_600, 86_400, 604_800, 2_678_400, 31_536_000, 10 * 31_536_000]) {
      const ticks = timeTicks(at("2025-11-25T10:17:33"), at("2025-11-25T10:17:33") + length, most);
      assert.ok(ticks.length <= most + 1 && ticks.length >= 1, `${length} s, ${most}: ${ticks.length}`);
    }
  }
});

test("months begin on their first day, and January tells the year", () => {
  const ticks = timeTicks(at("2025-11-25T00:00:00"), at("2026-11-25T00:00:00"), 6);
  assert.ok(ticks.every((tick) => local(tick.at)[2] === 1 && local(tick.at)[3] === 0));
  assert.ok(ticks.some((tick) => tick.label === "2026"), ticks.map((tick) => tick.label).join(" "));
});
