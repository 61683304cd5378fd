// The heartbeat: asks once a second for what is new, and keeps the last minutes.

import { useEffect, useState } from "preact/hooks";
import { get, history, type Pulse } from "./api";

/** Seconds that the live graph shows. */
export const WINDOW = 300;
/** Seconds over which the busiest hosts are averaged, so that the list is calm. */
const CALM = 10;

// Places of a second's columns, after its start.
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

export interface Live {
  pulse?: Pulse;
  /** Recent seconds, oldest first: start, bytes by direction, packets by class. */
  seconds: number[][];
  /** Whether what the daemon knows of the minutes before has been asked for. */
  isWhole: boolean;
  /** The busiest hosts: bytes a second in and out. */
  hosts: { addr: string; received: number; sent: number }[];
  /** Since when there has been no answer, and why. */
  trouble?: string;
  /** When the daemon was seen to have started anew, Unix seconds. */
  restarted?: number;
}

let live: Live = { seconds: [], isWhole: false, hosts: [] };
let recent: { start: number; seconds: number; rows: [string, number, number][] }[] = [];
let listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
let isRunning = false;
let failures = 0;

function busiest(): Live["hosts"] {
  const span = recent.reduce((sum, part) => sum + part.seconds, 0) || 1;
  const sums = new Map<string, [number, number]>();
  for (const { rows } of recent) {
    for (const [addr, received, sent] of rows) {
      const sum = sums.get(addr) ?? [0, 0];
      sums.set(addr, [sum[0] + received, sum[1] + sent]);
    }
  }
  return [...sums]
    .map(([addr, [received, sent]]) => ({ addr, received: received / span, sent: sent / span }))
    .sort((a, b) => b.received + b.sent - a.received - a.sent || (a.addr < b.addr ? -1 : 1))
    .slice(0, 10);
}

async function beat(): Promise<void> {
  const known = live.seconds.at(-1)?.[0];
  // The first answer brings the seconds that the daemon remembers.
  const since = known ?? 0;
  const pulse = await get<Pulse>("pulse", { since: String(since), top: "50" });
  const before = live.pulse;
  // The system's clock may step, but an uptime only falls with a new start.
  const isNew = before !== undefined && pulse.uptime_seconds < before.uptime_seconds;
  const kept = isNew ? [] : live.seconds;
  if (isNew) recent = [];
  const last = kept.at(-1)?.[0] ?? -Infinity;
  const seconds = [...kept, ...pulse.seconds.filter((second) => (second[0] ?? 0) > last)];
  const { start, seconds: length, rows } = pulse.hosts;
  if (start !== null && rows !== null && length !== null && recent.at(-1)?.start !== start) {
    recent = [...recent, { start, seconds: length, rows }].slice(-CALM);
  }
  // A clock that was set back leaves seconds of the future behind.
  const isBack = (seconds.at(-1)?.[0] ?? 0) > pulse.time + 5;
  live = {
    pulse,
    seconds: (isBack ? pulse.seconds : seconds).slice(-WINDOW),
    isWhole: live.isWhole,
    hosts: busiest(),
    restarted: isNew ? pulse.time - pulse.uptime_seconds : live.restarted,
  };
}

/** The minutes before the page was opened, from the tier of seconds, if there is one. */
async function lookBack(): Promise<void> {
  try {
    const past = await history({ what: "interfaces", from: `${WINDOW + 10}s`, by: "second", points: "500" });
    const first = live.seconds[0]?.[0] ?? Infinity;
    const series = past.total.series ?? {};
    const ways = ["_in", "_out", "_internal", "_transit", "_none"];
    const older = past.points
      .map((point, at) => [
        Date.parse(point.start) / 1000,
        ...ways.map((way) => series[`bytes${way}`]?.[at] ?? NaN),
        ...[TCP, UDP, ICMP, OTHER].map(() => NaN),
        NaN,
      ])
      .filter((second) => (second[0] ?? 0) < first && !Number.isNaN(second[IN]));
    live = { ...live, seconds: [...older, ...live.seconds].slice(-WINDOW) };
  } catch {
    // There may be no tier of seconds: the graph fills as time goes by.
  }
  live = { ...live, isWhole: true };
  tell();
}

function tell(): void {
  for (const listener of listeners) listener();
}

async function run(): Promise<void> {
  try {
    const isFirst = live.pulse === undefined;
    await beat();
    failures = 0;
    if (isFirst) void lookBack();
  } catch (error) {
    failures += 1;
    // One lost answer is nothing on Wi-Fi.
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
    document.addEventListener("visibilitychange", schedule, { once: true });
    return;
  }
  isRunning = true;
  // At the same place within each second, so that none is late twice.
  const wait = failures > 3 ? 5_000 : 1_000 - ((Date.now() + 500) % 1_000) || 1_000;
  timer = setTimeout(() => void run(), live.pulse === undefined && failures === 0 ? 0 : wait);
}

/** The live numbers, drawn anew as they come. */
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
