// The frame around the views: navigation, and the monitor's health.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, useAsked, type Status as Answer } from "./api";
import { duration, moment, ZONE } from "./format";
import { History, One } from "./history";
import { Now } from "./now";
import { useAge, useLive } from "./pulse";
import { range, useRoute, type Route } from "./route";
import { setBytes, useSettings } from "./settings";
import { LIVE } from "./span";
import { Status } from "./status";
import { WORDS } from "./words";
import "./style.css";

function App() {
  const route = useRoute();
  const isBytes = useSettings();
  const old = useAge();
  const { notices, isKnown } = useNotices();
  const main = useRef<HTMLElement>(null);
  const place = `${route.view} ${route.kind ?? ""} ${route.name ?? ""}`;
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = title(route);
    // Move the focus to the start of the new view, for keyboard users.
    if (!isFirst.current) {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [place]);
  const tab = (view: Route["view"], name: string, href: string) => (
    <a href={href} aria-current={route.view === view || (view === "history" && route.view === "one") ? "page" : undefined}>
      {name}
    </a>
  );
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>
        To the content
      </a>
      <header>
        <a class="brand" href="#/">
          <img src="icon.svg" alt="" width="28" height="28" />
          brightstat
        </a>
        <nav aria-label="Views">
          {tab("now", "Now", "#/")}
          {tab("history", "History", `#/history${route.parameters.get("range") === LIVE ? "" : range(route.parameters)}`)}
          {tab("status", "Status", "#/status")}
        </nav>
        <div class="choice" role="group" aria-label="Unit of rates">
          <button type="button" aria-pressed={!isBytes} onClick={() => setBytes(false)}>
            bit/s
          </button>
          <button type="button" aria-pressed={isBytes} onClick={() => setBytes(true)}>
            B/s
          </button>
        </div>
      </header>
      <Health />
      <Notices notices={notices} />
      <main id="main" ref={main} tabIndex={-1} class={old === undefined ? "" : "old"}>
        {isKnown && view(route)}
      </main>
      <footer>Times are those of {ZONE}. Bytes are whole frames on the wire.</footer>
    </>
  );
}

function title(route: Route): string {
  const names = { now: "Now", history: "History", one: route.name ?? "", status: "Status", lost: "Not found" };
  return `${names[route.view]} · brightstat`;
}

function view(route: Route) {
  switch (route.view) {
    case "now":
      return <Now />;
    case "history":
      return <History parameters={route.parameters} />;
    case "one":
      return <One key={`${route.kind}/${route.name}`} kind={route.kind ?? "hosts"} name={route.name ?? ""} parameters={route.parameters} />;
    case "status":
      return <Status />;
    case "lost":
      return (
        <section class="card">
          <h1>There is no such view</h1>
          <p>
            The address may be cut short. <a href="#/">See the network now.</a>
          </p>
        </section>
      );
  }
}

/** An uptime in whole minutes after the first: a screen reader should not read out each second. */
const calm = (seconds: number) => (seconds < 60 ? seconds : seconds - (seconds % 60));

/** One line: whether it watches, how old the numbers are, and what is wrong, if anything. */
function Health() {
  const { pulse, trouble, restarted } = useLive();
  const old = useAge();
  if (!pulse) {
    return trouble ? (
      <p class="notice bad" role="alert">
        <b>No connection.</b> {trouble} It is tried again all the time.
      </p>
    ) : (
      <p class="health">Connecting…</p>
    );
  }
  const waiting = pulse.waiting;
  // One line in every case, so that nothing below moves.
  return (
    <>
      {trouble || old !== undefined ? (
        <p class="health bad">
          <i class="light off" aria-hidden="true" />
          {trouble ? <b>No connection. </b> : null}
          {old !== undefined && (
            <b>
              No new numbers for <span aria-live="off">{duration(old)}</span>.
            </b>
          )}{" "}
          <span role="alert">{trouble ?? "brightstat does not answer, or its numbers stand still."} What is shown is from before.</span>
        </p>
      ) : (
        <p class="health" role="status">
          <i class={waiting.length > 0 ? "light off" : "light"} aria-hidden="true" />
          {waiting.length > 0 ? "Waiting for an interface" : "Watching"} for {duration(calm(pulse.uptime_seconds))}
          {restarted && Date.now() / 1000 - restarted < 600 && `. ${WORDS.restarted} at ${moment(restarted)}.`}
        </p>
      )}
      {waiting.length > 0 && (
        <p class="notice warn" role="alert">
          Nothing is recorded on {waiting.join(", ")}. It is absent or down, and waited for. See <a href="#/status">Status</a>.
        </p>
      )}
    </>
  );
}

/** Milliseconds that the view waits for the notices above it, so that they do not push it down. */
const ABOVE = 400;

/** Notices that the owner must act on, such as a mistake in the card's settings; on every view. */
function useNotices(): { notices: string[]; isKnown: boolean } {
  const { answer, error } = useAsked("notices", () => get<Answer>("status"), 60);
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), ABOVE);
    return () => clearTimeout(timer);
  }, []);
  return { notices: answer?.notices ?? [], isKnown: isLate || answer !== undefined || error !== undefined };
}

function Notices({ notices }: { notices: string[] }) {
  return (
    <>
      {notices.map((notice) => (
        <p key={notice} class="notice warn" role="alert" style={{ whiteSpace: "pre-line", overflowWrap: "anywhere" }}>
          {notice}
        </p>
      ))}
    </>
  );
}

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<App />, root);
}
