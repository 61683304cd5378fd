// The services of a host in a span, by protocol and port; and the hosts that used a port.

import type { ComponentChildren } from "preact";
import { get, history, Refused, useAsked, type History, type HistoryRow } from "./api";
import { bytes, count } from "./format";
import { linkTo, type Kind } from "./route";
import { service } from "./services";
import { every, number, type Span } from "./span";
import { Share, Table, type Column } from "./table";
import { WORDS } from "./words";

/** Rows to request. */
const ROWS = "1000";
const KEYS = ["bytes_in", "bytes_out", "packets_in", "packets_out"] as const;
type InOut = Record<(typeof KEYS)[number], number>;

interface Line extends InOut {
  name: string;
  service: string;
  rest?: string;
  word?: string;
}

const both = (row: InOut) => row.bytes_in + row.bytes_out;
const packets = (row: InOut) => row.packets_in + row.packets_out;
const counters = (row: HistoryRow): InOut => Object.fromEntries(KEYS.map((key) => [key, number(row, key)])) as InOut;

/** Sums rows with the same name. */
function grouped(rows: Line[]): Line[] {
  const groups = new Map<string, Line>();
  for (const row of rows) {
    const group = groups.get(row.name);
    if (!group) groups.set(row.name, { ...row });
    else for (const key of KEYS) group[key] += row[key];
  }
  return [...groups.values()];
}

interface Found {
  rows: HistoryRow[];
  other: HistoryRow;
  /** Whether they are of the span; otherwise of all time since the start. */
  isOfSpan: boolean;
}

/**
 * The services of a host in a span. The history has those of local hosts only; for a remote host,
 * or from an older daemon, they are those since the start.
 */
async function servicesOf(host: string, asked: Span): Promise<Found> {
  let found: Found | null = null;
  try {
    const { rows, other } = await history({ what: "services", host, by: "none", top: ROWS, from: asked.from, to: asked.to });
    found = { rows, other, isOfSpan: true };
    if (rows.length > 0 || packets(counters(other)) === 0) return found;
  } catch (error) {
    if (!(error instanceof Refused && error.status === 400)) throw error;
  }
  const { services, other_services } = await get<{ services: HistoryRow[]; other_services: HistoryRow }>("hosts", { name: host });
  if (found && services.length === 0) return found;
  return { rows: services, other: other_services, isOfSpan: false };
}

interface Props {
  name: string;
  asked: Span;
  spanName: string;
  parameters: URLSearchParams;
}

/** Two tables; in each, rows + other = the host. */
export function HostServices({ name, asked, spanName, parameters }: Props) {
  const { answer, error } = useAsked(`services ${name} ${asked.key}`, () => servicesOf(name, asked), every(asked));
  const rows = answer?.rows ?? [];
  const other = counters(answer?.other ?? {});
  const rest: Line[] = packets(other) > 0 ? [{ ...other, name: "other", service: "", rest: "other", word: "not told apart by port and protocol" }] : [];
  const line = (row: HistoryRow, name: string): Line => ({ ...counters(row), name, service: service(row.protocol, row.port ?? undefined) });
  const hasPort = (row: HistoryRow) => row.port !== null && row.port !== undefined;
  const portless = grouped(rows.filter((row) => !hasPort(row)).map((row) => ({ ...line(row, "none"), service: "", rest: "without a port" })));
  const ports = rows.filter(hasPort).map((row) => line(row, `${row.protocol}/${row.port}`));
  const protocols = grouped(rows.map((row) => ({ ...line(row, String(row.protocol)), service: "" })));
  const small = answer?.isOfSpan === false ? "since the restart of brightstat" : spanName;
  const shown = { name, small, parameters, error, isLoading: !answer };
  return (
    <>
      <Amounts {...shown} kind="protocols" label="Protocol" rows={protocols} rest={rest} isShort prefix="p" />
      <Amounts {...shown} kind="ports" label="Port" rows={ports} rest={[...portless, ...rest]} prefix="" />
    </>
  );
}

/** The hosts of a service in a span; null from an older daemon, which does not store them. */
async function hostsOf(service: string, asked: Span): Promise<History | null> {
  try {
    return await history({ what: "services", service, by: "none", top: ROWS, from: asked.from, to: asked.to });
  } catch (error) {
    if (error instanceof Refused && error.status === 400) return null;
    throw error;
  }
}

/** The local hosts that used a port in a span. */
export function ServiceHosts({ name, asked, spanName, parameters }: Props) {
  const { answer, error } = useAsked(`hosts of ${name} ${asked.key}`, () => hostsOf(name, asked), every(asked));
  if (answer === null) return null;
  const rows = (answer?.rows ?? []).map((row): Line => ({ ...counters(row), name: String(row.addr), service: row.local ? "local" : "outside" }));
  return (
    <Amounts
      name={name}
      small={spanName}
      parameters={parameters}
      error={error}
      isLoading={!answer}
      kind="hosts"
      label="Host"
      rows={rows}
      rest={[]}
      prefix=""
      of={answer?.count}
      note="Hosts at home only: the history does not name what remote hosts did."
    />
  );
}

interface AmountsProps {
  kind: Kind;
  label: string;
  name: string;
  small: string;
  rows: Line[];
  rest: Line[];
  parameters: URLSearchParams;
  prefix: string;
  isShort?: boolean;
  of?: number;
  note?: ComponentChildren;
  error?: string;
  isLoading: boolean;
}

const TITLES: Record<Kind, string> = { hosts: "Hosts", ports: "Ports", protocols: "Protocols", interfaces: "Interfaces" };

function Amounts({ kind, label, name, small, rows, rest, parameters, prefix, isShort, note, error, isLoading, of }: AmountsProps) {
  const whole = [...rows, ...rest].reduce((all, row) => all + both(row), 0);
  const most = rows.reduce((top, row) => Math.max(top, both(row)), 0);
  const amount = (key: (typeof KEYS)[number], label: string): Column<Line> => ({
    key,
    label,
    value: (row) => row[key],
    show: (row) => bytes(row[key]),
    isNumber: true,
  });
  const columns: Column<Line>[] = [
    {
      key: label.toLowerCase(),
      label,
      isName: true,
      value: (row) => row.name,
      show: (row) =>
        row.rest ? (
          <>
            <i>{row.rest}</i> {row.word && <small class="word">{row.word}</small>}
          </>
        ) : (
          <>
            <a href={linkTo(kind, row.name, parameters)}>{row.name}</a>
            {row.service && <small class="narrow">{row.service}</small>}
          </>
        ),
    },
  ];
  if (kind === "ports") columns.push({ key: "service", label: "Usual service", value: (row) => row.service, isName: true, isWide: true });
  if (kind === "hosts") columns.push({ key: "where", label: "Where", value: (row) => row.service, isName: true, isWide: true });
  columns.push(
    amount("bytes_in", WORDS.received),
    amount("bytes_out", WORDS.sent),
    { key: "packets", label: "Packets", value: packets, show: (row) => count(packets(row)), isNumber: true, isWide: true },
    { key: "total", label: "Share", value: both, show: (row) => <Share part={both(row)} whole={whole} most={most} />, isNumber: true, isBar: true },
  );
  const title = TITLES[kind];
  return (
    <section class="card" aria-label={`${title} of ${name}`}>
      <h2>
        {title} <small>{small}</small>
      </h2>
      {note && <p class="note">{note}</p>}
      {error && (
        <p class="notice bad" role="alert">
          {error}
        </p>
      )}
      {isLoading ? (
        <p class={error ? "empty" : "empty tall"}>{error ? "" : "Loading…"}</p>
      ) : (
        <Table
          title={title}
          columns={columns}
          rows={rows}
          rest={rest}
          id={(row) => row.name}
          of={of}
          file={`brightstat-${name.replaceAll(/[:/]/g, "_")}-${kind}`}
          empty="Nothing was counted in this span."
          parameters={parameters}
          isShort={isShort}
          prefix={prefix}
        />
      )}
    </section>
  );
}
