// Since when the daemon counts, in words.

import { dateMoment } from "./format";
import { since, useLive } from "./pulse";

/** When the daemon was started, Unix seconds; undefined if unknown. */
export function useStart(): number | undefined {
  const { pulse } = useLive();
  // Rounded to ten seconds: snapshots come at varying points of a second.
  return pulse && Math.round(since(pulse) / 10) * 10;
}

/** "since 25 Nov 00:54 (restart)". */
export const sinceStart = (start: number | undefined): string => (start === undefined ? "since the restart" : `since ${dateMoment(start)} (restart)`);

/** Capitalises the first letter. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
