// Spans of time that an address selects, and what is shown soon after a start.

import assert from "node:assert/strict";
import { test } from "node:test";
import { firstPoint } from "../../src/beginning";
import { reach } from "../../src/draw";
import { peak } from "../../src/graph";
import { span } from "../../src/span";

const of = (query, now) => span(new URLSearchParams(query), now);
const at = (text) => new Date(text).getTime() / 1000;

test("today is from midnight by the calendar, compared with the same part of yesterday", () => {
  // A day of 25 hours: at noon 13 hours have passed.
  const now = at("2026-10-25T12:00:00");
  const today = of("range=today", now);
  assert.equal(today.from, `@${at("2026-10-25T00:00:00")}`);
  assert.equal(today.length, 13 * 3_600);
  assert.equal(today.before.from, `@${at("2026-10-24T00:00:00")}`);
  assert.equal(today.before.to, `@${at("2026-10-24T13:00:00")}`);
  assert.ok(today.isMoving && today.range === "today");
});

test("a span that ends before it begins is not shown as if nothing were wrong", () => {
  assert.match(of("from=200&to=100").problem, /must end after it begins/);
  assert.equal(of("from=100&to=200").problem, undefined);
  assert.equal(of("range=week").problem, undefined);
});

test("what is compared has a name", () => {
  assert.equal(of("range=week").beforeName, "the week before");
  assert.equal(of("from=100000&to=107200").beforeName.replaceAll("\u00a0", " "), "the 2 h before");
});

test("live is no span of history: the rest of the page shows an hour", () => {
  assert.equal(of("range=live").range, "hour");
});

test("the first point is there when the minute of the start has ended", () => {
  for (const start of ["00:54:10", "00:54:00", "00:54:59"]) {
    const first = firstPoint(at(`2026-11-25T${start}`));
    assert.ok(first > at("2026-11-25T00:55:00") && first <= at("2026-11-25T00:56:05"), start);
  }
});

const line = (values, more = {}) => ({ key: "in", label: "", color: "", values, ...more });

test("one burst does not hide the rest, and its peak is known", () => {
  const values = Array.from({ length: 100 }, (_, n) => 1e6 + n * 1e3);
  const greatest = values.map((value, n) => (n === 40 ? 500e6 : 2 * value));
  const series = [line(values, { greatest })];
  const { high, isCut } = reach(series, true);
  assert.ok(isCut && high < 10e6 && high > 1.1e6, `${high}`);
  const times = values.map((_, n) => n * 60);
  assert.deepEqual(peak(series, times, 60), { at: 40 * 60 + 30, value: 500e6, isBelow: false });
  // If all values are of similar size, nothing is cut.
  assert.equal(reach([line(values, { greatest: values.map((v) => 2 * v) })], true).isCut, false);
  assert.equal(reach([line(values.map((v, n) => (n % 5 ? v : 20 * v)))], true).isCut, false, "a fifth is no burst");
});
