// Facts about one thing besides its traffic, and the services of a host or hosts of a service.

import { get, history, useAsked, type InterfaceRow } from "./api";
import { bytes, dateMoment, exact, moment, when } from "./format";
import { HostServices, ServiceHosts } from "./hostServices";
import { said, SOURCES, type HostName } from "./names";
import { type Kind } from "./route";
import { RANGES, seconds, type Span } from "./span";
import { capital, sinceStart, useStart } from "./start";
import { linkType, WORDS } from "./words";

interface KnownProps {
  kind: Kind;
  name: string;
  /** What a host is called. */
  called?: HostName;
  asked: Span;
  parameters: URLSearchParams;
}

/** The facts about one thing besides its traffic. */
export function Known({ kind, name, called, asked, parameters }: KnownProps) {
  const spanName = asked.isMoving
    ? asked.range === "today"
      ? "today"
      : `the last ${RANGES.find(([key]) => key === asked.range)?.[1].toLowerCase()}`
    : `${dateMoment(Number(asked.from.slice(1)))} to ${dateMoment(Number(asked.to.slice(1)))}`;
  const shown = { name, asked, spanName, parameters };
  if (kind === "hosts") return <KnownHost {...shown} called={called} />;
  if (kind === "interfaces") return <KnownInterface name={name} />;
  // TCP, UDP and SCTP list their hosts per port.
  if (kind === "ports" || !["tcp", "udp", "sctp"].includes(name)) return <ServiceHosts {...shown} />;
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

interface HostAnswer {
  hosts: HostRow[];
}

function KnownHost({ called, ...shown }: { name: string; called?: HostName; asked: Span; spanName: string; parameters: URLSearchParams }) {
  const { name } = shown;
  const start = useStart();
  const { answer } = useAsked(`host ${name}`, () => get<HostAnswer>("hosts", { name }), 10);
  // Days are kept for years: the first one with traffic is when the host was first seen.
  const days = useAsked(`days ${name}`, () => history({ what: "hosts", name, from: `${499 * 86_400}s`, by: "day", points: "500" }));
  const host = answer?.hosts[0];
  const series = days.answer?.rows[0]?.series ?? {};
  const first = (days.answer?.points ?? []).findIndex((_, at) => (series.packets_in?.[at] ?? 0) + (series.packets_out?.[at] ?? 0) > 0);
  const row = days.answer?.rows[0];
  const since = first >= 0 ? days.answer?.points[first] : undefined;
  const isOld = since && host && seconds(since.end) < seconds(host.first);
  return (
    <div class="about">
      <section class="card">
        <h2>Host</h2>
        <dl class="facts">
          {called && (
            <Fact name="Name">
              <bdi>{said(called)}</bdi> <small>from {SOURCES[called.source] ?? called.source}</small>
            </Fact>
          )}
          <Fact name="Address">{name}</Fact>
          <Fact name="MAC">{host?.mac ?? row?.mac ?? "not known (only a local host’s is seen)"}</Fact>
          <Fact name="Where">{(host?.local ?? row?.local) ? "in the local network" : host || row ? "outside" : "not known"}</Fact>
          <Fact name="First seen">{isOld || (since && !host) ? when(seconds(since.start), 86_400) : host ? moment(seconds(host.first)) : "not known"}</Fact>
          <Fact name="Last seen">{host ? moment(seconds(host.last)) : `not ${sinceStart(start)}`}</Fact>
          {host && (
            <Fact name={capital(sinceStart(start))}>
              {bytes(host.bytes_in)} received, {bytes(host.bytes_out)} sent
            </Fact>
          )}
        </dl>
      </section>
      <HostServices {...shown} />
    </div>
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
        <Fact name="State">{found.is_capturing ? "recording" : "not recording"}</Fact>
        <Fact name="Kind of link">{linkType(found.link_type) + (found.is_decoded === false ? " (counted, not decoded)" : "")}</Fact>
        <Fact name={WORDS.missed}>{list(found.drops)}</Fact>
        <Fact name="Kernel’s counters">{list(found.kernel)}</Fact>
        <Fact name="Errors in frames">{list(found.errors)}</Fact>
      </dl>
    </section>
  );
}

/** A line of a list of facts. */
export function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
