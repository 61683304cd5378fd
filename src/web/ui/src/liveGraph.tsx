// The last minutes by the second, of the network or of one thing.

import { useMemo } from "preact/hooks";
import { Chart } from "./chart";
import { ChartTable } from "./chartTable";
import type { Series } from "./draw";
import { rate } from "./format";
import { useLive, useOne, WINDOW } from "./pulse";
import { type Kind } from "./route";
import { WAYS } from "./span";
import { WORDS } from "./words";

/** Seconds that may be missing without a gap, because an answer may be late. */
const GAP = 3;

/** The gaps in the window that ends at `end`: nothing was recorded there. */
function missing(seconds: number[][], end: number): [number, number][] {
  const starts = [end - WINDOW - 1, ...seconds.map((second) => second[0] ?? 0)];
  return starts.flatMap((start, at) => {
    const next = starts[at + 1];
    return next !== undefined && next - start > GAP ? [[start + 1, next] as [number, number]] : [];
  });
}

/** The names of a kind's directions, as its graph shows them. */
export function ways(kind: Kind): Pick<Series, "key" | "label" | "color" | "isBelow">[] {
  if (WAYS[kind].length === 1) return [{ key: "traffic", label: "Traffic", color: "--in" }];
  const isHost = kind === "hosts";
  return [
    { key: "in", label: isHost ? WORDS.received : WORDS.download, color: "--in" },
    { key: "out", label: isHost ? WORDS.sent : WORDS.upload, color: "--out", isBelow: true },
  ];
}

interface Props {
  kind: Kind;
  /** Each second: its start, then bytes in the order of WAYS. */
  known: number[][];
  /** Whether the daemon's older seconds are loaded: what is missing then was not recorded. */
  isWhole: boolean;
  title: string;
  file: string;
  share: number;
}

export function LiveGraph({ kind, known, isWhole, title, file, share }: Props) {
  const gaps = useMemo(() => (isWhole && known.length > 0 ? missing(known, known.at(-1)?.[0] ?? 0) : []), [known, isWhole]);
  // Add a second without values to each gap, so that no line crosses it.
  const seconds = useMemo(() => [...known, ...gaps.map(([start]) => [start])].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)), [known, gaps]);
  const times = useMemo(() => seconds.map((s) => s[0] ?? 0), [seconds]);
  const series = useMemo(() => {
    const of = (columns: number[]) => seconds.map((s) => (s.length > 1 ? columns.reduce((all, at) => all + (s[at] ?? 0), 0) * 8 : NaN));
    const all: Series[] = ways(kind).map((way, at) => ({ ...way, values: of([at + 1]) }));
    if (kind === "interfaces") all.push({ key: "inside", label: WORDS.atHome, color: "--inside", values: of([3, 4, 5]), isThin: true });
    return all;
  }, [seconds, kind]);
  const end = times.at(-1) ?? Math.floor(Date.now() / 1000);
  return (
    <>
      <Chart title={title} times={times} step={1} series={series} gaps={gaps} from={end - WINDOW} to={end} share={share} />
      <ChartTable title={title} file={file} times={times} step={1} series={series} />
    </>
  );
}

/** The current rates of one thing, bits per second, in the order of WAYS; undefined if unknown. */
export function nowOf(one: number[][]): number[] | undefined {
  const last = one.at(-1);
  return last && last.slice(1).map((bytes) => bytes * 8);
}

/** One thing, live: its rate, and its last minutes by the second. */
export function LiveOne({ kind, name }: { kind: Kind; name: string }) {
  useOne(kind, name);
  const live = useLive();
  const now = nowOf(live.one);
  return (
    <section class="card live" aria-label={`${name} now`}>
      <div class="facts-row">
        {ways(kind).map((way, at) => (
          <div class="number" key={way.key}>
            <span>
              <i class="dot" style={{ background: `var(${way.color})` }} />
              {way.label} now
            </span>
            <b>{now ? rate(now[at] ?? 0) : "–"}</b>
          </div>
        ))}
        {kind === "interfaces" && (
          <div class="number">
            <span>
              <i class="dot" style={{ background: "var(--inside)" }} />
              {WORDS.atHome} now
            </span>
            <b>{now ? rate(now.slice(2).reduce((a, b) => a + b, 0)) : "–"}</b>
          </div>
        )}
      </div>
      <LiveGraph
        kind={kind}
        known={live.one}
        isWhole={false}
        title={`Traffic of ${name}, the last ${WINDOW / 60} minutes, by the second`}
        file={`brightstat-${name.replaceAll(/[:/]/g, "_")}-now`}
        share={0.34}
      />
      <p class="note">The last {WINDOW / 60} minutes, by the second.</p>
    </section>
  );
}

/** The same on one line, above the history of the thing. */
export function RateNow({ kind, name, href }: { kind: Kind; name: string; href: string }) {
  useOne(kind, name);
  const live = useLive();
  const now = nowOf(live.one);
  return (
    <p class="now-line live">
      <a href={href}>Now</a>{" "}
      {ways(kind).map((way, at) => (
        <span key={way.key}>
          <i class="dot" style={{ background: `var(${way.color})` }} />
          {way.label} <b>{now ? rate(now[at] ?? 0) : "–"}</b>
        </span>
      ))}
    </p>
  );
}
