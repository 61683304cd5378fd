// The graph of a span, with its totals, its peak and the comparison with the span before.

import { useMemo } from "preact/hooks";
import { history, useAsked, type History as Answer, type HistoryRow } from "./api";
import { Beginning, useIsYoung } from "./beginning";
import { Chart } from "./chart";
import { ChartTable } from "./chartTable";
import type { Peak, Series } from "./draw";
import { bytes, count, dateMoment, duration, moment, percent, rate, when } from "./format";
import { ways as waysOf } from "./liveGraph";
import { change, type Kind } from "./route";
import { number, seconds, sum, WAYS, type Span } from "./span";
import { WORDS } from "./words";

interface GraphProps {
  asked: Span;
  kind: Kind;
  name?: string;
  title: string;
  parameters: URLSearchParams;
}

export function Graph({ asked, kind, name, title, parameters }: GraphProps) {
  const isCompared = parameters.get("compare") === "1";
  const question: Record<string, string> = { what: kind, by: "auto", points: "400" };
  if (name) question.name = name;
  const key = `${kind} ${name ?? ""} ${asked.key}`;
  const every = asked.isMoving ? (asked.length <= 3_600 ? 10 : 60) : undefined;
  const main = useAsked(key, () => history({ ...question, from: asked.from, to: asked.to }), every);
  const before = useAsked(`${key} ${isCompared}`, async () => (isCompared ? await history({ ...question, ...asked.before }) : undefined), every);
  const { answer } = main;
  const isYoung = useIsYoung(answer ? seconds(answer.to) : 0);
  // A question for one thing has one row; its total is the network's.
  const row = name ? answer?.rows[0] : answer?.total;
  const other = isCompared ? before.answer : undefined;
  const drawn = useMemo(
    () => answer && draw(answer, row, kind, other && { answer: other, row: name ? other.rows[0] : other.total, length: seconds(answer.from) - seconds(other.from) }),
    [answer, other, kind, name],
  );
  const ways = WAYS[kind];
  const peakWhen = drawn?.peak && (drawn.step >= 86_000 ? when(drawn.peak.at, 86_400) : dateMoment(drawn.peak.at));
  return (
    <section class="card" aria-label={title} aria-busy={main.isLoading}>
      <div class="facts-row">
        {answer && drawn ? (
          <>
            {ways.length > 1 ? (
              <>
                {waysOf(kind).map((way, at) => (
                  <Amount key={way.key} name={way.label} value={bytes(number(row, `bytes${ways[at]}`))} color={way.color} />
                ))}
                {kind === "interfaces" && <Amount name={WORDS.atHome} value={bytes(sum(row, "bytes", ways.slice(2)))} color="--inside" />}
              </>
            ) : (
              <Amount name="Volume" value={bytes(number(row, "bytes"))} color="--in" />
            )}
            <Amount name="Packets" value={count(sum(row, "packets", ways))} />
            <Amount name="Peak" value={drawn.peak ? rate(drawn.peak.value) : "–"} note={peakWhen} />
            <Amount name={WORDS.recorded} value={percent(drawn.covered)} />
            {isCompared && (
              <Amount
                name={`Than ${asked.beforeName}`}
                value={other && drawn.change !== null ? `${drawn.change >= 0 ? "+" : "−"}${percent(Math.abs(drawn.change))}` : "–"}
              />
            )}
          </>
        ) : (
          !main.error && <Amount name="Loading" value="…" />
        )}
      </div>
      {main.error && (
        <p class="notice bad" role="alert">
          {main.error}
        </p>
      )}
      {answer && drawn ? (
        <>
          {drawn.covered === 0 && (isYoung ? <Beginning /> : <p class="notice">Nothing was recorded in this span: brightstat did not run, or had no interface.</p>)}
          <Chart
            title={`${title}, from ${moment(drawn.from)} to ${moment(drawn.to)}`}
            times={drawn.times}
            step={drawn.step}
            series={drawn.series}
            gaps={drawn.gaps}
            from={drawn.from}
            to={drawn.to}
            share={0.34}
            isStepped
            peak={drawn.peak}
            onRange={(from, to) => to - from >= 30 && change({ range: null, from: String(Math.floor(from)), to: String(Math.ceil(to)) })}
          />
          <p class="note">
            {when(drawn.from, 60)} to {when(drawn.to, 60)}, by {step(answer)}. <span class="screen">Drag to look closer.</span>
            {other && ` Dashed: ${asked.beforeName}, ${when(seconds(other.from), 60)} to ${when(seconds(other.to), 60)}.`}
            {answer.widened_to_seconds ? ` Of this time only whole ${answer.widened_to_seconds >= 86_000 ? "days" : `steps of ${duration(answer.widened_to_seconds)}`} are kept.` : ""}
            {answer.approximate_before && ` Days before ${when(seconds(answer.approximate_before), 86_400)} are those of UTC.`}
          </p>
          <ChartTable title={title} file={`brightstat-${(name ?? "all").replaceAll(/[:/]/g, "_")}-${answer.from.slice(0, 10)}`} times={drawn.times} step={drawn.step} series={drawn.series} />
        </>
      ) : (
        <div class="placeholder" />
      )}
    </section>
  );
}

function step(answer: Answer): string {
  return answer.step_seconds === null || answer.step_seconds === 86_400 ? "day" : duration(answer.step_seconds);
}

function Amount({ name, value, color, note }: { name: string; value: string; color?: string; note?: string }) {
  return (
    <div class="number">
      <span>
        {color && <i class="dot" style={{ background: `var(${color})` }} />}
        {name}
      </span>
      <b>{value}</b>
      {note && <small>{note}</small>}
    </div>
  );
}

interface Before {
  answer: Answer;
  row: HistoryRow | undefined;
  /** Seconds between the two spans. */
  length: number;
}

/** Seconds until a minute that has just ended is in the answers, at most. */
const NOT_YET = 150;

/** Converts answers for the graph. */
function draw(answer: Answer, row: HistoryRow | undefined, kind: Kind, before?: Before) {
  const { points } = answer;
  const times = points.map((p) => seconds(p.start));
  const from = times[0] ?? seconds(answer.from);
  const to = points.length > 0 ? seconds(points.at(-1)!.end) : seconds(answer.to);
  const length = answer.step_seconds ?? 86_400;
  const series = lines(answer, row, kind);
  let change: number | null = null;
  if (before) {
    const shifted = before.answer.points.map((p) => seconds(p.start) + before.length);
    for (const line of lines(before.answer, before.row, kind).filter((line) => !line.isThin)) {
      let place = 0;
      const values = times.map((time) => {
        while (place + 1 < shifted.length && shifted[place + 1]! <= time + length / 2) place += 1;
        return line.values[place] ?? null;
      });
      series.push({ ...line, key: `${line.key}_before`, label: `${line.label} before`, values, greatest: undefined, isDashed: true });
    }
    const [now, then] = [sum(row, "bytes", WAYS[kind]), sum(before.row, "bytes", WAYS[kind])];
    change = then > 0 ? now / then - 1 : null;
  }
  const { gaps, covered } = recorded(points);
  return { times, from, to, step: length, series, gaps, covered, peak: peak(series, times, length), change };
}

/** The lines of an answer: mean rates over the recorded time, and the peak rates. */
function lines(of: Answer, row: HistoryRow | undefined, kind: Kind): Series[] {
  const at = (key: string, place: number) => (row?.series ? (row.series[key]?.[place] ?? null) : row && of.points.length === 1 ? number(row, key) : 0);
  const rates = (ways: string[]) =>
    of.points.map((point, place) => {
      if (point.covered_seconds <= 0) return null;
      const values = ways.map((way) => at(`bytes${way}`, place));
      return values.every((v) => v === null) ? null : (values.reduce<number>((all, v) => all + (v ?? 0), 0) * 8) / point.covered_seconds;
    });
  const greatest = (way: string, means: (number | null)[]) => {
    const all = of.points.map((point, place) => (point.covered_seconds <= 0 ? null : Math.max(at(`bits_per_second_max${way}`, place) ?? 0, means[place] ?? 0)));
    // If all peaks are close to the means, a band would show nothing new.
    return all.some((v, place) => (v ?? 0) > 1.05 * (means[place] ?? 0)) ? all : undefined;
  };
  const series = waysOf(kind).map((way, at): Series => {
    const values = rates([WAYS[kind][at]!]);
    return { ...way, values, greatest: greatest(WAYS[kind][at]!, values) };
  });
  if (kind === "interfaces") series.push({ key: "inside", label: WORDS.atHome, color: "--inside", values: rates(WAYS.interfaces.slice(2)), isThin: true });
  return series;
}

/** The gaps in the recording, and the share of the time that was recorded. */
function recorded(points: Answer["points"]) {
  const gaps: [number, number][] = [];
  let [covered, all] = [0, 0];
  const now = Date.now() / 1000;
  for (const point of points) {
    const [start, end] = [seconds(point.start), Math.min(seconds(point.end), now)];
    if (end <= start) continue;
    // An interval that cannot be there yet is not missing.
    if (point.covered_seconds === 0 && end > now - NOT_YET && end - start < NOT_YET) continue;
    all += end - start;
    covered += Math.min(point.covered_seconds, end - start);
    if (point.covered_seconds > 0) continue;
    const last = gaps.at(-1);
    if (last && last[1] >= start) last[1] = end;
    else gaps.push([start, end]);
  }
  return { gaps, covered: all > 0 ? covered / all : 0 };
}

/** The greatest rate, and its place in the span. */
export function peak(series: Series[], times: number[], step: number): Peak | undefined {
  let found: Peak | undefined;
  for (const s of series.filter((s) => !s.isDashed)) {
    (s.greatest ?? s.values).forEach((value, place) => {
      if (value === null || value <= (found?.value ?? 0)) return;
      const start = times[place] ?? 0;
      found = { at: Math.min(start + step / 2, ((times[place + 1] ?? start + step) + start) / 2), value, isBelow: s.isBelow ?? false };
    });
  }
  return found;
}
