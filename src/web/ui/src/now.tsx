// What happens now: rates, a graph of the last minutes, the busiest hosts.

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { history, useAsked } from "./api";
import { Chart, ChartTable } from "./chart";
import { bytes, count, exact, rate } from "./format";
import { ICMP, IN, INTERNAL, NOT_IP, OTHER, OTHER_THAN_IP, OUT, TCP, TRANSIT, UDP, useLive, WINDOW, type Live } from "./pulse";
import { linkTo } from "./route";
import { useSettings } from "./settings";

const NONE = new URLSearchParams();
/** A flood is this many times the usual packets, and at least so many a second. */
const FLOOD = 10;
const FLOOD_LEAST = 1_000;

const packets = (second: number[]) => [TCP, UDP, ICMP, OTHER, OTHER_THAN_IP].reduce((sum, at) => sum + (second[at] ?? 0), 0);
const inside = (second: number[]) => (second[INTERNAL] ?? 0) + (second[TRANSIT] ?? 0) + (second[NOT_IP] ?? 0);

/** How many times the usual packets there are, if that is far more. */
function flood(live: Live): { times: number; now: number } | undefined {
  const known = live.seconds.map(packets).filter((n) => !Number.isNaN(n));
  if (known.length < 20) return undefined;
  const last = known.slice(-3);
  const now = last.reduce((sum, n) => sum + n, 0) / last.length;
  const before = known.slice(0, -3).sort((a, b) => a - b);
  const usual = Math.max(1, before[before.length >> 1] ?? 1);
  return now >= FLOOD_LEAST && now >= FLOOD * usual ? { times: now / usual, now } : undefined;
}

export function Now() {
  useSettings();
  const live = useLive();
  const { pulse, seconds } = live;
  const last = seconds.at(-1) ?? [];
  const drops = pulse ? pulse.drops.reduce((a, b) => a + b, 0) : 0;
  const flooded = flood(live);
  return (
    <>
      <h1 class="unseen">The network now</h1>
      {flooded && (
        <p class="notice warn" role="alert">
          Unusual: {count(Math.round(flooded.now))} packets a second, {count(Math.round(flooded.times))} times as many as in the last minutes. The
          list below shows whose they are.
        </p>
      )}
      <section aria-label="Rates" class="tiles">
        <Tile name="In" color="--in" value={pulse ? rate((last[IN] ?? 0) * 8) : "–"} note="from outside" />
        <Tile name="Out" color="--out" value={pulse ? rate((last[OUT] ?? 0) * 8) : "–"} note="to outside" />
        <Tile name="Inside" color="--inside" value={pulse ? rate(inside(last) * 8) : "–"} note="local to local" />
        <Packets last={last} isKnown={pulse !== undefined} isFlood={flooded !== undefined} />
        <Tile name="Active hosts" value={pulse ? exact(pulse.hosts.active) : "–"} note={pulse ? `of ${count(pulse.hosts.count)} seen` : ""} />
        <Today />
        <Tile
          name="Dropped"
          value={pulse ? exact(drops) : "–"}
          note={drops > 0 ? "frames not counted" : "all is counted"}
          isBad={drops > 0}
          href="#/status"
        />
      </section>
      <Graph live={live} />
      <Busiest live={live} />
    </>
  );
}

interface TileProps {
  name: string;
  value: ComponentChildren;
  note: ComponentChildren;
  color?: string;
  isBad?: boolean;
  href?: string;
}

function Tile({ name, value, note, color, isBad, href }: TileProps) {
  return (
    <div class={isBad ? "tile bad" : "tile"}>
      <h2>
        {color && <i class="dot" style={{ background: `var(${color})` }} />}
        {href ? <a href={href}>{name}</a> : name}
      </h2>
      <p class="value">{value}</p>
      <p class="note">{note}</p>
    </div>
  );
}

const CLASSES: [string, number[], string][] = [
  ["TCP", [TCP], "--c1"],
  ["UDP", [UDP], "--c2"],
  ["ICMP", [ICMP], "--c3"],
  ["Other", [OTHER, OTHER_THAN_IP], "--c4"],
];

function Packets({ last, isKnown, isFlood }: { last: number[]; isKnown: boolean; isFlood: boolean }) {
  const all = packets(last) || 0;
  let left = 0;
  const parts = CLASSES.map(([name, places, color]) => {
    const many = places.reduce((sum, at) => sum + (last[at] || 0), 0);
    const width = all > 0 ? (many / all) * 100 : 0;
    left += width;
    return { name, many, color, width, left: left - width };
  });
  return (
    <div class={isFlood ? "tile broad bad" : "tile broad"}>
      <h2>Packets a second</h2>
      <p class="value">{isKnown ? exact(all) : "–"}</p>
      <svg class="split" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="8" class="rail" />
        {parts.map((p) => (
          <rect key={p.name} x={p.left} width={p.width} height="8" style={{ fill: `var(${p.color})` }} />
        ))}
      </svg>
      <p class="note classes">
        {parts.map((p) => (
          <span key={p.name}>
            <i class="dot" style={{ background: `var(${p.color})` }} />
            {p.name} {isKnown ? count(p.many) : "–"}
          </span>
        ))}
      </p>
    </div>
  );
}

function Today() {
  const { answer } = useAsked("today", () => history({ what: "interfaces", from: "today", by: "none" }), 30);
  const total = answer?.total as Record<string, number> | undefined;
  const sum = total ? ["_in", "_out", "_internal", "_transit", "_none"].reduce((all, way) => all + (total[`bytes${way}`] ?? 0), 0) : 0;
  return (
    <Tile
      name="Today"
      value={total ? bytes(sum) : "–"}
      note="since midnight"
      href="#/history?range=day"
    />
  );
}

/** Seconds that may be missing without a gap: an answer may be late. */
const GAP = 3;

/** Where seconds are missing in the window that ends at `end`: nothing was captured there. */
function missing(seconds: number[][], end: number): [number, number][] {
  const starts = [end - WINDOW - 1, ...seconds.map((second) => second[0] ?? 0)];
  return starts.flatMap((start, at) => {
    const next = starts[at + 1];
    return next !== undefined && next - start > GAP ? [[start + 1, next] as [number, number]] : [];
  });
}

function Graph({ live }: { live: Live }) {
  const known = live.seconds;
  const gaps = useMemo(() => (live.isWhole && known.length > 0 ? missing(known, known.at(-1)?.[0] ?? 0) : []), [known, live.isWhole]);
  // A second without values in each gap, so that no line crosses it.
  const seconds = useMemo(() => [...known, ...gaps.map(([start]) => [start])].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)), [known, gaps]);
  const times = useMemo(() => seconds.map((s) => s[0] ?? 0), [seconds]);
  const series = useMemo(() => {
    const rates = (of: (second: number[]) => number) => seconds.map((s) => of(s) * 8);
    const both = [
      { label: "In", color: "--in", values: rates((s) => s[IN] ?? NaN) },
      { label: "Out", color: "--out", values: rates((s) => s[OUT] ?? NaN), isBelow: true },
    ];
    return [...both, { label: "Inside", color: "--inside", values: rates((s) => (s.length > 1 ? inside(s) : NaN)), isThin: true }];
  }, [seconds]);
  const end = times.at(-1) ?? Math.floor(Date.now() / 1000);
  const title = "The last five minutes, by the second";
  return (
    <section aria-label="The last minutes" class="card">
      <h2>
        Last {WINDOW / 60} minutes <a href="#/history?range=hour">the last hour</a>
      </h2>
      {seconds.length === 0 && <p class="empty">The graph begins with the first frame that is counted.</p>}
      <Chart title={title} times={times} step={1} series={series} gaps={gaps} from={end - WINDOW} to={end} share={0.3} />
      <ChartTable title={title} file="brightstat-now" times={times} step={1} series={series} />
    </section>
  );
}

function Busiest({ live }: { live: Live }) {
  const most = live.hosts.reduce((top, host) => Math.max(top, host.received + host.sent), 1);
  return (
    <section aria-label="Busiest hosts" class="card">
      <h2>
        Busiest hosts now <a href="#/history?range=hour&split=hosts">all of the last hour</a>
      </h2>
      {live.hosts.length === 0 ? (
        <p class="empty">{live.pulse ? "Nobody sends or receives at the moment." : "Waiting for the first numbers."}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Busiest hosts now">
          <table>
            <caption class="unseen">Busiest hosts of the last ten seconds</caption>
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col" class="n">
                  <i class="dot" style={{ background: "var(--in)" }} />
                  Receives
                </th>
                <th scope="col" class="n">
                  <i class="dot" style={{ background: "var(--out)" }} />
                  Sends
                </th>
                <th scope="col" class="bar">
                  <span class="unseen">Both, as a bar</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {live.hosts.map((host) => (
                <tr key={host.addr}>
                  <th scope="row" class="address">
                    <a href={linkTo("hosts", host.addr, NONE)}>{host.addr}</a>
                  </th>
                  <td class="n">{rate(host.received * 8)}</td>
                  <td class="n">{rate(host.sent * 8)}</td>
                  <td class="bar">
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                      <rect width={(host.received / most) * 100} height="10" style={{ fill: "var(--in)" }} />
                      <rect x={(host.received / most) * 100} width={(host.sent / most) * 100} height="10" style={{ fill: "var(--out)" }} />
                    </svg>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
