// Ticks of a time axis, by the calendar of the browser's time zone.
//
// Theory of operation: choose a step whose labels have room, then place ticks by the calendar's own
// fields (`new Date(year, month, day, hour)`), not by adding seconds: days of 23 and 25 hours, and
// months of any length, keep their ticks at midnight. (uPlot's own ticks add seconds to the first
// midnight, so they are off by one day after a day of 25 hours.)

import { tick } from "./format";

type Unit = "second" | "minute" | "hour" | "day" | "month" | "year";

interface Step {
  unit: Unit;
  many: number;
  /** Its approximate length, seconds. */
  length: number;
}

const LENGTH: Record<Unit, number> = { second: 1, minute: 60, hour: 3_600, day: 86_400, month: 2_629_746, year: 31_556_952 };
const STEPS: Step[] = (
  [
    ["second", [1, 2, 5, 10, 15, 30]],
    ["minute", [1, 2, 5, 10, 15, 30]],
    ["hour", [1, 2, 3, 6, 12]],
    ["day", [1, 2, 7, 14]],
    ["month", [1, 2, 3, 6]],
    ["year", [1, 2, 5, 10, 20, 50, 100]],
  ] as [Unit, number[]][]
).flatMap(([unit, all]) => all.map((many) => ({ unit, many, length: many * LENGTH[unit] })));

export interface Tick {
  /** Unix seconds. */
  at: number;
  label: string;
}

/** The last multiple of a step at or before a moment, as calendar fields. */
function start(from: number, { unit, many }: Step): Date {
  const date = new Date(from * 1000);
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  const down = (value: number) => value - (value % many);
  switch (unit) {
    case "year":
      return new Date(down(year), 0, 1);
    case "month":
      return new Date(year, down(month), 1);
    case "day":
      // Steps of days are counted from a Monday, so that they do not move as time passes.
      return new Date(year, month, day - ((Math.round(Date.UTC(year, month, day) / 86_400_000) + 3) % many));
    case "hour":
      return new Date(year, month, day, down(date.getHours()));
    case "minute":
      return new Date(year, month, day, date.getHours(), down(date.getMinutes()));
    case "second":
      return new Date(year, month, day, date.getHours(), date.getMinutes(), down(date.getSeconds()));
  }
}

function after(date: Date, { unit, many, length }: Step): Date {
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  switch (unit) {
    case "year":
      return new Date(year + many, 0, 1);
    case "month":
      return new Date(year, month + many, 1);
    case "day":
      return new Date(year, month, day + many);
    case "hour": {
      const next = new Date(year, month, day, date.getHours() + many);
      // An hour that the calendar repeats or skips.
      return next > date ? next : new Date(date.getTime() + length * 1000);
    }
    default:
      return new Date(date.getTime() + length * 1000);
  }
}

/** At most `most` ticks from one moment to another (Unix seconds), in order. */
export function timeTicks(from: number, to: number, most: number): Tick[] {
  const span = Math.max(1, to - from);
  const step = STEPS.find((step) => span / step.length <= most) ?? STEPS.at(-1)!;
  const found: Tick[] = [];
  for (let date = start(from, step); date.getTime() <= to * 1000; date = after(date, step)) {
    const at = date.getTime() / 1000;
    if (at >= from) found.push({ at, label: tick(at, step.length) });
  }
  return found;
}
