// What a graph draws besides its lines, and the conversion of its values to uPlot's points.

import type uPlot from "uplot";
import { rate } from "./format";

export interface Series {
  /** The name in downloads: it stays the same when the wording changes. */
  key: string;
  label: string;
  /** A variable of the style sheet: --in, --out, --inside. */
  color: string;
  /** Bits per second; null is unknown. */
  values: (number | null)[];
  /** The peak rate within each step, if known. */
  greatest?: (number | null)[];
  /** Drawn below the axis. */
  isBelow?: boolean;
  isDashed?: boolean;
  isThin?: boolean;
}

/** The greatest rate in the span. */
export interface Peak {
  /** Unix seconds. */
  at: number;
  /** Bits per second. */
  value: number;
  isBelow: boolean;
}

/** The text size relative to the default: larger on a wall display or by the user's choice. */
export function scale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
}

export function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A value, or null if it is not known. */
export const known = (value: number | null | undefined) => (value == null || Number.isNaN(value) ? null : value);

/** A line of the plot: a series, or the band of its greatest rates. */
export interface Line extends Series {
  isBand?: boolean;
}

/** The lines of all series; bands first, so that the means are drawn over them. */
export function lines(series: Series[]): Line[] {
  const bands = series.flatMap((s): Line[] => (s.greatest ? [{ ...s, values: s.greatest, greatest: undefined, isBand: true }] : []));
  return [...bands, ...series];
}

/** A mean above BURST times the usual is cut; the axis then ends at SHOWN times the usual. */
const BURST = 6;
const SHOWN = 3;
/** The band may be at most this many times as high as the means, which must stay visible. */
const BAND = 10;
/** An excess over the edge up to this factor is not worth a cut. */
const LITTLE = 1.15;

/**
 * The ends of the axis of rates, above and below zero. A single burst must not hide the rest:
 * values far above nearly all means are cut at the edge (the peak's mark shows the real value).
 */
export function reach(series: Series[], isBurstCut: boolean): { low: number; high: number; isCut: boolean } {
  const most = (values: (number | null)[]) => values.reduce<number>((top, v) => Math.max(top, known(v) ?? 0), 0);
  let isCut = false;
  const side = (of: Series[]) => {
    const means = of.flatMap((s) => s.values.map((v) => known(v) ?? 0)).filter((v) => v > 0).sort((a, b) => a - b);
    const greatest = Math.max(0, ...of.map((s) => most(s.greatest ?? [])));
    const top = means.at(-1) ?? 0;
    if (!isBurstCut || means.length < 20) return Math.max(top, greatest);
    const nearlyAll = (sorted: number[]) => sorted[Math.floor(sorted.length * 0.98)] ?? 0;
    const usual = nearlyAll(means);
    const mean = top > BURST * usual ? SHOWN * usual : top;
    const band = nearlyAll(of.flatMap((s) => (s.greatest ?? []).map((v) => known(v) ?? 0)).sort((a, b) => a - b));
    const whole = Math.max(top, greatest);
    const edge = Math.min(Math.max(band, SHOWN * mean), BAND * mean);
    if (whole <= LITTLE * edge) return whole;
    isCut = true;
    return edge;
  };
  const high = side(series.filter((s) => !s.isBelow));
  const low = side(series.filter((s) => s.isBelow));
  const least = Math.max(high, low, 1_000);
  const isBelow = series.some((s) => s.isBelow);
  return { low: isBelow ? -Math.max(low, least * 0.12) * 1.08 : 0, high: Math.max(high, least * 0.12) * 1.08, isCut };
}

/** The series in uPlot's format. */
export function data(times: number[], all: Line[], step: number, isStepped: boolean): uPlot.AlignedData {
  const signed = all.map((s) => s.values.map((v) => (known(v) === null ? null : s.isBelow ? -(v ?? 0) : v)));
  if (!isStepped || times.length === 0) return [times, ...signed] as uPlot.AlignedData;
  // A step lasts until the next begins; the last one before a gap lasts its own length.
  const xs: number[] = [];
  const ys: (number | null)[][] = signed.map(() => []);
  times.forEach((time, place) => {
    xs.push(time);
    signed.forEach((values, line) => ys[line]?.push(values[place] ?? null));
    const next = times[place + 1] ?? time + step;
    const isLast = place === times.length - 1;
    if (isLast || signed.some((values) => values[place] != null && values[place + 1] == null)) {
      xs.push(isLast ? next : next - step / 1000);
      signed.forEach((values, line) => ys[line]?.push(values[place] ?? null));
    }
  });
  return [xs, ...ys] as uPlot.AlignedData;
}

/** Hatches the spans that were not recorded, unlike zero, which is a line. */
export function drawGaps(u: uPlot, gaps: [number, number][]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const [from, to] of gaps) {
    const left = Math.max(bbox.left, u.valToPos(from, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(to, "x", true));
    if (right <= left) continue;
    ctx.fillStyle = style("--gap");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.strokeStyle = style("--gap-stripe");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    const apart = 8 * devicePixelRatio;
    for (let x = left - bbox.height - (left % apart); x < right; x += apart) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
  ctx.restore();
}

/** Marks the peak with a triangle and its rate; at the edge if it is cut there. */
export function drawPeak(u: uPlot, { at, value, isBelow }: Peak): void {
  const { ctx, bbox } = u;
  const size = 5 * scale() * devicePixelRatio;
  const x = u.valToPos(at, "x", true);
  if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
  const y = u.valToPos(isBelow ? -value : value, "y", true);
  const tip = Math.max(bbox.top + size, Math.min(bbox.top + bbox.height - size, y));
  const away = isBelow ? -1 : 1;
  ctx.save();
  ctx.fillStyle = style("--text");
  ctx.beginPath();
  ctx.moveTo(x, tip - away * size);
  ctx.lineTo(x - size, tip + away * size * 0.8);
  ctx.lineTo(x + size, tip + away * size * 0.8);
  ctx.closePath();
  ctx.fill();
  ctx.font = `600 ${12 * scale() * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const text = rate(value);
  const wide = ctx.measureText(text).width;
  const isRight = x + 2 * size + wide < bbox.left + bbox.width;
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeStyle = style("--card");
  const left = isRight ? x + 1.8 * size : x - 1.8 * size - wide;
  ctx.strokeText(text, left, tip);
  ctx.fillText(text, left, tip);
  ctx.restore();
}

/** Round ticks for the axis of rates, in the chosen unit. */
export function ticks(low: number, high: number, many: number, isBytes: boolean): number[] {
  const unit = isBytes ? 8 : 1;
  const rough = (high - low) / unit / many;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found: number[] = [];
  for (let n = Math.ceil(low / unit / nice); n * nice * unit <= high; n += 1) found.push(n * nice * unit);
  return found;
}
