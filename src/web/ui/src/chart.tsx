// A graph over time: in above the axis, out below. uPlot draws it; this file adds what people
// without sight or a mouse need: a summary, arrow keys, a table.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { timeTicks, type Tick } from "./axis";
import { data, drawGaps, drawPeak, known, lines, reach, scale, style, ticks, type Peak, type Series } from "./draw";
import { rate, roundRate, shortRate, when } from "./format";
import { useSettings } from "./settings";
import { touches } from "./touch";
import { WORDS } from "./words";

export interface ChartProps {
  title: string;
  /** The start of each value, Unix seconds. */
  times: number[];
  /** Seconds from one value to the next. */
  step: number;
  series: Series[];
  /** Spans that were not recorded, Unix seconds. */
  gaps?: [number, number][];
  /** The ends of the time axis. */
  from: number;
  to: number;
  /** Its height as a share of the window's, if that is tall enough. */
  share: number;
  /** Each value holds from its time until the next. */
  isStepped?: boolean;
  /** Marked in the graph. */
  peak?: Peak;
  onRange?: (from: number, to: number) => void;
}

/** Labels are short below this width, pixels. */
const NARROW = 500;

/** The height of a graph, pixels: taller on a wall display, but always tall enough to read. */
function heightOf(share: number): number {
  return innerWidth < 700 ? 240 : Math.round(Math.max(240, Math.min(share * innerHeight, 900)));
}

/** The index of the value at a time: a stepped value holds until the next begins. */
function at(times: number[], seconds: number): number {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((times[middle] ?? 0) <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function Chart(props: ChartProps) {
  const isBytes = useSettings();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [cursor, setCursor] = useState<number | null>(null);
  const [scheme, setScheme] = useState(0);
  const [size, setSize] = useState("");
  const { times, series, title, step } = props;

  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const listener = () => setScheme((n) => n + 1);
    query.addEventListener("change", listener);
    // Phones change the window's height while scrolling: ignore that.
    const resized = () => setSize(`${heightOf(latest.current.share)} ${scale()}`);
    resized();
    addEventListener("resize", resized);
    return () => {
      query.removeEventListener("change", listener);
      removeEventListener("resize", resized);
    };
  }, []);

  // uPlot fixes the series when it is created, but not their values.
  const all = useMemo(() => lines(series), [series]);
  const shape = all.map((s) => [s.label, s.color, s.isBelow, s.isDashed, s.isThin, s.isBand]);
  const key = JSON.stringify([shape, props.isStepped, isBytes, scheme, props.share, size, Boolean(props.onRange)]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const axis = {
      // A function, because print uses other colours.
      stroke: () => style("--muted"),
      grid: { stroke: () => style("--grid"), width: 1 },
      ticks: { stroke: () => style("--grid"), width: 1, size: 4 },
      font: `${12 * scale()}px system-ui, sans-serif`,
    };
    const height = heightOf(props.share);
    let marks: Tick[] = [];
    const isNarrow = (u: uPlot) => u.width < NARROW * scale();
    const u = new uPlot(
      {
        width: element.clientWidth || 300,
        height,
        legend: { show: false },
        padding: [12, 16, 0, 0],
        cursor: {
          y: false,
          drag: { x: Boolean(props.onRange), y: false, setScale: false },
          points: { show: false },
        },
        select: { show: Boolean(props.onRange), left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: true, range: () => [latest.current.from, latest.current.to] },
          y: {
            range: () => {
              const { low, high } = reach(latest.current.series, Boolean(latest.current.isStepped));
              return [low, high];
            },
          },
        },
        axes: [
          {
            ...axis,
            size: 30 * scale(),
            splits: (u, _axis, low, high) => {
              // A label may be as wide as "25 Nov" or "23:59:30"; one that would be cut is omitted.
              const wide = (u.width || 300) - (isNarrow(u) ? 46 : 78) * scale();
              const room = 58 * scale();
              marks = timeTicks(low, high, Math.max(2, Math.floor(wide / room)));
              const edge = ((high - low) * 22 * scale()) / wide;
              marks = marks.filter((mark) => mark.at <= high - edge + ((high - low) * 16) / wide);
              return marks.map((mark) => mark.at);
            },
            values: () => marks.map((mark) => mark.label),
          },
          {
            ...axis,
            size: (u) => (isNarrow(u) ? 46 : 78) * scale(),
            gap: 6,
            splits: (_u, _axis, low, high) => ticks(low, high, Math.max(4, Math.min(8, Math.round(height / (45 * scale())))), isBytes),
            values: (u, splits) => splits.map((value) => (isNarrow(u) ? shortRate : roundRate)(Math.abs(value))),
          },
        ],
        series: [
          {},
          ...all.map((s): uPlot.Series => {
            const color = () => style(s.color);
            return {
              label: s.label,
              stroke: s.isBand ? () => `${color()}70` : color,
              width: (s.isBand ? 0.75 : s.isThin || s.isDashed ? 1 : 1.5) * scale(),
              dash: s.isDashed ? [5, 4] : undefined,
              fill: s.isThin || s.isDashed ? undefined : () => `${color()}${s.isBand ? "26" : "48"}`,
              paths: props.isStepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined,
              points: { show: false },
            };
          }),
        ],
        hooks: {
          drawClear: [(u) => drawGaps(u, latest.current.gaps ?? [])],
          draw: [(u) => latest.current.peak && drawPeak(u, latest.current.peak)],
          setCursor: [
            (u) => {
              const { left } = u.cursor;
              const { times } = latest.current;
              setCursor(left == null || left < 0 || times.length === 0 ? null : at(times, u.posToVal(left, "x")));
            },
          ],
          setSelect: [
            (u) => {
              const { left, width } = u.select;
              if (width < 6) return;
              const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onRange?.(from, to);
            },
          ],
        },
      },
      data(times, all, step, Boolean(props.isStepped)),
      element,
    );
    plot.current = u;
    const ignore = latest.current.onRange ? touches(u) : undefined;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== u.width) u.setSize({ width, height });
    });
    observer.observe(element);
    const repaint = () => u.redraw(true, true);
    addEventListener("beforeprint", repaint);
    addEventListener("afterprint", repaint);
    return () => {
      observer.disconnect();
      removeEventListener("beforeprint", repaint);
      removeEventListener("afterprint", repaint);
      ignore?.();
      u.destroy();
      plot.current = null;
    };
  }, [key]);

  useEffect(() => {
    plot.current?.setData(data(times, all, step, Boolean(props.isStepped)));
  }, [times, all, props.from, props.to, props.gaps, props.peak]);

  const move = (event: KeyboardEvent) => {
    const u = plot.current;
    if (!u || times.length === 0) return;
    const now = cursor ?? times.length - 1;
    const places: Record<string, number> = {
      ArrowLeft: now - (event.shiftKey ? 10 : 1),
      ArrowRight: now + (event.shiftKey ? 10 : 1),
      Home: 0,
      End: times.length - 1,
    };
    if (event.key === "Escape") {
      u.setCursor({ left: -10, top: -10 });
      return;
    }
    const place = places[event.key];
    if (place === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(times.length - 1, place));
    const left = u.valToPos((times[to] ?? 0) + (props.isStepped ? step / 2 : 0), "x");
    u.setCursor({ left, top: 10 });
  };

  const shown = cursor === null ? null : Math.min(cursor, times.length - 1);
  const said = (place: number) =>
    `${when(times[place] ?? 0, step)}: ${series.map((s) => `${s.label} ${value(s, place)}${known(s.greatest?.[place]) === null ? "" : ` (${WORDS.greatest} ${rate(s.greatest?.[place] ?? 0)})`}`).join(", ")}`;
  return (
    <figure class="chart">
      <figcaption class="legend">
        {series.map((s) => (
          <span class="key" key={s.label}>
            <i class={s.isDashed ? "dashed" : s.isThin ? "thin" : ""} style={{ color: `var(${s.color})` }} />
            {s.label}
            {shown !== null && <b>{value(s, shown)}</b>}
            {shown !== null && known(s.greatest?.[shown]) !== null && <small> {WORDS.greatest} {rate(s.greatest?.[shown] ?? 0)}</small>}
          </span>
        ))}
        {series.some((s) => s.greatest) && (
          <span class="key">
            <i class="band" />
            {WORDS.greatest} rates
          </span>
        )}
        {(props.gaps?.length ?? 0) > 0 && (
          <span class="key">
            <i class="gap" />
            {WORDS.notRecorded}
          </span>
        )}
        <span class="at">{shown !== null ? when(times[shown] ?? 0, step) : ""}</span>
      </figcaption>
      <div
        class="plot"
        ref={box}
        tabIndex={0}
        role="application"
        aria-roledescription="graph"
        aria-label={`${title}. ${summary(props)} Arrow keys read single values.`}
        onKeyDown={move}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
        style={{ height: `${heightOf(props.share)}px` }}
      />
      <div class="unseen" aria-live="polite">
        {shown !== null && document.activeElement === box.current ? said(shown) : ""}
      </div>
    </figure>
  );
}

/** A value of a series, or a dash. */
export function value(s: Series, place: number): string {
  const found = known(s.values[place]);
  return found === null ? "–" : rate(found);
}

/** The graph in a sentence or two. */
function summary({ series, times, step }: ChartProps): string {
  if (times.length === 0) return "There is nothing to show yet.";
  const parts = series
    .filter((s) => !s.isDashed && !s.isThin)
    .map((s) => {
      let [sum, known, most, place] = [0, 0, -1, 0];
      s.values.forEach((v, i) => {
        if (v == null || Number.isNaN(v)) return;
        sum += v;
        known += 1;
        if (v > most) [most, place] = [v, i];
      });
      if (known === 0) return `${s.label}: not known.`;
      return `${s.label}: ${rate(sum / known)} on average, at most ${rate(most)} at ${when(times[place] ?? 0, step)}.`;
    });
  return parts.join(" ");
}
