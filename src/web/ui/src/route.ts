// The address says what is shown, so that the back button and links work.
//
//   #/            now
//   #/history     the network, over a range, split by hosts, ports ...
//   #/host/ADDR   one host (port/tcp/443, protocol/tcp, interface/eth0 alike), over a range or live
//   #/status      the monitor itself

import { useEffect, useState } from "preact/hooks";

export type Kind = "hosts" | "ports" | "protocols" | "interfaces";

export interface Route {
  view: "now" | "history" | "one" | "status" | "lost";
  /** Of `one`: its kind and name. */
  kind?: Kind;
  name?: string;
  parameters: URLSearchParams;
}

const KINDS: Record<string, Kind> = {
  host: "hosts",
  port: "ports",
  protocol: "protocols",
  interface: "interfaces",
};

/** Parses an address. */
export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parameters = new URLSearchParams(query);
  const [first = "", ...rest] = path.split("/").filter((part) => part !== "");
  const name = rest.map(decode).join("/");
  if (first === "" && name === "") return { view: "now", parameters };
  if (first === "history" && name === "") return { view: "history", parameters };
  if (first === "status" && name === "") return { view: "status", parameters };
  const kind = KINDS[first];
  return kind && name !== "" ? { view: "one", kind, name, parameters } : { view: "lost", parameters };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of one thing, over the same range. */
export function linkTo(kind: Kind, name: string, parameters: URLSearchParams): string {
  const word = Object.keys(KINDS).find((key) => KINDS[key] === kind) ?? "host";
  const path = name.split("/").map(encodeURIComponent).join("/").replaceAll("%3A", ":");
  return `#/${word}/${path}${range(parameters)}`;
}

/** The parameters that select the time. */
export function range(parameters: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const key of ["range", "from", "to"]) {
    const value = parameters.get(key);
    if (value) kept.set(key, value);
  }
  const text = kept.toString();
  return text === "" ? "" : `?${text}`;
}

/** Changes parameters of the address; null removes one. */
export function change(changes: Record<string, string | null>, replace = false): void {
  const [path = "#/", query = ""] = (location.hash || "#/").split("?", 2);
  const parameters = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(key);
    else parameters.set(key, value);
  }
  const text = parameters.toString();
  const hash = text === "" ? path : `${path}?${text}`;
  if (hash === location.hash) return;
  if (replace) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = hash;
  }
}

/** The current address. */
export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const listener = () => setHash(location.hash);
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  return parse(hash);
}
