// The monitor itself: its health, what it misses, how much it stores.

import type { ComponentChildren } from "preact";
import { get, useAsked, type Status as Answer } from "./api";
import { bytes, count, decimal, duration, exact, moment, percent, roundRate } from "./format";
import { useSettings } from "./settings";
import { sinceStart } from "./start";
import { WORDS } from "./words";

const CLOCK: Record<string, string> = {
  trusted: "set, and trusted",
};

export function Status() {
  useSettings();
  const { answer, error, isLoading } = useAsked("status", () => get<Answer>("status"), 5);
  return (
    <>
      <h1>Status</h1>
      {error && (
        <p class="notice bad" role="alert">
          {error}
        </p>
      )}
      {!answer && isLoading && <p class="empty tall">Loading…</p>}
      {answer && <Facts status={answer} />}
    </>
  );
}

function Facts({ status }: { status: Answer }) {
  const { store, drops, clock, machine } = status;
  const lost = Object.values(drops).reduce((a, b) => a + b, 0);
  const share = status.packets > 0 ? lost / (lost + status.packets) : 0;
  const now = Date.parse(status.time) / 1000;
  return (
    <div class="columns">
      <Group title="Recording">
        {status.interfaces.map((i) => (
          <Fact key={i.name} name={i.name} isBad={!i.is_capturing}>
            {i.is_capturing ? "recording" : (i.trouble ?? "not recording")}
            {i.speed_bits_per_second ? `, ${roundRate(i.speed_bits_per_second)} link` : ""}
          </Fact>
        ))}
        <Fact name="Counted">
          {exact(status.packets)} packets, {bytes(status.bytes)}, {sinceStart(now - status.uptime_seconds)}
        </Fact>
        <Fact name={WORDS.missed} isBad={lost > 0}>
          {lost === 0 ? "none" : `${exact(lost)} (${percent(share)})`}
        </Fact>
        {lost > 0 && (
          <Fact name="Missed where">
            in the kernel {count(drops.kernel ?? 0)}, in the adapter {count(drops.interface ?? 0)}, in brightstat’s queue {count(drops.ring ?? 0)}
          </Fact>
        )}
        <Fact name="Hosts in memory">
          {exact(status.hosts.rows)} of at most {exact(status.hosts.limit)}
          {status.hosts.folded > 0 && `, ${exact(status.hosts.folded)} folded into “other”`}
        </Fact>
      </Group>
      <Group title="History">
        <Fact name="Database">
          <code>
            {store.database.split("/").map((part, at) => (
              <span key={at}>
                {at > 0 && "/"}
                <wbr />
                {part}
              </span>
            ))}
          </code>
        </Fact>
        <Fact name="Size">
          {bytes(store.size_bytes)}
          {store.max_size_bytes ? ` of at most ${bytes(store.max_size_bytes)}` : ""}
        </Fact>
        {machine?.disk_available_bytes != null && machine.disk_total_bytes != null && (
          <Fact name="Free on the disk" isBad={machine.disk_available_bytes < 0.05 * machine.disk_total_bytes}>
            {bytes(machine.disk_available_bytes)} of {bytes(machine.disk_total_bytes)}
          </Fact>
        )}
        <Fact name="Written to it">
          {store.written_bytes === null
            ? "not known"
            : store.written_bytes_per_day === null
              ? `${bytes(store.written_bytes)} so far (a day’s worth: after an hour)`
              : `${bytes(store.written_bytes_per_day)} a day, ${bytes(store.written_bytes)} ${sinceStart(now - status.uptime_seconds)}`}
        </Fact>
        <Fact name="Intervals">
          {exact(store.intervals_written)} written, {exact(store.intervals_waiting)} waiting
        </Fact>
        {store.intervals_lost > 0 && (
          <Fact name="Intervals lost" isBad>
            {exact(store.intervals_lost)}: there was no room for them on the disk, nor in memory
          </Fact>
        )}
        {store.trouble && (
          <Fact name="Trouble" isBad>
            {store.trouble}
          </Fact>
        )}
        {(store.tiers ?? []).map((tier) => (
          <Fact key={tier.name} name={`Each ${tier.name}`}>
            kept for {duration(tier.keep_seconds)}
            {tier.in_memory && ", in memory"}
          </Fact>
        ))}
      </Group>
      <Group title="Clock">
        <Fact name="State" isBad={clock.state !== "trusted"}>
          {CLOCK[clock.state] ?? clock.state}
        </Fact>
        <Fact name="Time there">{moment(now)}</Fact>
        {clock.held_intervals > 0 && <Fact name="Intervals held">{exact(clock.held_intervals)}, until the time is known</Fact>}
      </Group>
      <Group title="Monitor">
        <Fact name="Version">brightstat {status.version}</Fact>
        <Fact name="Running for">{duration(status.uptime_seconds)}</Fact>
        <Fact name="Memory">{status.memory_resident_bytes === null ? "not known" : bytes(status.memory_resident_bytes)}</Fact>
        <Fact name="Page">
          {exact(status.web.requests_answered)} requests answered, {exact(status.web.requests_refused)} refused
        </Fact>
        {machine?.name && (
          <Fact name="Machine">
            {machine.name}
            {machine.model ? `, ${machine.model}` : ""}
          </Fact>
        )}
        {machine && (
          <Fact name="CPU temperature" isBad={(machine.cpu_celsius ?? 0) >= 80}>
            {machine.cpu_celsius === null ? "no sensor" : `${exact(machine.cpu_celsius)} °C`}
          </Fact>
        )}
        {machine?.load != null && <Fact name="Load">{decimal(machine.load)}</Fact>}
        {machine?.memory_available_bytes != null && machine.memory_total_bytes != null && (
          <Fact name="Memory of the machine">
            {bytes(machine.memory_available_bytes)} free of {bytes(machine.memory_total_bytes)}
          </Fact>
        )}
      </Group>
    </div>
  );
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <dl class="facts">{children}</dl>
    </section>
  );
}

function Fact({ name, isBad, children }: { name: string; isBad?: boolean; children: ComponentChildren }) {
  return (
    <div class={isBad ? "bad" : ""}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
