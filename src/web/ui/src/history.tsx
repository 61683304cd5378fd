// The past: a graph over a range, and who and what it was made of; of the whole network,
// or of one host, port, protocol or interface.

import { useMemo } from "preact/hooks";
import { history, useAsked, type History as Answer, type HistoryRow } from "./api";
import { Breakdown } from "./breakdown";
import { Chart, ChartTable, type Series } from "./chart";
import { bytes, count, duration, localInput, moment, percent, rate, when } from "./format";
import { Known } from "./known";
import { change, type Kind } from "./route";
import { service } from "./services";
import { useSettings } from "./settings";
import { TABLE } from "./table";
import { NOUN, number, RANGES, seconds, span, SPLITS, sum, WAYS, type Span } from "./span";

/** The whole network. */
export function History({ parameters }: { parameters: URLSearchParams }) {
  useSettings();
  const asked = span(parameters);
  const found = SPLITS.find(([kind]) => kind === parameters.get("split"));
  const split = found?.[0] ?? "hosts";
  return (
    <>
      <h1 class="unseen">History of the network</h1>
      <Ranges asked={asked} parameters={parameters} />
      <Graph asked={asked} kind="interfaces" parameters={parameters} title="All traffic" />
      <section class="card" aria-label="Breakdown">
        <div class="tabs" role="group" aria-label="Split by">
          {SPLITS.map(([kind, name]) => (
            <button type="button" key={kind} aria-pressed={kind === split} onClick={() => change({ split: kind, sort: null, q: null, page: null })}>
              {name}
            </button>
          ))}
        </div>
        <Breakdown key={split} kind={split} asked={asked} parameters={parameters} />
      </section>
    </>
  );
}

/** One host, port, protocol or interface. */
export function One({ kind, name, parameters }: { kind: Kind; name: string; parameters: URLSearchParams }) {
  useSettings();
  const asked = span(parameters);
  const [protocol, port] = name.split("/");
  const usual = kind === "ports" ? service(protocol, Number(port)) : "";
  const back = new URLSearchParams(parameters);
  back.set("split", kind);
  for (const key of ["compare", ...TABLE]) back.delete(key);
  return (
    <>
      <p class="crumbs">
        <a href={`#/history?${back}`}>All {kind}</a>
      </p>
      <h1>
        {name} <small>{usual || NOUN[kind]}</small>
      </h1>
      <Ranges asked={asked} parameters={parameters} />
      <Graph asked={asked} kind={kind} name={name} parameters={parameters} title={`Traffic of ${name}`} />
      <Known kind={kind} name={name} parameters={parameters} />
    </>
  );
}

function Ranges({ asked, parameters }: { asked: Span; parameters: URLSearchParams }) {
  const to = asked.isMoving ? Math.floor(Date.now() / 1000) : Number(asked.to.slice(1));
  const go = (from: number, to: number) => change({ range: null, from: String(Math.round(from)), to: String(Math.round(to)), page: null });
  const isCompared = parameters.get("compare") === "1";
  return (
    <div class="ranges">
      <div class="tabs" role="group" aria-label="Range">
        {RANGES.map(([key, name]) => (
          <button type="button" key={key} aria-pressed={asked.key === key} onClick={() => change({ range: key, from: null, to: null, page: null })}>
            {name}
          </button>
        ))}
      </div>
      <div class="tabs" role="group" aria-label="Move the range">
        <button type="button" title="The same length, earlier" aria-label="Earlier" onClick={() => go(to - 2 * asked.length, to - asked.length)}>
          ◀
        </button>
        <button
          type="button"
          title="The same length, later"
          aria-label="Later"
          disabled={asked.isMoving}
          onClick={() => (to + asked.length >= Date.now() / 1000 ? back(asked.length) : go(to, to + asked.length))}
        >
          ▶
        </button>
      </div>
      <button type="button" class="toggle" aria-pressed={isCompared} onClick={() => change({ compare: isCompared ? null : "1" })}>
        Compare with before
      </button>
      <details class="pick">
        <summary>From, to</summary>
        <form
          key={asked.key}
          onSubmit={(event) => {
            event.preventDefault();
            const data = new FormData(event.currentTarget);
            const [from, to] = ["from", "to"].map((key) => Date.parse(String(data.get(key))) / 1000) as [number, number];
            if (to > from) go(from, to);
          }}
        >
          <label>
            From <input type="datetime-local" name="from" required value={localInput(to - asked.length)} />
          </label>
          <label>
            To <input type="datetime-local" name="to" required value={localInput(to)} />
          </label>
          <button type="submit">Show</button>
        </form>
      </details>
    </div>
  );
}

/** To now: the range of that length, if there is one. */
function back(length: number): void {
  const found = RANGES.find(([, , seconds]) => Math.abs(seconds - length) < 60);
  if (found) change({ range: found[0], from: null, to: null });
  else change({ range: null, from: String(Math.floor(Date.now() / 1000 - length)), to: String(Math.floor(Date.now() / 1000)) });
}

interface GraphProps {
  asked: Span;
  kind: Kind;
  name?: string;
  title: string;
  parameters: URLSearchParams;
}

function Graph({ asked, kind, name, title, parameters }: GraphProps) {
  const isCompared = parameters.get("compare") === "1";
  const question: Record<string, string> = { what: kind, by: "auto", points: "400" };
  if (name) question.name = name;
  const key = `${kind} ${name ?? ""} ${asked.key}`;
  const every = asked.isMoving ? (asked.length <= 3_600 ? 10 : 60) : undefined;
  const main = useAsked(key, () => history({ ...question, from: asked.from, to: asked.to }), every);
  const before = useAsked(`${key} ${isCompared}`, async () => (isCompared ? await history({ ...question, ...asked.before }) : undefined), every);
  const { answer } = main;
  // Of one thing there is one row; the total is that of the network.
  const row = name ? answer?.rows[0] : answer?.total;
  const other = isCompared ? before.answer : undefined;
  const drawn = useMemo(
    () => answer && draw(answer, row, kind, other && { answer: other, row: name ? other.rows[0] : other.total, length: asked.length }),
    [answer, other, kind, name],
  );
  const ways = WAYS[kind];
  return (
    <section class="card" aria-label={title} aria-busy={main.isLoading}>
      <div class={answer || !main.error ? "facts-row" : ""}>
        {answer && drawn ? (
          <>
            {ways.length > 1 ? (
              <>
                <Amount name={kind === "hosts" ? "Received" : "In"} value={bytes(number(row, "bytes_in"))} color="--in" />
                <Amount name={kind === "hosts" ? "Sent" : "Out"} value={bytes(number(row, "bytes_out"))} color="--out" />
                {kind === "interfaces" && <Amount name="Inside" value={bytes(sum(row, "bytes", ways.slice(2)))} color="--inside" />}
              </>
            ) : (
              <Amount name="Volume" value={bytes(number(row, "bytes"))} color="--in" />
            )}
            <Amount name="Packets" value={count(sum(row, "packets", ways))} />
            {drawn.peak > 0 && <Amount name="Peak" value={rate(drawn.peak)} />}
            <Amount name="Covered" value={percent(drawn.covered)} />
            {other && drawn.change !== null && <Amount name="Against before" value={`${drawn.change >= 0 ? "+" : "−"}${percent(Math.abs(drawn.change))}`} />}
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
          {drawn.covered === 0 && <p class="notice">Nothing was captured in this span: brightstat did not run, or had no interface.</p>}
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
            onRange={(from, to) => to - from >= 30 && change({ range: null, from: String(Math.floor(from)), to: String(Math.ceil(to)) })}
          />
          <p class="note">
            {when(drawn.from, 60)} to {when(drawn.to, 60)}, by {step(answer)}. Drag to look closer.
            {answer.approximate_before && ` Days before ${when(seconds(answer.approximate_before), 86_400)} are those of UTC.`}
          </p>
          <ChartTable title={title} file={`brightstat-${(name ?? "all").replaceAll(/[:/]/g, "_")}-${answer.from.slice(0, 10)}`} times={drawn.times} step={drawn.step} series={drawn.series} />
        </>
      ) : (
        !main.error && <div class="placeholder" />
      )}
    </section>
  );
}

function step(answer: Answer): string {
  return answer.step_seconds === null || answer.step_seconds === 86_400 ? "day" : duration(answer.step_seconds);
}

function Amount({ name, value, color }: { name: string; value: string; color?: string }) {
  return (
    <div class="number">
      <span>
        {color && <i class="dot" style={{ background: `var(${color})` }} />}
        {name}
      </span>
      <b>{value}</b>
    </div>
  );
}

interface Before {
  answer: Answer;
  row: HistoryRow | undefined;
  length: number;
}

/** So long a minute that has just ended may take to be in an answer, seconds. */
const NOT_YET = 150;

/** Answers as what the graph draws. */
function draw(answer: Answer, row: HistoryRow | undefined, kind: Kind, before?: Before) {
  const { points } = answer;
  const times = points.map((p) => seconds(p.start));
  const from = times[0] ?? seconds(answer.from);
  const to = points.length > 0 ? seconds(points.at(-1)!.end) : seconds(answer.to);
  const length = answer.step_seconds ?? 86_400;
  const lines = (of: Answer, row: HistoryRow | undefined) => {
    // The mean rate of the time that was covered.
    const rates = (keys: string[]) =>
      of.points.map((point, place) => {
        if (point.covered_seconds <= 0) return null;
        const values = keys.map((key) => (row?.series ? (row.series[key]?.[place] ?? null) : row && of.points.length === 1 ? number(row, key) : 0));
        return values.every((v) => v === null) ? null : (values.reduce<number>((all, v) => all + (v ?? 0), 0) * 8) / point.covered_seconds;
      });
    if (WAYS[kind].length === 1) return [{ label: "Traffic", color: "--in", values: rates(["bytes"]) }];
    const names = kind === "hosts" ? ["Received", "Sent"] : ["In", "Out"];
    const two: Series[] = [
      { label: names[0]!, color: "--in", values: rates(["bytes_in"]) },
      { label: names[1]!, color: "--out", values: rates(["bytes_out"]), isBelow: true },
    ];
    if (kind === "interfaces") {
      two.push({ label: "Inside", color: "--inside", values: rates(["bytes_internal", "bytes_transit", "bytes_none"]), isThin: true });
    }
    return two;
  };
  const series: Series[] = lines(answer, row);
  let change: number | null = null;
  if (before) {
    const shifted = before.answer.points.map((p) => seconds(p.start) + before.length);
    for (const line of lines(before.answer, before.row).filter((line) => !line.isThin)) {
      let place = 0;
      const values = times.map((time) => {
        while (place + 1 < shifted.length && shifted[place + 1]! <= time + length / 2) place += 1;
        return line.values[place] ?? null;
      });
      series.push({ ...line, label: `${line.label} before`, values, isDashed: true });
    }
    const [now, then] = [sum(row, "bytes", WAYS[kind]), sum(before.row, "bytes", WAYS[kind])];
    change = then > 0 ? now / then - 1 : null;
  }
  const gaps: [number, number][] = [];
  let [covered, all] = [0, 0];
  const now = Date.now() / 1000;
  for (const point of points) {
    const [start, end] = [seconds(point.start), Math.min(seconds(point.end), now)];
    if (end <= start) continue;
    // What is yet to come is not what is missing.
    if (point.covered_seconds === 0 && end > now - NOT_YET && end - start < NOT_YET) continue;
    all += end - start;
    covered += Math.min(point.covered_seconds, end - start);
    if (point.covered_seconds > 0) continue;
    const last = gaps.at(-1);
    if (last && last[1] >= start) last[1] = end;
    else gaps.push([start, end]);
  }
  // A spike is still known where its hour or day is one point.
  const peaks = WAYS[kind].map((way) => number(row, `bits_per_second_max${way}`));
  const drawn = series.flatMap((s) => (s.isDashed ? [] : s.values)).map((v) => v ?? 0);
  const peak = Math.max(...peaks, ...drawn, 0);
  return { times, from, to, step: length, series, gaps, covered: all > 0 ? covered / all : 0, peak, change };
}
