// The past: a graph over a range, and who and what it was made of; of the whole network,
// or of one host, port, protocol or interface.

import { useMemo } from "preact/hooks";
import { get, history, useAsked, type Asked, type History as Answer, type HistoryRow, type InterfaceRow, type Status } from "./api";
import { Chart, ChartTable, type Series } from "./chart";
import { bytes, count, duration, exact, localInput, moment, percent, rate, when } from "./format";
import { change, linkTo, type Kind } from "./route";
import { service } from "./services";
import { useSettings } from "./settings";
import { Share, Table, type Column } from "./table";

const RANGES: [string, string, number][] = [
  ["hour", "Hour", 3_600],
  ["day", "Day", 86_400],
  ["week", "Week", 604_800],
  ["month", "Month", 2_678_400],
  ["year", "Year", 31_536_000],
];
const SPLITS: [Kind, string][] = [
  ["hosts", "Hosts"],
  ["ports", "Ports"],
  ["protocols", "Protocols"],
  ["interfaces", "Interfaces"],
];
const WAYS: Record<Kind, string[]> = {
  hosts: ["_in", "_out"],
  ports: [""],
  protocols: [""],
  interfaces: ["_in", "_out", "_internal", "_transit", "_none"],
};
/** Rows that a breakdown asks for. */
const ROWS = 1_000;

interface Span {
  key: string;
  /** As the API takes them. */
  from: string;
  to: string;
  /** The same span, before. */
  before: { from: string; to: string };
  length: number;
  /** Whether it ends now, and so moves on. */
  isMoving: boolean;
}

/** The span that an address names; a day if it names none. */
function span(parameters: URLSearchParams): Span {
  const [from, to] = [Number(parameters.get("from")), Number(parameters.get("to"))];
  if (Number.isFinite(from) && Number.isFinite(to) && from > 0 && to > from) {
    const length = to - from;
    const before = { from: `@${from - length}`, to: `@${from}` };
    return { key: `${from}-${to}`, from: `@${from}`, to: `@${to}`, before, length, isMoving: false };
  }
  const [key, , length] = RANGES.find(([key]) => key === parameters.get("range")) ?? RANGES[1]!;
  const before = { from: `${2 * length}s`, to: `${length}s` };
  return { key, from: `${length}s`, to: "now", before, length, isMoving: true };
}

const seconds = (text: string) => Date.parse(text) / 1000;
const number = (row: HistoryRow | undefined, key: string) => Number(row?.[key] ?? 0);
const sum = (row: HistoryRow | undefined, what: string, ways: string[]) => ways.reduce((all, way) => all + number(row, `${what}${way}`), 0);

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
            <button type="button" key={kind} aria-pressed={kind === split} onClick={() => change({ split: kind })}>
              {name}
            </button>
          ))}
        </div>
        <Breakdown key={split} kind={split} asked={asked} parameters={parameters} />
      </section>
    </>
  );
}

const NOUN: Record<Kind, string> = { hosts: "host", ports: "port", protocols: "protocol", interfaces: "interface" };

/** One host, port, protocol or interface. */
export function One({ kind, name, parameters }: { kind: Kind; name: string; parameters: URLSearchParams }) {
  useSettings();
  const asked = span(parameters);
  const [protocol, port] = name.split("/");
  const usual = kind === "ports" ? service(protocol, Number(port)) : "";
  const back = new URLSearchParams(parameters);
  back.set("split", kind);
  back.delete("compare");
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
      <Known kind={kind} name={name} />
    </>
  );
}

function Ranges({ asked, parameters }: { asked: Span; parameters: URLSearchParams }) {
  const to = asked.isMoving ? Math.floor(Date.now() / 1000) : Number(asked.to.slice(1));
  const go = (from: number, to: number) => change({ range: null, from: String(Math.round(from)), to: String(Math.round(to)) });
  const isCompared = parameters.get("compare") === "1";
  return (
    <div class="ranges">
      <div class="tabs" role="group" aria-label="Range">
        {RANGES.map(([key, name]) => (
          <button type="button" key={key} aria-pressed={asked.key === key} onClick={() => change({ range: key, from: null, to: null })}>
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
      <div class="facts-row">
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
          <Amount name={main.error ? "" : "Loading"} value="…" />
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
            height={280}
            isStepped
            onRange={(from, to) => to - from >= 30 && change({ range: null, from: String(Math.floor(from)), to: String(Math.ceil(to)) })}
          />
          <p class="note">
            {when(drawn.from, 60)} to {when(drawn.to, 60)}, by {step(answer)}. Drag to look closer.
            {answer.approximate_before && ` Days before ${when(seconds(answer.approximate_before), 86_400)} are those of UTC.`}
          </p>
          <ChartTable title={title} times={drawn.times} step={drawn.step} series={drawn.series} />
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

/** What is known of one thing beside its traffic. */
function Known({ kind, name }: { kind: Kind; name: string }) {
  if (kind === "hosts") return <KnownHost name={name} />;
  if (kind === "interfaces") return <KnownInterface name={name} />;
  return null;
}

interface HostRow {
  addr: string;
  mac: string | null;
  local: boolean;
  bytes_in: number;
  bytes_out: number;
  first: string;
  last: string;
}

function KnownHost({ name }: { name: string }) {
  const { answer } = useAsked(`host ${name}`, () => get<{ hosts: HostRow[] }>("hosts", { name }), 10);
  // Days are kept for years: the first one with traffic is when it was first seen.
  const days = useAsked(`days ${name}`, () => history({ what: "hosts", name, from: `${499 * 86_400}s`, by: "day", points: "500" }));
  const host = answer?.hosts[0];
  const series = days.answer?.rows[0]?.series ?? {};
  const first = (days.answer?.points ?? []).findIndex((_, at) => (series.packets_in?.[at] ?? 0) + (series.packets_out?.[at] ?? 0) > 0);
  const row = days.answer?.rows[0];
  const since = first >= 0 ? days.answer?.points[first] : undefined;
  const isOld = since && host && seconds(since.end) < seconds(host.first);
  return (
    <section class="card">
      <h2>Host</h2>
      <dl class="facts">
        <Fact name="Address">{name}</Fact>
        <Fact name="MAC">{host?.mac ?? row?.mac ?? "not known: only those of local hosts are seen"}</Fact>
        <Fact name="Where">{(host?.local ?? row?.local) ? "in the local network" : host || row ? "outside" : "not known"}</Fact>
        <Fact name="First seen">{isOld || (since && !host) ? when(seconds(since.start), 86_400) : host ? moment(seconds(host.first)) : "not known"}</Fact>
        <Fact name="Last seen">{host ? moment(seconds(host.last)) : "not since the start of the daemon"}</Fact>
        {host && (
          <Fact name="Since the start">
            {bytes(host.bytes_in)} received, {bytes(host.bytes_out)} sent
          </Fact>
        )}
      </dl>
    </section>
  );
}

function KnownInterface({ name }: { name: string }) {
  const { answer } = useAsked(`interface ${name}`, () => get<{ interfaces: InterfaceRow[] }>("interfaces"), 5);
  const found = answer?.interfaces.find((i) => i.name === name);
  if (!found) return null;
  const list = (numbers: Record<string, number>) =>
    Object.entries(numbers)
      .filter(([, many]) => many > 0)
      .map(([key, many]) => `${key.replaceAll("_", " ")} ${exact(many)}`)
      .join(", ") || "none";
  return (
    <section class="card">
      <h2>Interface</h2>
      <dl class="facts">
        <Fact name="State">{found.is_capturing ? "capturing" : "not capturing"}</Fact>
        <Fact name="Link type">{found.link_type}</Fact>
        <Fact name="Dropped">{list(found.drops)}</Fact>
        <Fact name="Kernel’s counters">{list(found.kernel)}</Fact>
        <Fact name="Errors in frames">{list(found.errors)}</Fact>
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface BreakdownProps {
  kind: Kind;
  asked: Span;
  parameters: URLSearchParams;
}

type Line = HistoryRow & { rest?: "other" | "none" };

function Breakdown({ kind, asked, parameters }: BreakdownProps) {
  const every = asked.isMoving ? (asked.length <= 3_600 ? 15 : 60) : undefined;
  const found = useAsked(
    `${kind} ${asked.key}`,
    () => history({ what: kind, by: "none", top: String(ROWS), from: asked.from, to: asked.to }),
    every,
  );
  const { answer, error } = found;
  if (error && !answer) return <p class="notice bad" role="alert">{error}</p>;
  if (!answer) return <p class="empty">Loading…</p>;
  return <Rows key={kind} kind={kind} answer={answer} found={found} parameters={parameters} />;
}

const name = (kind: Kind, row: Line): string => {
  if (row.rest) return row.rest;
  if (kind === "hosts") return String(row.addr);
  if (kind === "ports") return `${row.protocol}/${row.port}`;
  return String(kind === "protocols" ? row.protocol : row.name);
};

function Rows({ kind, answer, parameters }: { kind: Kind; answer: Answer; found: Asked<Answer>; parameters: URLSearchParams }) {
  const ways = WAYS[kind];
  // A packet has two hosts: it is received by one and sent by another.
  const whole = sum(answer.total, "bytes", ways);
  const most = answer.rows.reduce((top, row) => Math.max(top, sum(row, "bytes", ways)), 0);
  const isCounted = (row: HistoryRow) => sum(row, "packets", ways) > 0;
  const rest: Line[] = (["other", "none"] as const).map((rest) => ({ ...answer[rest], rest })).filter(isCounted);
  const label = kind === "hosts" ? "Host" : kind === "ports" ? "Port" : kind === "protocols" ? "Protocol" : "Interface";
  const says: Record<string, string> = { other: "other", none: kind === "ports" ? "without a port" : "not IP" };
  const columns: Column<Line>[] = [
    {
      key: NOUN[kind],
      label,
      value: (row) => name(kind, row),
      show: (row) => (row.rest ? <i>{says[row.rest]}</i> : <a href={linkTo(kind, name(kind, row), parameters)}>{name(kind, row)}</a>),
    },
  ];
  const amount = (key: string, label: string, of: (row: Line) => number, isWide = false): Column<Line> => ({
    key,
    label,
    value: of,
    show: (row) => bytes(of(row)),
    isNumber: true,
    isWide,
  });
  if (kind === "hosts") {
    columns.push(
      { key: "mac", label: "MAC", value: (row) => row.mac ?? "", isWide: true },
      { key: "where", label: "Where", value: (row) => (row.rest ? "" : row.local ? "local" : "outside"), isWide: true },
      amount("bytes_in", "Received", (row) => number(row, "bytes_in")),
      amount("bytes_out", "Sent", (row) => number(row, "bytes_out")),
    );
  } else if (kind === "ports") {
    columns.push({ key: "service", label: "Usual service", value: (row) => service(row.protocol, row.port) });
  } else if (kind === "interfaces") {
    columns.push(
      amount("bytes_in", "In", (row) => number(row, "bytes_in")),
      amount("bytes_out", "Out", (row) => number(row, "bytes_out")),
      amount("bytes_inside", "Inside", (row) => sum(row, "bytes", ways.slice(2)), true),
    );
  }
  columns.push({ key: "packets", label: "Packets", value: (row) => sum(row, "packets", ways), show: (row) => count(sum(row, "packets", ways)), isNumber: true, isWide: true });
  columns.push({ ...amount("total", kind === "hosts" ? "Both" : "Volume", (row) => sum(row, "bytes", ways)), isWide: kind === "hosts" });
  const title = SPLITS.find(([k]) => k === kind)?.[1] ?? "";
  const table = (more: Column<Line>[] = []) => (
    <Table
      title={title}
      columns={[
        ...columns,
        ...more,
        { key: "share", label: "Share", value: (row) => (whole > 0 ? sum(row, "bytes", ways) / whole : 0), show: (row) => <Share part={sum(row, "bytes", ways)} whole={whole} most={most} />, isNumber: true },
      ]}
      rows={answer.rows as Line[]}
      rest={rest}
      id={(row) => name(kind, row)}
      of={answer.count}
      file={`brightstat-${kind}-${answer.from.slice(0, 10)}`}
      empty="Nothing was counted in this span. (A minute is there when it has ended.)"
    />
  );
  if (kind === "interfaces") return <Interfaces table={table} seconds={seconds(answer.to) - seconds(answer.from)} />;
  return (
    <>
      {kind === "hosts" && <p class="note split-note">Each frame is received by one host and sent by another: shares are of both together.</p>}
      {table()}
      {kind === "protocols" && <Errors />}
    </>
  );
}

/** Interfaces, with their use of the link and what the kernel says of them. */
function Interfaces({ table, seconds }: { table: (more: Column<Line>[]) => preact.JSX.Element; seconds: number }) {
  const status = useAsked("status", () => get<Status>("status"), 10);
  const live = useAsked("interfaces", () => get<{ interfaces: InterfaceRow[] }>("interfaces"), 10);
  const speed = (row: Line) => status.answer?.interfaces.find((i) => i.name === row.name)?.speed_bits_per_second ?? null;
  const peak = (row: Line) => Math.max(...["_in", "_out"].map((way) => number(row, `bits_per_second_max${way}`)));
  const use = (row: Line) => {
    const link = speed(row);
    return link && !row.rest ? peak(row) / link : null;
  };
  const kernel = (row: Line, what: RegExp) => {
    const numbers = live.answer?.interfaces.find((i) => i.name === row.name)?.kernel;
    if (!numbers) return null;
    return Object.entries(numbers).reduce((all, [key, many]) => (what.test(key) ? all + many : all), 0);
  };
  const shown = (value: number | null, as: (value: number) => string) => (value === null ? "–" : as(value));
  void seconds;
  return table([
    { key: "peak", label: "Peak", value: peak, show: (row) => rate(peak(row)), isNumber: true },
    { key: "link", label: "Peak of link", value: use, show: (row) => shown(use(row), percent), isNumber: true },
    { key: "dropped", label: "Not counted", value: (row) => number(row, "dropped"), show: (row) => exact(number(row, "dropped")), isNumber: true, isWide: true },
    { key: "kernel_errors", label: "Kernel: errors", value: (row) => kernel(row, /error/), show: (row) => shown(kernel(row, /error/), exact), isNumber: true, isWide: true },
    { key: "kernel_dropped", label: "Kernel: dropped", value: (row) => kernel(row, /drop|missed/), show: (row) => shown(kernel(row, /drop|missed/), exact), isNumber: true, isWide: true },
  ]);
}

const ERRORS: Record<string, string> = {
  truncated: "Truncated headers",
  malformed: "Malformed headers",
  bad_ipv4_checksum: "Wrong IPv4 header checksum",
  overlapping_fragment: "Overlapping fragments",
  tcp_reset: "TCP resets",
  tcp_retransmission: "TCP retransmissions",
  icmp_unreachable: "ICMP unreachable",
};

/** Errors by kind, since the start: they are not in the history. */
function Errors() {

  const { answer } = useAsked("errors", () => get<{ errors: Record<string, number> }>("live", { top: "1", seconds: "1" }), 10);
  if (!answer) return null;
  return (
    <>
      <h3>Errors since the start</h3>
      <dl class="facts two">
        {Object.entries(answer.errors).map(([key, many]) => (
          <Fact key={key} name={ERRORS[key] ?? key}>
            {exact(many)}
          </Fact>
        ))}
      </dl>
    </>
  );
}
