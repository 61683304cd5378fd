// The first minute after a start: there is traffic, but no interval has ended yet.

import { get, useAsked, type Status } from "./api";
import { bytes, count, moment, shortMoment } from "./format";
import { since, useLive } from "./pulse";

/** Seconds after a start during which the first point may be missing. */
const YOUNG = 180;
/** The length of the first stored interval, and its delay until it can be read, seconds. */
const FIRST = 60;
const TAKES = 3;

/** Whether a span ends so soon after a start that its first point may still be missing. */
export function useIsYoung(end: number): boolean {
  const { pulse } = useLive();
  return pulse !== undefined && pulse.uptime_seconds < YOUNG && end > since(pulse);
}

/** When the first point can be read, Unix seconds: after the minute of the start has ended. */
export const firstPoint = (start: number): number => Math.ceil((start + 1) / FIRST) * FIRST + TAKES;

/** The traffic so far, and when the graph will begin. */
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
