// The first minute after a start: there is traffic, but no interval has ended yet.

import { get, useAsked, type Status } from "./api";
import { bytes, count, moment, shortMoment } from "./format";
import { since, useLive } from "./pulse";

/** Seconds after a start in which the first point may be missing. */
const YOUNG = 180;
/** The first interval that is kept, seconds, and how long it takes to be there. */
const FIRST = 60;
const TAKES = 3;

/** Whether a span ends so soon after a start of the daemon that its first point may not be there. */
export function useIsYoung(end: number): boolean {
  const { pulse } = useLive();
  return pulse !== undefined && pulse.uptime_seconds < YOUNG && end > since(pulse);
}

/** When the first point will be there, Unix seconds: when the minute of the start has ended. */
export const firstPoint = (start: number): number => Math.ceil((start + 1) / FIRST) * FIRST + TAKES;

/** What is seen so far, and when the graph begins. */
export function Beginning() {
  const { pulse } = useLive();
  const { answer } = useAsked("beginning", () => get<Status>("status"), 10);
  if (!pulse) return null;
  const start = since(pulse);
  const all = pulse.totals.slice(0, 5).reduce((sum, bytes) => sum + bytes, 0);
  const packets = pulse.totals.slice(5).reduce((sum, packets) => sum + packets, 0);
  const isHeld = answer !== undefined && answer.clock.state !== "trusted";
  return (
    <p class="notice" role="status">
      Recording since {moment(start)}: {bytes(all)} in {count(packets)} packets so far, of {count(pulse.hosts.count)} hosts.{" "}
      {isHeld
        ? "The first point will be there as soon as this machine knows the time; nothing is lost until then."
        : `The first point will be there at ${shortMoment(firstPoint(start))}, when its minute has ended.`}{" "}
      <a href="#/">See what is going on now.</a>
    </p>
  );
}
