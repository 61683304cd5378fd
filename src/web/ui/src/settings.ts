// Settings that a person chooses once: stored in the browser.

import { useEffect, useState } from "preact/hooks";

const KEY = "brightstat.bytes";
const listeners = new Set<() => void>();

function stored(): boolean {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return false;
  }
}

let isBytes = stored();

/** Whether rates are shown in bytes per second, not bits. */
export const useBytes = () => isBytes;

/** Chooses bytes or bits for rates. */
export function setBytes(value: boolean): void {
  isBytes = value;
  try {
    localStorage.setItem(KEY, value ? "1" : "0");
  } catch {
    // See above.
  }
  for (const listener of listeners) listener();
}

/** Redraws the component when a setting changes. */
export function useSettings(): boolean {
  const [, draw] = useState(0);
  useEffect(() => {
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return isBytes;
}
