// What the traffic of a span consisted of: one table for each split.

import { get, history, useAsked, type History as Answer, type HistoryRow, type InterfaceRow, type Status } from "./api";
import { useIsYoung } from "./beginning";
import { bytes, count, exact, percent, rate } from "./format";
import { Fact } from "./known";
import { HostLink, nameOf, useNames } from "./names";
import { linkTo, type Kind } from "./route";
import { service } from "./services";
import { every, NOUN, number, seconds, share, SPLITS, sum, WAYS, type Span } from "./span";
import { sinceStart, useStart } from "./start";
import { Share, Table, type Column } from "./table";
import { WORDS } from "./words";

/** Rows that a breakdown requests. */
const ROWS = 1_000;

interface BreakdownProps {
  kind: Kind;
  asked: Span;
  parameters: URLSearchParams;
}

/** Explanations of the rows "other" and "none". */
const REST: Record<Kind, Record<"other" | "none", string>> = {
  hosts: { other: "quieter hosts, which are kept together", none: "frames that have no IP address" },
  ports: { other: "quieter ports, which are kept together", none: "frames that have no port, such as pings" },
  protocols: { other: "quieter protocols, which are kept together", none: "frames that have no IP protocol" },
  interfaces: { other: "other interfaces", none: "" },
};

type Line = HistoryRow & { rest?: "other" | "none" };

/** The table of a split. */
export function Breakdown({ kind, asked, parameters }: BreakdownProps) {
  const { answer, error } = useAsked(
    `${kind} ${asked.key}`,
    () => history({ what: kind, by: "none", top: String(ROWS), from: asked.from, to: asked.to }),
    every(asked),
  );
  if (error && !answer) return <p class="notice bad" role="alert">{error}</p>;
  if (!answer) return <p class="empty tall">Loading…</p>;
  return <Rows key={kind} kind={kind} answer={answer} parameters={parameters} />;
}

/** Multicast and broadcast: not the address of any host. */
const isGroup = (addr: string) => /^(22[4-9]|23\d)\.|^255\.255\.255\.255$|^ff[0-9a-f]{2}:/.test(addr);

const name = (kind: Kind, row: Line): string => {
  if (row.rest) return row.rest;
  if (kind === "hosts") return String(row.addr);
  if (kind === "ports") return `${row.protocol}/${row.port}`;
  return String(kind === "protocols" ? row.protocol : row.name);
};

function Rows({ kind, answer, parameters }: { kind: Kind; answer: Answer; parameters: URLSearchParams }) {
  const ways = WAYS[kind];
  const isYoung = useIsYoung(seconds(answer.to));
  const names = useNames(kind === "hosts");
  const called = (row: Line) => (row.rest ? undefined : nameOf(names, String(row.addr)));
  const of = (row: Line) => share(kind, row, answer.total);
  const most = answer.rows.reduce((top, row) => Math.max(top, of(row)[0]), 0);
  const isCounted = (row: HistoryRow) => sum(row, "packets", ways) > 0;
  const rest: Line[] = (["other", "none"] as const).map((rest) => ({ ...answer[rest], rest })).filter(isCounted);
  const label = kind === "hosts" ? "Host" : kind === "ports" ? "Port" : kind === "protocols" ? "Protocol" : "Interface";
  const says: Record<string, string> = { other: "other", none: kind === "ports" ? "without a port" : "not IP" };
  const columns: Column<Line>[] = [
    {
      key: NOUN[kind],
      label,
      isName: true,
      value: (row) => name(kind, row),
      also: (row) => called(row)?.name ?? "",
      show: (row) =>
        row.rest ? (
          <>
            <i>{says[row.rest]}</i> <small class="word">{REST[kind][row.rest]}</small>
          </>
        ) : (
          <>
            {kind === "hosts" ? (
              <HostLink addr={String(row.addr)} names={names} href={linkTo(kind, String(row.addr), parameters)} />
            ) : (
              <a href={linkTo(kind, name(kind, row), parameters)}>{name(kind, row)}</a>
            )}
            {kind === "ports" && <small class="narrow">{service(row.protocol, row.port)}</small>}
          </>
        ),
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
      { key: "mac", label: "MAC", value: (row) => row.mac ?? "", isName: true, isWide: true },
      { key: "where", label: "Where", isName: true, value: (row) => (row.rest ? "" : isGroup(String(row.addr)) ? "group" : row.local ? "local" : "outside"), isWide: true },
      amount("bytes_in", WORDS.received, (row) => number(row, "bytes_in")),
      amount("bytes_out", WORDS.sent, (row) => number(row, "bytes_out")),
    );
  } else if (kind === "ports") {
    columns.push({ key: "service", label: "Usual service", value: (row) => service(row.protocol, row.port), isName: true, isWide: true });
  } else if (kind === "interfaces") {
    columns.push(
      amount("bytes_in", WORDS.download, (row) => number(row, "bytes_in"), true),
      amount("bytes_out", WORDS.upload, (row) => number(row, "bytes_out"), true),
      amount("bytes_inside", WORDS.atHome, (row) => sum(row, "bytes", ways.slice(2)), true),
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
        { key: "share", label: "Share", value: (row) => (of(row)[1] > 0 ? of(row)[0] / of(row)[1] : 0), show: (row) => <Share part={of(row)[0]} whole={of(row)[1]} most={most} />, isNumber: true, isBar: true, isWide: kind === "interfaces" },
      ]}
      rows={answer.rows as Line[]}
      rest={rest}
      id={(row) => name(kind, row)}
      of={answer.count}
      file={`brightstat-${kind}-${answer.from.slice(0, 10)}`}
      parameters={parameters}
      empty={isYoung ? "The first minute is not over yet: what it held will be here then." : "Nothing was counted in this span."}
    />
  );
  if (kind === "interfaces") return <Interfaces table={table} />;
  return (
    <>
      {kind === "hosts" && <p class="note split-note">A share is of the network’s traffic. Each frame has a sender and a receiver, so the shares of all hosts add up to more than 100 %.</p>}
      {table()}
      {kind === "protocols" && <Errors />}
    </>
  );
}

/** Interfaces, with the utilisation of the link and the kernel's counters. */
function Interfaces({ table }: { table: (more: Column<Line>[]) => preact.JSX.Element }) {
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
  return (
    <>
      <p class="note split-note">The peak is that of the finest interval; the kernel’s own counters are since the interface came up.</p>
      {table([
        { key: "peak", label: "Peak rate", value: peak, show: (row) => rate(peak(row)), isNumber: true },
        { key: "link", label: "Peak of link", value: use, show: (row) => shown(use(row), percent), isNumber: true },
        { key: "dropped", label: WORDS.missed, value: (row) => number(row, "dropped"), show: (row) => exact(number(row, "dropped")), isNumber: true, isWide: true },
        { key: "kernel_errors", label: "Damaged (kernel)", value: (row) => kernel(row, /error/), show: (row) => shown(kernel(row, /error/), exact), isNumber: true, isWide: true },
        { key: "kernel_dropped", label: "Missed (kernel)", value: (row) => kernel(row, /drop|missed/), show: (row) => shown(kernel(row, /drop|missed/), exact), isNumber: true, isWide: true },
      ])}
    </>
  );
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
  const start = useStart();
  if (!answer) return null;
  return (
    <>
      <h3>
        Errors <small>{sinceStart(start)}, over all protocols</small>
      </h3>
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
