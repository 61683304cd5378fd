// Numbers, times and names as people read them, in the browser's language.

import { useBytes } from "./settings";

// Always three digits, so that numbers in a column compare at a glance; fewer on axes.
const three = new Intl.NumberFormat(undefined, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const brief = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const two = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const percents = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const wholePercents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });

const PREFIXES = ["", "k", "M", "G", "T", "P"];

/** Keeps a number and its unit on one line. */
const SPACE = "\u00a0";

/** A number with a decimal prefix, such as "12.3 M". */
function scaled(value: number, unit: string, isBrief = false): string {
  let at = 0;
  let rest = Math.abs(value);
  while (rest >= 999.5 && at < PREFIXES.length - 1) {
    rest /= 1000;
    at += 1;
  }
  const digits = isBrief ? brief : at === 0 ? whole : three;
  return `${digits.format(value < 0 ? -rest : rest)}${SPACE}${PREFIXES[at]}${unit}`;
}

/** A rate, given in bits per second. */
export function rate(bitsPerSecond: number): string {
  return useBytes() ? scaled(bitsPerSecond / 8, "B/s") : scaled(bitsPerSecond, "bit/s");
}

/** A round rate, in as few characters as possible. */
export function roundRate(bitsPerSecond: number): string {
  if (bitsPerSecond === 0) return "0";
  return useBytes() ? scaled(bitsPerSecond / 8, "B/s", true) : scaled(bitsPerSecond, "bit/s", true);
}

/** The same without its unit, where there is little room: the unit switch at the top shows it. */
export function shortRate(bitsPerSecond: number): string {
  if (bitsPerSecond === 0) return "0";
  return scaled(useBytes() ? bitsPerSecond / 8 : bitsPerSecond, "", true).replace(SPACE, "");
}

/** An amount, given in bytes. */
export function bytes(value: number): string {
  return scaled(value, "B");
}

/** A count, in full below a million. */
export function count(value: number): string {
  return value < 1_000_000 ? whole.format(value) : scaled(value, "").trim();
}

/** A count in full. */
export function exact(value: number): string {
  return whole.format(value);
}

/** A number with two decimals. */
export function decimal(value: number): string {
  return two.format(value);
}

/** A share of 0 to 1. Only 0 is shown as 0 %, and only 1 as 100 %. */
export function percent(value: number): string {
  if (value === 0 || value === 1) return wholePercents.format(value);
  if (value > 0 && value < 0.0005) return `<${SPACE}${percents.format(0.001)}`;
  return percents.format(value < 1 ? Math.min(value, 0.999) : value);
}

/** A length of time, in its two largest units. */
export function duration(seconds: number): string {
  const units: [string, number][] = [
    ["y", 31_536_000],
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ];
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, length] of units) {
    const many = Math.floor(rest / length);
    if (many > 0 || (unit === "s" && parts.length === 0)) {
      parts.push(`${whole.format(many)}${SPACE}${unit}`);
      rest -= many * length;
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** The time zone in which times are shown. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", dateStyle: undefined, day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const month = new Intl.DateTimeFormat(undefined, { month: "short" });

/** A moment in few characters, to the minute: the time, with the date unless it is today. */
export function shortMoment(seconds: number, now = Date.now() / 1000): string {
  const [date, today] = [new Date(seconds * 1000), new Date(now * 1000)];
  const time = clock.format(date);
  return date.toDateString() === today.toDateString() ? time : `${dayMonth.format(date)} ${time}`;
}

/** A moment with its date, to the minute. */
export const dateMoment = (seconds: number) => `${dayMonth.format(seconds * 1000)} ${clock.format(seconds * 1000)}`;

/** A moment, in Unix seconds, to the second. */
export const moment = (seconds: number) => full.format(seconds * 1000);

/** A moment, as precise as intervals of length `step`. */
export function when(seconds: number, step: number): string {
  if (step >= 86_000) return day.format(seconds * 1000);
  return (step >= 60 ? short : full).format(seconds * 1000);
}

/** The label of a tick, `step` seconds from the next: as short as its neighbours allow. */
export function tick(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  if (step >= 2_400_000) return date.getMonth() === 0 ? String(date.getFullYear()) : month.format(date);
  if (step >= 86_000) return dayMonth.format(date);
  if (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0 && step >= 60) return dayMonth.format(date);
  return (step < 60 ? clockSeconds : clock).format(date);
}

/** A value for an input of type datetime-local. */
export function localInput(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const days = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${days}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
