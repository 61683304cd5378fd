// What a graph draws beside its lines, and how its values become points of uPlot.

import type uPlot from "uplot";
import { rate } from "./format";

export interface Series {
  /** Stays the same when the words change: the name in downloads. */
  key: string;
  label: string;
  /** Of the style sheet: --in, --out, --inside. */
  color: string;
  /** Bits per second; null is unknown. */
  values: (number | null)[];
  /** The greatest rate of a moment within each step, where that is known. */
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

/** How much larger than usual letters are: on a wall, or where somebody needs it. */
export function scale(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
}

export function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A value, or null for one that is not known. */
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

/** So many times the usual a mean must be to be cut, and then so many times the usual are shown. */
const BURST = 6;
const SHOWN = 3;
/** The band may be so many times as high as the means, which are to be seen beside it. */
const BAND = 10;
/** What goes so little above the edge is not worth cutting. */
const LITTLE = 1.15;

/**
 * The ends of the axis of rates, above and below zero. One burst does not hide the rest: what is
 * far above nearly all means is cut at the edge (the peak's own mark tells how high it goes).
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

/** The series as uPlot takes them. */
export function data(times: number[], all: Line[], step: number, isStepped: boolean): uPlot.AlignedData {
  const signed = all.map((s) => s.values.map((v) => (known(v) === null ? null : s.isBelow ? -(v ?? 0) : v)));
  if (!isStepped || times.length === 0) return [times, ...signed] as uPlot.AlignedData;
  // A step lasts until the next begins, and the last one before a gap as long as it is.
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

/** Draws stripes where nothing was recorded: unlike zero, which is a line. */
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

/** Marks the peak with a triangle and its rate, at the edge if it is cut there. */
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

/** Round ticks of the axis of rates, in the unit that is shown. */
export function ticks(low: number, high: number, many: number, isBytes: boolean): number[] {
  const unit = isBytes ? 8 : 1;
  const rough = (high - low) / unit / many;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found: number[] = [];
  for (let n = Math.ceil(low / unit / nice); n * nice * unit <= high; n += 1) found.push(n * nice * unit);
  return found;
}
