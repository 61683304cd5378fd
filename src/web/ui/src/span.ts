// The span of time that an address names, and what is counted in it.

import { type HistoryRow } from "./api";
import { type Kind } from "./route";

/** The ranges to choose from: key, name, seconds. */
export const RANGES: [string, string, number][] = [
  ["hour", "Hour", 3_600],
  ["day", "Day", 86_400],
  ["week", "Week", 604_800],
  ["month", "Month", 2_678_400],
  ["year", "Year", 31_536_000],
];
/** What traffic is split by. */
export const SPLITS: [Kind, string][] = [
  ["hosts", "Hosts"],
  ["ports", "Ports"],
  ["protocols", "Protocols"],
  ["interfaces", "Interfaces"],
];
/** What is counted apart: the endings of the keys of a row. */
export const WAYS: Record<Kind, string[]> = {
  hosts: ["_in", "_out"],
  ports: [""],
  protocols: [""],
  interfaces: ["_in", "_out", "_internal", "_transit", "_none"],
};
/** A span of time to ask for. */
export interface Span {
  key: string;
  /** As the API takes them. */
  from: string;
  to: string;
  /** The same span, before. */
  before: { from: string; to: string };
  length: number;
  /** Whether it ends now, and so moves on. */
  isMoving: boolean;
}

/** The span that an address names; a day if it names none. */
export function span(parameters: URLSearchParams): Span {
  const [from, to] = [Number(parameters.get("from")), Number(parameters.get("to"))];
  if (Number.isFinite(from) && Number.isFinite(to) && from > 0 && to > from) {
    const length = to - from;
    const before = { from: `@${from - length}`, to: `@${from}` };
    return { key: `${from}-${to}`, from: `@${from}`, to: `@${to}`, before, length, isMoving: false };
  }
  const [key, , length] = RANGES.find(([key]) => key === parameters.get("range")) ?? RANGES[1]!;
  const before = { from: `${2 * length}s`, to: `${length}s` };
  return { key, from: `${length}s`, to: "now", before, length, isMoving: true };
}

/** RFC 3339 to Unix seconds. */
export const seconds = (text: string) => Date.parse(text) / 1000;
/** A number of a row; 0 if it has none. */
export const number = (row: HistoryRow | undefined, key: string) => Number(row?.[key] ?? 0);
/** A count of a row, over what is counted apart. */
export const sum = (row: HistoryRow | undefined, what: string, ways: string[]) => ways.reduce((all, way) => all + number(row, `${what}${way}`), 0);

/**
 * The bytes that a row's share is of, and those of the row: of the network's traffic, so that a
 * host that takes part in all of it has 100 %. Each frame has two hosts, so that the shares of
 * hosts add up to more. A frame without a host (not IP) is counted on both sides, once here.
 */
export function share(kind: Kind, row: HistoryRow & { rest?: string }, total: HistoryRow): [part: number, whole: number] {
  if (kind !== "hosts") return [sum(row, "bytes", WAYS[kind]), sum(total, "bytes", WAYS[kind])];
  const whole = Math.max(number(total, "bytes_in"), number(total, "bytes_out"));
  const part = row.rest === "none" ? Math.max(number(row, "bytes_in"), number(row, "bytes_out")) : sum(row, "bytes", WAYS.hosts);
  return [Math.min(part, whole), whole];
}

/** One of them. */
export const NOUN: Record<Kind, string> = { hosts: "host", ports: "port", protocols: "protocol", interfaces: "interface" };
