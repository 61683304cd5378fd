// The busiest hosts at the moment: a list whose order changes only when rates differ clearly, and
// not at all while somebody points at it.

import { useEffect, useRef, useState } from "preact/hooks";
import { rate } from "./format";
import { HostLink, useNames } from "./names";
import { type Busy, type Live } from "./pulse";
import { linkTo } from "./route";
import { LIVE } from "./span";
import { WORDS } from "./words";

/** Milliseconds after the last pointer event until the list may reorder again. */
const STILL = 8_000;
const HERE = new URLSearchParams({ range: LIVE });
const NOBODY: Omit<Busy, "addr"> = { received: 0, sent: 0 };

/** Whether somebody points at the list, and the event handlers that detect it. */
function useStill() {
  const [isStill, setStill] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const hold = (time = STILL) => {
    setStill(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setStill(false), time);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const handlers = {
    onPointerEnter: () => hold(),
    onPointerMove: () => hold(),
    onPointerDown: () => hold(),
    // A lifted finger sends "leave" too; only a mouse has really left.
    onPointerLeave: (event: PointerEvent) => hold(event.pointerType === "mouse" ? 0 : STILL / 4),
    onFocusCapture: () => hold(),
    onKeyDown: () => hold(),
  };
  return { isStill, handlers };
}

export function Busiest({ live }: { live: Live }) {
  const { isStill, handlers } = useStill();
  const names = useNames();
  const order = useRef<string[]>([]);
  if (!isStill) order.current = live.busiest;
  const rows = order.current.map((addr) => ({ addr, ...(live.hosts.get(addr) ?? NOBODY) }));
  // Keep rows once shown, so that the content below does not move.
  const room = useRef(0);
  room.current = Math.max(room.current, rows.length);
  const most = rows.reduce((top, host) => Math.max(top, host.received + host.sent), 1);
  return (
    <section aria-label="Busiest hosts" class="card live busiest">
      <h2>
        Busiest hosts now <a href="#/history?range=hour&split=hosts">all of the last hour</a>
      </h2>
      {rows.length === 0 ? (
        <p class="empty">{live.pulse ? "Nobody sends or receives at the moment." : "Waiting for the first numbers."}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Busiest hosts now" {...handlers}>
          <table>
            <caption class="unseen">Busiest hosts of the last ten seconds. The order holds while it is read.</caption>
            <thead>
              <tr>
                <th scope="col">Host</th>
                <th scope="col" class="n">
                  <i class="dot" style={{ background: "var(--in)" }} />
                  {WORDS.received}
                </th>
                <th scope="col" class="n">
                  <i class="dot" style={{ background: "var(--out)" }} />
                  {WORDS.sent}
                </th>
                <th scope="col" class="bar">
                  <span class="unseen">Both, as a bar</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((host) => (
                <tr key={host.addr}>
                  <th scope="row" class="address">
                    <HostLink addr={host.addr} names={names} href={linkTo("hosts", host.addr, HERE)} />
                  </th>
                  <td class="n">{rate(host.received * 8)}</td>
                  <td class="n">{rate(host.sent * 8)}</td>
                  <td class="bar">
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                      <rect width={(host.received / most) * 100} height="10" style={{ fill: "var(--in)" }} />
                      <rect x={(host.received / most) * 100} width={(host.sent / most) * 100} height="10" style={{ fill: "var(--out)" }} />
                    </svg>
                  </td>
                </tr>
              ))}
              {Array.from({ length: room.current - rows.length }, (_, at) => (
                <tr key={`room ${at}`} class="room" aria-hidden="true">
                  <td colSpan={4}>{"\u00a0"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
