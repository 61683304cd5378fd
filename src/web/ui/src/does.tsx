// What a host does: its ports and protocols, since the start of the daemon.

import { bytes, count } from "./format";
import { linkTo } from "./route";
import { service } from "./services";
import { Share, Table, type Column } from "./table";

/** Four counters, as the API names them. */
export interface InOut {
  bytes_in: number;
  bytes_out: number;
  packets_in: number;
  packets_out: number;
}

export interface ServiceRow extends InOut {
  protocol: string;
  port: number | null;
}

interface Line extends InOut {
  name: string;
  service: string;
  rest?: string;
}

const KEYS = ["bytes_in", "bytes_out", "packets_in", "packets_out"] as const;
const both = (row: InOut) => row.bytes_in + row.bytes_out;
const packets = (row: InOut) => row.packets_in + row.packets_out;

/** Adds up rows of the same name. */
function grouped(rows: Line[]): Line[] {
  const groups = new Map<string, Line>();
  for (const row of rows) {
    const group = groups.get(row.name);
    if (!group) groups.set(row.name, { ...row });
    else for (const key of KEYS) group[key] += row[key];
  }
  return [...groups.values()];
}

interface DoesProps {
  name: string;
  services: ServiceRow[];
  other: InOut;
  parameters: URLSearchParams;
}

/** Two tables; in each, rows + other = the host. */
export function Does({ name, services, other, parameters }: DoesProps) {
  const rest: Line[] = packets(other) > 0 ? [{ ...other, name: "other", service: "", rest: "other" }] : [];
  const ports = services.filter((row) => row.port !== null);
  const portless = grouped(services.filter((row) => row.port === null).map((row) => ({ ...row, name: "none", service: "", rest: "without a port" })));
  const portLines = ports.map((row) => ({ ...row, name: `${row.protocol}/${row.port}`, service: service(row.protocol, row.port ?? undefined) }));
  const protocolLines = grouped(services.map((row) => ({ ...row, name: row.protocol, service: "" })));
  const table = (kind: "ports" | "protocols", label: string, rows: Line[], rest: Line[]) => {
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
            <i>{row.rest}</i>
          ) : (
            <>
              <a href={linkTo(kind, row.name, parameters)}>{row.name}</a>
              {row.service && <small class="narrow">{row.service}</small>}
            </>
          ),
      },
    ];
    if (kind === "ports") columns.push({ key: "service", label: "Usual service", value: (row) => row.service, isName: true, isWide: true });
    columns.push(
      amount("bytes_in", "Received"),
      amount("bytes_out", "Sent"),
      { key: "packets", label: "Packets", value: packets, show: (row) => count(packets(row)), isNumber: true, isWide: true },
      { key: "total", label: "Share", value: both, show: (row) => <Share part={both(row)} whole={whole} most={most} />, isNumber: true, isBar: true },
    );
    const title = kind === "ports" ? "Ports" : "Protocols";
    const isShort = kind === "protocols";
    return (
      <section class="card" aria-label={`${title} of ${name}`}>
        <h2>
          {title} <small>since the start</small>
        </h2>
        <Table
          title={title}
          columns={columns}
          rows={rows}
          rest={rest}
          id={(row) => row.name}
          file={`brightstat-${name.replaceAll(":", "_")}-${kind}`}
          empty="Nothing since brightstat was started."
          parameters={parameters}
          isShort={isShort}
          prefix={kind === "ports" ? "" : "p"}
        />
      </section>
    );
  };
  return (
    <>
      {table("protocols", "Protocol", protocolLines, rest)}
      {table("ports", "Port", portLines, [...portless, ...rest])}
    </>
  );
}
