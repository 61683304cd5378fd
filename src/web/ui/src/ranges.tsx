// Chooses the span of time: the buttons above every view of the past.

import { useState } from "preact/hooks";
import { localInput } from "./format";
import { change } from "./route";
import { BACKWARDS, LIVE, RANGES, type Span } from "./span";
import { WORDS } from "./words";

const now = () => Date.now() / 1000;

/** Shows a span; one that ends now becomes the range of that length, if there is one. */
function go(from: number, to: number): void {
  const found = RANGES.find(([key, , length]) => key !== "today" && Math.abs(length - (to - from)) < 60);
  if (to >= now() - 1 && found) change({ range: found[0], from: null, to: null, page: null });
  else change({ range: null, from: String(Math.round(from)), to: String(Math.min(Math.round(to), Math.floor(now()))), page: null });
}

/** Zooms out to three times the length around the same middle; a range that ends now still does. */
function zoomOut(asked: Span, to: number): void {
  if (asked.isMoving) {
    const wider = RANGES.find(([, , length]) => length > asked.length * 1.01);
    if (wider) change({ range: wider[0], from: null, to: null, page: null });
    return;
  }
  const end = Math.min(to + asked.length, now());
  go(end - 3 * asked.length, end);
}

interface Props {
  asked: Span;
  parameters: URLSearchParams;
  /** Whether the live view can be chosen. */
  isOne?: boolean;
}

export function Ranges({ asked, parameters, isOne }: Props) {
  const [problem, setProblem] = useState("");
  const isLive = isOne && parameters.get("range") === LIVE;
  const to = asked.isMoving ? Math.floor(now()) : Number(asked.to.slice(1));
  const isCompared = parameters.get("compare") === "1";
  const choose = (range: string) => change({ range, from: null, to: null, page: null });
  return (
    <>
      {asked.problem && (
        <p class="notice warn" role="alert">
          {asked.problem} The last day is shown.
        </p>
      )}
      <div class="ranges">
        <div class="tabs" role="group" aria-label="Range">
          {isOne && (
            <button type="button" aria-pressed={isLive} onClick={() => choose(LIVE)}>
              Live
            </button>
          )}
          {RANGES.map(([key, name]) => (
            <button type="button" key={key} aria-pressed={!isLive && asked.range === key} onClick={() => choose(key)}>
              {name}
            </button>
          ))}
        </div>
        {!isLive && (
          <>
            <div class="tabs" role="group" aria-label="Move the range">
              <button type="button" title="The same length, earlier" aria-label="Earlier" onClick={() => go(to - 2 * asked.length, to - asked.length)}>
                ◀
              </button>
              <button
                type="button"
                title="The same length, later"
                aria-label="Later"
                disabled={asked.isMoving}
                onClick={() => (to + asked.length >= now() ? go(now() - asked.length, now()) : go(to, to + asked.length))}
              >
                ▶
              </button>
              <button type="button" disabled={asked.isMoving && asked.range === "year"} onClick={() => zoomOut(asked, to)}>
                {WORDS.zoomOut}
              </button>
            </div>
            <button type="button" class="toggle" aria-pressed={isCompared} onClick={() => change({ compare: isCompared ? null : "1" })}>
              Compare with {asked.beforeName}
            </button>
          </>
        )}
        <details class="pick">
          <summary>From, to</summary>
          <form
            key={asked.key}
            noValidate
            onSubmit={(event) => {
              event.preventDefault();
              const form = new FormData(event.currentTarget);
              const [from, to] = ["from", "to"].map((key) => Date.parse(String(form.get(key))) / 1000) as [number, number];
              if (to > from) {
                setProblem("");
                change({ range: null, from: String(from), to: String(to), page: null });
              } else {
                setProblem(Number.isNaN(from) || Number.isNaN(to) ? "Both moments need a date and a time." : BACKWARDS);
              }
            }}
          >
            <label>
              From <input type="datetime-local" name="from" required value={localInput(to - asked.length)} />
            </label>
            <label>
              To <input type="datetime-local" name="to" required value={localInput(to)} />
            </label>
            <button type="submit">Show</button>
            {problem && (
              <p class="notice bad" role="alert">
                {problem}
              </p>
            )}
          </form>
        </details>
      </div>
    </>
  );
}
