// The present: rates, a graph of the last minutes, the busiest hosts.

import type { ComponentChildren } from "preact";
import { history, useAsked } from "./api";
import { Busiest } from "./busiest";
import { bytes, count, exact, rate, shortMoment } from "./format";
import { LiveGraph } from "./liveGraph";
import { ICMP, IN, INTERNAL, NOT_IP, OTHER, OTHER_THAN_IP, OUT, since, TCP, TRANSIT, UDP, useLive, WINDOW, type Live } from "./pulse";
import { useSettings } from "./settings";
import { WORDS } from "./words";

/** A flood is this many times the usual packets, and at least FLOOD_LEAST a second. */
const FLOOD = 10;
const FLOOD_LEAST = 1_000;

const packets = (second: number[]) => [TCP, UDP, ICMP, OTHER, OTHER_THAN_IP].reduce((sum, at) => sum + (second[at] ?? 0), 0);
const inside = (second: number[]) => (second[INTERNAL] ?? 0) + (second[TRANSIT] ?? 0) + (second[NOT_IP] ?? 0);

/** The packet rate relative to the usual one, if it is far higher. */
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
      <section aria-label="Rates" class="tiles live">
        <Tile name={WORDS.download} color="--in" value={pulse ? rate((last[IN] ?? 0) * 8) : "–"} note="from outside" />
        <Tile name={WORDS.upload} color="--out" value={pulse ? rate((last[OUT] ?? 0) * 8) : "–"} note="to outside" />
        <Tile name={WORDS.atHome} color="--inside" value={pulse ? rate(inside(last) * 8) : "–"} note="between local hosts" />
        <Packets last={last} isKnown={pulse !== undefined} isFlood={flooded !== undefined} />
        <Tile name="Active hosts" value={pulse ? exact(pulse.hosts.active) : "–"} note={pulse ? `of ${count(pulse.hosts.count)} seen` : ""} />
        <Today live={live} />
        <Tile
          name={WORDS.missed}
          value={pulse ? exact(drops) : "–"}
          note={drops > 0 ? "could not be counted" : "every one is counted"}
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

function Today({ live }: { live: Live }) {
  const { answer } = useAsked("today", () => history({ what: "interfaces", from: "today", by: "none" }), 30);
  const total = answer?.total as Record<string, number> | undefined;
  const sum = total ? ["_in", "_out", "_internal", "_transit", "_none"].reduce((all, way) => all + (total[`bytes${way}`] ?? 0), 0) : 0;
  // During the first minute, the counters since the start are all there is.
  const { pulse } = live;
  const isYoung = pulse !== undefined && sum === 0 && new Date(since(pulse) * 1000).toDateString() === new Date(pulse.time * 1000).toDateString();
  const counted = isYoung ? pulse.totals.slice(0, 5).reduce((all, bytes) => all + bytes, 0) : sum;
  return <Tile name="Today" value={total || isYoung ? bytes(counted) : "–"} note={isYoung ? `since ${shortMoment(since(pulse))}` : "since midnight"} href="#/history?range=today" />;
}

function Graph({ live }: { live: Live }) {
  return (
    <section aria-label="The last minutes" class="card live">
      <h2>
        Last {WINDOW / 60} minutes <a href="#/history?range=hour">the last hour</a>
      </h2>
      <LiveGraph kind="interfaces" known={live.seconds} isWhole={live.isWhole} title="The last five minutes, by the second" file="brightstat-now" share={0.3} />
    </section>
  );
}
