// The span of time that an address selects, and what is counted in it.

import { type HistoryRow } from "./api";
import { duration } from "./format";
import { type Kind } from "./route";

/** The ranges to choose from: key, name, seconds, and the name of the range before. */
export const RANGES: [string, string, number, string][] = [
  ["hour", "Hour", 3_600, "the hour before"],
  ["today", "Today", 86_400, "yesterday"],
  ["day", "Day", 86_400, "the day before"],
  ["week", "Week", 604_800, "the week before"],
  ["month", "Month", 2_678_400, "the month before"],
  ["year", "Year", 31_536_000, "the year before"],
];
/** The range that shows the last minutes of one thing, by the second. */
export const LIVE = "live";
/** The ways to split traffic. */
export const SPLITS: [Kind, string][] = [
  ["hosts", "Hosts"],
  ["ports", "Ports"],
  ["protocols", "Protocols"],
  ["interfaces", "Interfaces"],
];
/** What is counted separately: the suffixes of a row's keys. */
export const WAYS: Record<Kind, string[]> = {
  hosts: ["_in", "_out"],
  ports: [""],
  protocols: [""],
  interfaces: ["_in", "_out", "_internal", "_transit", "_none"],
};
/** A span of time to ask for. */
export interface Span {
  key: string;
  /** The range, if it is one. */
  range?: string;
  /** In the API's syntax. */
  from: string;
  to: string;
  /** The previous span of the same length, and its name. */
  before: { from: string; to: string };
  beforeName: string;
  length: number;
  /** Whether it ends now, and so moves on. */
  isMoving: boolean;
  /** What is wrong with the address, for people. */
  problem?: string;
}

/** The span that an address selects; a day by default. */
export function span(parameters: URLSearchParams, now = Date.now() / 1000): Span {
  const [from, to] = [Number(parameters.get("from")), Number(parameters.get("to"))];
  const isFixed = parameters.has("from") && parameters.has("to");
  if (isFixed && Number.isFinite(from) && Number.isFinite(to) && from > 0 && to > from) {
    const length = to - from;
    const before = { from: `@${from - length}`, to: `@${from}` };
    return { key: `${from}-${to}`, from: `@${from}`, to: `@${to}`, before, beforeName: `the ${duration(length)} before`, length, isMoving: false };
  }
  const problem = isFixed ? BACKWARDS : undefined;
  // In the live view, the rest of the page shows the last hour.
  const wanted = parameters.get("range") === LIVE ? "hour" : parameters.get("range");
  const [range, , length, beforeName] = RANGES.find(([key]) => key === wanted) ?? RANGES[2]!;
  if (range === "today") {
    const date = new Date(now * 1000);
    const midnight = (back: number) => new Date(date.getFullYear(), date.getMonth(), date.getDate() - back).getTime() / 1000;
    const length = Math.max(60, now - midnight(0));
    // Until the same time yesterday.
    const before = { from: `@${midnight(1)}`, to: `@${Math.min(midnight(0), Math.round(midnight(1) + length))}` };
    return { key: `today ${midnight(0)}`, range, from: `@${midnight(0)}`, to: "now", before, beforeName, length, isMoving: true, problem };
  }
  const before = { from: `${2 * length}s`, to: `${length}s` };
  return { key: range, range, from: `${length}s`, to: "now", before, beforeName, length, isMoving: true, problem };
}

/** The complaint about a span that ends before it begins. */
export const BACKWARDS = "A span must end after it begins: “from” has to be before “to”.";

/** Seconds between two answers of a span, if it moves. */
export const every = (asked: Span): number | undefined => (asked.isMoving ? (asked.length <= 3_600 ? 15 : 60) : undefined);

/** RFC 3339 to Unix seconds. */
export const seconds = (text: string) => Date.parse(text) / 1000;
/** A number of a row; 0 if it has none. */
export const number = (row: HistoryRow | undefined, key: string) => Number(row?.[key] ?? 0);
/** A count of a row, summed over its WAYS. */
export const sum = (row: HistoryRow | undefined, what: string, ways: string[]) => ways.reduce((all, way) => all + number(row, `${what}${way}`), 0);

/**
 * A row's bytes, and the bytes that its share is of: the network's traffic, so that a host that
 * takes part in all of it has 100 %. Each frame has two hosts, so the shares of hosts add up to
 * more. A frame without a host (not IP) is counted on both sides, but once here.
 */
export function share(kind: Kind, row: HistoryRow & { rest?: string }, total: HistoryRow): [part: number, whole: number] {
  if (kind !== "hosts") return [sum(row, "bytes", WAYS[kind]), sum(total, "bytes", WAYS[kind])];
  const whole = Math.max(number(total, "bytes_in"), number(total, "bytes_out"));
  const part = row.rest === "none" ? Math.max(number(row, "bytes_in"), number(row, "bytes_out")) : sum(row, "bytes", WAYS.hosts);
  return [Math.min(part, whole), whole];
}

/** The singular of each kind. */
export const NOUN: Record<Kind, string> = { hosts: "host", ports: "port", protocols: "protocol", interfaces: "interface" };
