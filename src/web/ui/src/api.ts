// The daemon's API: docs/api-reference.md documents every key.

import { useEffect, useState } from "preact/hooks";
import { ZONE } from "./format";

/** Bytes in, out, internal, transit and none; then packets: TCP, UDP, ICMP, other, not IP. */
export type Columns = number[];

export interface Pulse {
  number: number;
  time: number;
  uptime_seconds: number;
  /** The age of the snapshot: grows while the worker hangs. */
  age_seconds?: number;
  /** The requested thing's bytes since the start; null if it has no row. */
  one?: number[] | null;
  waiting: string[];
  drops: [number, number, number];
  totals: Columns;
  /** Each second: its start, then its columns. */
  seconds: number[][];
  hosts: {
    count: number;
    active: number;
    start: number | null;
    seconds: number | null;
    rows: [string, number, number][] | null;
    other: [number, number] | null;
  };
}

export type Numbers = Record<string, number>;

export interface HistoryRow {
  addr?: string;
  mac?: string | null;
  local?: boolean;
  protocol?: string;
  port?: number;
  number?: number | null;
  name?: string;
  series?: Record<string, (number | null)[]>;
  [key: string]: unknown;
}

export interface History {
  what: string;
  from: string;
  to: string;
  time_zone: string;
  tier: string;
  step_seconds: number | null;
  recorded_until: string | null;
  approximate_before: string | null;
  /** Set if only intervals of this length are kept: the span was widened to whole ones. */
  widened_to_seconds?: number | null;
  points: { start: string; end: string; covered_seconds: number }[];
  count: number;
  rows: HistoryRow[];
  other: HistoryRow;
  none: HistoryRow;
  total: HistoryRow;
}

export interface InterfaceRow {
  name: string;
  link_type: string;
  is_decoded?: boolean;
  is_capturing: boolean;
  errors: Numbers;
  drops: Numbers;
  kernel: Numbers;
  packets: number;
  bytes: number;
}

export interface Status {
  version: string;
  time: string;
  uptime_seconds: number;
  packets: number;
  bytes: number;
  drops: Numbers;
  /** Each may have several lines. */
  notices?: string[];
  interfaces: { name: string; is_capturing: boolean; trouble: string | null; speed_bits_per_second?: number | null }[];
  hosts: { rows: number; limit: number; folded: number };
  clock: { state: string; held_intervals: number };
  store: {
    database: string;
    size_bytes: number;
    max_size_bytes?: number;
    written_bytes: number | null;
    written_bytes_per_day: number | null;
    intervals_written: number;
    intervals_waiting: number;
    intervals_lost: number;
    trouble: string | null;
    tiers?: { name: string; seconds: number; keep_seconds: number; in_memory: boolean }[];
  };
  web: { requests_answered: number; requests_refused: number };
  memory_resident_bytes: number | null;
  machine?: {
    name: string | null;
    model: string | null;
    cpu_celsius: number | null;
    load: number | null;
    memory_total_bytes: number | null;
    memory_available_bytes: number | null;
    disk_total_bytes: number | null;
    disk_available_bytes: number | null;
  };
}

/** The daemon answered, but refused the request. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

/** Attempts, at most, while the daemon is busy. */
const TRIES = 6;

/** Asks the daemon, for at most `patience` milliseconds. Fails with a sentence for people. */
export async function get<T>(path: string, parameters: Record<string, string> = {}, tries = TRIES, patience = 20_000): Promise<T> {
  const query = new URLSearchParams(parameters).toString();
  let answer: Response;
  try {
    answer = await fetch(`api/v1/${path}${query === "" ? "" : `?${query}`}`, {
      cache: "no-store",
      signal: AbortSignal.timeout?.(patience),
    });
  } catch {
    throw new Error("brightstat does not answer. Is it running, and are you in its network?");
  }
  const text = await answer.text();
  if (answer.status === 503 && tries > 1) {
    // The daemon queues few questions to the history; other clients have asked as well.
    await new Promise((done) => setTimeout(done, 300 + 500 * Math.random()));
    return get<T>(path, parameters, tries - 1, patience);
  }
  if (!answer.ok) {
    let why = text.trim();
    try {
      why = JSON.parse(text).error ?? why;
    } catch {
      // The guard answers in plain text.
    }
    throw new Refused(why || `brightstat answered ${answer.status}`, answer.status);
  }
  return JSON.parse(text) as T;
}

let zone = ZONE;
/** Settles when all questions so far have been answered. */
let asked: Promise<unknown> = Promise.resolve();

/** Asks the history in the browser's time zone, or in the daemon's if it does not know that. */
export function history(parameters: Record<string, string>): Promise<History> {
  // One at a time: the daemon has two threads for them, and short queues for all clients.
  const answer = asked.then(() => ask(parameters));
  asked = answer.catch(() => undefined);
  return answer;
}

async function ask(parameters: Record<string, string>): Promise<History> {
  try {
    return await get<History>("history", { ...parameters, tz: zone });
  } catch (error) {
    if (!(error instanceof Refused && error.status === 400) || zone === "local") throw error;
    // The daemon does not know the zone if it answers the same question in its own.
    const answer = await get<History>("history", { ...parameters, tz: "local" }).catch(() => {
      throw error;
    });
    zone = "local";
    return answer;
  }
}

export interface Asked<T> {
  /** The latest answer; kept while the next one is on its way. */
  answer?: T;
  error?: string;
  isLoading: boolean;
}

/** Seconds until a failed question is asked again. */
const RETRY = 5;
let askers = new Set<() => void>();

/** The daemon is back: asks again for everything on the page. */
export function refresh(): void {
  for (const ask of askers) ask();
}

/** Asks when `key` changes, after an outage, and each `every` seconds while the page is visible. */
export function useAsked<T>(key: string, ask: () => Promise<T>, every?: number): Asked<T> {
  const [state, setState] = useState<Asked<T> & { key?: string }>({ isLoading: true });
  useEffect(() => {
    let isGone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let number = 0;
    const run = async () => {
      clearTimeout(timer);
      number += 1;
      const mine = number;
      let next = every;
      try {
        const answer = await ask();
        if (!isGone && mine === number) setState({ answer, isLoading: false, key });
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        if (!isGone && mine === number) setState((old) => ({ answer: old.key === key ? old.answer : undefined, error: text, isLoading: false, key }));
        // A wrong question stays wrong; any other failure may pass soon.
        if (!(error instanceof Refused && error.status < 500)) next = RETRY;
      }
      if (!isGone && mine === number && next) timer = setTimeout(again, next * 1000);
    };
    const again = () => {
      if (isGone) return;
      // The page is hidden: ask when it is visible again.
      if (document.hidden) document.addEventListener("visibilitychange", again, { once: true });
      else void run();
    };
    askers.add(again);
    setState((old) => ({ ...old, error: undefined, isLoading: true }));
    void run();
    return () => {
      isGone = true;
      askers.delete(again);
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", again);
    };
  }, [key, every]);
  return state;
}
