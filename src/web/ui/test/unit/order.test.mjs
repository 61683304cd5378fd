// The list of the busiest keeps its order while the rates allow.

import assert from "node:assert/strict";
import { test } from "node:test";
import { steady } from "../../src/order";

const rates = (values) => new Map(Object.entries(values));

test("the first order is by rate", () => {
  assert.deepEqual(steady([], rates({ a: 1, b: 3, c: 2, d: 0 }), 10), ["b", "c", "a"]);
});

test("rates that jitter by a tenth do not move a row", () => {
  let order = steady([], rates({ a: 100, b: 98, c: 96, d: 50 }), 10);
  const first = [...order];
  for (let second = 0; second < 60; second += 1) {
    const jitter = (value, phase) => value * (1 + 0.1 * Math.sin(second * 2.1 + phase));
    order = steady(order, rates({ a: jitter(100, 0), b: jitter(98, 2), c: jitter(96, 4), d: jitter(50, 1) }), 10);
    assert.deepEqual(order, first, `second ${second}`);
  }
});

test("who is clearly busier rises, past everybody it is busier than", () => {
  assert.deepEqual(steady(["a", "b", "c"], rates({ a: 100, b: 90, c: 131 }), 10), ["c", "a", "b"]);
  assert.deepEqual(steady(["a", "b", "c"], rates({ a: 100, b: 90, c: 120 }), 10), ["a", "c", "b"]);
});

test("a newcomer takes the place of the quietest only if it is clearly busier", () => {
  assert.deepEqual(steady(["a", "b"], rates({ a: 100, b: 50, c: 60 }), 2), ["a", "b"]);
  assert.deepEqual(steady(["a", "b"], rates({ a: 100, b: 50, c: 70 }), 2), ["a", "c"]);
  assert.deepEqual(steady(["a", "b"], rates({ a: 100, c: 70 }), 2), ["a", "c"], "who is gone makes room");
});
