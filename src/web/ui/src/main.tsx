// The frame around the views: navigation, and how the monitor fares.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { get, useAsked, type Status as Answer } from "./api";
import { duration, moment, ZONE } from "./format";
import { History, One } from "./history";
import { Now } from "./now";
import { useLive } from "./pulse";
import { range, useRoute, type Route } from "./route";
import { setBytes, useSettings } from "./settings";
import { Status } from "./status";
import "./style.css";

function App() {
  const route = useRoute();
  const isBytes = useSettings();
  const main = useRef<HTMLElement>(null);
  const place = `${route.view} ${route.kind ?? ""} ${route.name ?? ""}`;
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = title(route);
    // To where a new view begins, for those who read with a keyboard.
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
          {tab("history", "History", `#/history${range(route.parameters)}`)}
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
      <Notices />
      <main id="main" ref={main} tabIndex={-1}>
        {view(route)}
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

/** An uptime in whole minutes, once there are any: nothing needs to be read out each second. */
const calm = (seconds: number) => (seconds < 60 ? seconds : seconds - (seconds % 60));

/** One line: whether it watches, and what is wrong if anything is. */
function Health() {
  const { pulse, trouble, restarted } = useLive();
  if (trouble) {
    return (
      <p class="notice bad" role="alert">
        <b>No connection.</b> {trouble} {pulse ? "What is shown is from before; it is tried again all the time." : "It is tried again all the time."}
      </p>
    );
  }
  if (!pulse) return <p class="health">Connecting…</p>;
  const waiting = pulse.waiting;
  return (
    <>
      <p class="health" role="status">
        <i class={waiting.length > 0 ? "light off" : "light"} aria-hidden="true" />
        {waiting.length > 0 ? "Waiting for an interface" : "Watching"} for {duration(calm(pulse.uptime_seconds))}
        {restarted && Date.now() / 1000 - restarted < 600 && `. Started anew at ${moment(restarted)}: what is counted “since the start” begins there.`}
      </p>
      {waiting.length > 0 && (
        <p class="notice warn" role="alert">
          Nothing is captured on {waiting.join(", ")}. It is absent or down, and waited for. See <a href="#/status">Status</a>.
        </p>
      )}
    </>
  );
}

/** What its owner has to see to, such as a mistake in the settings on the card; on every view. */
function Notices() {
  const { answer } = useAsked("notices", () => get<Answer>("status"), 60);
  return (
    <>
      {(answer?.notices ?? []).map((notice) => (
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
