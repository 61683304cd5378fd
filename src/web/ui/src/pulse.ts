// The heartbeat: fetches new numbers once a second, and keeps the last minutes of the network and
// of the one thing on show. It measures the age of its numbers by a monotonic clock: a daemon that
// hangs answers with old numbers, or not at all.

import { useEffect, useState } from "preact/hooks";
import { get, history, refresh, type Pulse } from "./api";
import { steady } from "./order";
import { type Kind } from "./route";
import { WAYS } from "./span";

/** Seconds in the live graph. */
export const WINDOW = 300;
/** Seconds over which the busiest hosts are averaged, to keep the list steady. */
const CALM = 10;
/** Listed busiest hosts. */
const LISTED = 10;
/** Milliseconds until an answer times out. */
const PATIENCE = 4_000;
/** Numbers this many seconds old are shown as outdated. New ones come each second. */
export const OLD = 4;

// Indexes of a second's columns; 0 is its start.
export const IN = 1;
export const OUT = 2;
export const INTERNAL = 3;
export const TRANSIT = 4;
export const NOT_IP = 5;
export const TCP = 6;
export const UDP = 7;
export const ICMP = 8;
export const OTHER = 9;
export const OTHER_THAN_IP = 10;

export interface Busy {
  addr: string;
  /** Bytes a second. */
  received: number;
  sent: number;
}

export interface Live {
  pulse?: Pulse;
  /** Recent seconds, oldest first: start, bytes by direction, packets by class. */
  seconds: number[][];
  /** Whether the daemon's older seconds have been loaded. */
  isWhole: boolean;
  /** The names of the busiest hosts, in a steady order. */
  busiest: string[];
  /** The hosts of the last seconds. */
  hosts: Map<string, Busy>;
  /** The last seconds of the one watched thing: start, then bytes in the order of WAYS. */
  one: number[][];
  /** Why there is no answer. */
  trouble?: string;
  /** When the daemon's last restart was noticed, Unix seconds. */
  restarted?: number;
}

let live: Live = { seconds: [], isWhole: false, busiest: [], hosts: new Map(), one: [] };
let recent: { start: number; seconds: number; rows: [string, number, number][] }[] = [];
let listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
let isRunning = false;
let failures = 0;
/** When the latest new numbers came (performance.now(), ms), and how old they were then (s). */
let fresh = { at: 0, age: 0 };

/** The one watched thing, and its latest counters. */
let subject: { kind: Kind; name: string; counters?: number[]; number?: number; time?: number } | undefined;

/** The age of the numbers, seconds. */
export const age = (): number => (live.pulse ? (performance.now() - fresh.at) / 1000 + fresh.age : 0);

/** When the daemon began to count, Unix seconds. */
export const since = (pulse: Pulse): number => pulse.time - pulse.uptime_seconds;

function hosts(): Map<string, Busy> {
  const span = recent.reduce((sum, part) => sum + part.seconds, 0) || 1;
  const found = new Map<string, Busy>();
  for (const { rows } of recent) {
    for (const [addr, received, sent] of rows) {
      const host = found.get(addr) ?? { addr, received: 0, sent: 0 };
      host.received += received / span;
      host.sent += sent / span;
      found.set(addr, host);
    }
  }
  return found;
}

/** The rate of the watched thing, from the growth of its counters. */
function one(pulse: Pulse): number[][] {
  if (!subject || pulse.one === undefined) return live.one;
  const { counters, number, time } = subject;
  subject = { ...subject, counters: pulse.one ?? undefined, number: pulse.number, time: pulse.time };
  const now = pulse.one;
  // Snapshots are made once a second; we may have missed some.
  const passed = number === undefined ? 0 : pulse.number - number;
  if (!now || passed === 0) return live.one;
  // A thing without a row until now has counted everything since then.
  const then = counters ?? (time === undefined ? undefined : now.map(() => 0));
  const grown = then && now.map((value, at) => (value - (then[at] ?? 0)) / Math.max(1, passed));
  // It was folded and came back, or the daemon has restarted.
  if (!grown || passed < 0 || grown.some((value) => value < 0)) return live.one;
  const last = live.one.at(-1)?.[0] ?? 0;
  const starts = Array.from({ length: Math.min(passed, 10) }, (_, at) => pulse.time - Math.min(passed, 10) + at);
  const rows = starts.filter((start) => start > last).map((start) => [start, ...grown]);
  return [...live.one, ...rows].filter(([start]) => (start ?? 0) > pulse.time - WINDOW - 2);
}

async function beat(): Promise<void> {
  const known = live.seconds.at(-1)?.[0];
  const asked = subject;
  // The first answer brings the seconds that the daemon remembers.
  const parameters: Record<string, string> = { since: String(known ?? 0), top: "50" };
  if (asked) Object.assign(parameters, { what: asked.kind, name: asked.name });
  const pulse = await get<Pulse>("pulse", parameters, 1, PATIENCE);
  const before = live.pulse;
  // The system's clock may step, but an uptime only falls at a restart.
  const isNew = before !== undefined && pulse.uptime_seconds < before.uptime_seconds;
  if (isNew || pulse.number !== before?.number) fresh = { at: performance.now(), age: pulse.age_seconds ?? 0 };
  const kept = isNew ? [] : live.seconds;
  if (isNew) recent = [];
  const last = kept.at(-1)?.[0] ?? -Infinity;
  const seconds = [...kept, ...pulse.seconds.filter((second) => (second[0] ?? 0) > last)];
  const { start, seconds: length, rows } = pulse.hosts;
  if (start !== null && rows !== null && length !== null && recent.at(-1)?.start !== start) {
    recent = [...recent, { start, seconds: length, rows }].slice(-CALM);
  }
  // After a clock is set back, old seconds are in the future.
  const isBack = (seconds.at(-1)?.[0] ?? 0) > pulse.time + 5;
  const busy = hosts();
  const rates = new Map([...busy].map(([addr, host]) => [addr, host.received + host.sent]));
  live = {
    pulse,
    seconds: (isBack ? pulse.seconds : seconds).slice(-WINDOW),
    isWhole: live.isWhole,
    hosts: busy,
    busiest: steady(isNew ? [] : live.busiest, rates, LISTED),
    one: asked === subject ? one(pulse) : live.one,
    restarted: isNew ? since(pulse) : live.restarted,
  };
  // Ask again for everything that failed in the meantime.
  if (isNew) refresh();
}

/** The minutes before the page was opened, from the tier of seconds, if there is one. */
async function past(kind: Kind, name?: string): Promise<number[][]> {
  try {
    const question: Record<string, string> = { what: kind, from: `${WINDOW + 10}s`, by: "second", points: "500" };
    if (name) question.name = name;
    const answer = await history(question);
    const series = (name ? answer.rows[0] : answer.total)?.series ?? {};
    return answer.points
      .map((point, at) => [Date.parse(point.start) / 1000, ...WAYS[kind].map((way) => (point.covered_seconds > 0 ? (series[`bytes${way}`]?.[at] ?? 0) : NaN))])
      .filter((second) => !Number.isNaN(second[1]));
  } catch {
    // There may be no tier of seconds: the graph fills as time goes by.
    return [];
  }
}

async function lookBack(): Promise<void> {
  const older = await past("interfaces");
  const first = live.seconds[0]?.[0] ?? Infinity;
  const whole = older.filter((second) => (second[0] ?? 0) < first).map((second) => [...second, ...[TCP, UDP, ICMP, OTHER, OTHER_THAN_IP].map(() => NaN)]);
  live = { ...live, isWhole: true, seconds: [...whole, ...live.seconds].slice(-WINDOW) };
  tell();
}

function tell(): void {
  for (const listener of listeners) listener();
}

async function run(): Promise<void> {
  try {
    const isFirst = live.pulse === undefined;
    await beat();
    if (failures > 1) refresh();
    failures = 0;
    if (isFirst) void lookBack();
  } catch (error) {
    failures += 1;
    // On Wi-Fi, a single lost answer means nothing.
    if (failures > 1 || live.pulse === undefined) {
      live = { ...live, trouble: error instanceof Error ? error.message : String(error) };
    }
  }
  tell();
  schedule();
}

function schedule(): void {
  clearTimeout(timer);
  isRunning = false;
  if (listeners.size === 0) return;
  if (document.hidden) {
    document.addEventListener("visibilitychange", seen, { once: true });
    return;
  }
  isRunning = true;
  // At the same phase of each second, so that delays do not add up.
  const wait = failures > 3 ? 3_000 : 1_000 - ((Date.now() + 500) % 1_000) || 1_000;
  timer = setTimeout(() => void run(), live.pulse === undefined && failures === 0 ? 0 : wait);
}

/** The page is visible again: the numbers are not outdated, nobody asked for them. */
function seen(): void {
  if (!document.hidden) fresh = { at: performance.now(), age: 0 };
  schedule();
}

/** The live numbers; redraws the component when they change. */
export function useLive(): Live {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    if (!isRunning) schedule();
    return () => void listeners.delete(listener);
  }, []);
  return live;
}

/** Watches one thing while the component is mounted. */
export function useOne(kind: Kind, name: string): void {
  useEffect(() => {
    const mine = { kind, name };
    subject = mine;
    live = { ...live, one: [] };
    void past(kind, name).then((older) => {
      if (subject?.kind !== kind || subject.name !== name) return;
      const first = live.one[0]?.[0] ?? Infinity;
      live = { ...live, one: [...older.filter((second) => (second[0] ?? 0) < first), ...live.one].slice(-WINDOW) };
      tell();
    });
    return () => {
      if (subject?.kind === kind && subject.name === name) subject = undefined;
    };
  }, [kind, name]);
}

/** The age of the numbers, seconds, if it is too high; checked twice a second without answers. */
export function useAge(): number | undefined {
  const [old, setOld] = useState<number | undefined>(undefined);
  useEffect(() => {
    const look = () => setOld(!document.hidden && age() >= OLD ? Math.floor(age()) : undefined);
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, []);
  return old;
}
