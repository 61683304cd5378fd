// What hosts are called, as the daemon has learned by listening. A name is a claim of a stranger: it
// is shown as text beside the address, never in place of it.

import { get, useAsked } from "./api";

export interface HostName {
  name: string;
  source: string;
  /** Unrelated services share it: the true one is encrypted. */
  shared?: boolean;
}

export type HostNames = Record<string, HostName>;

const NONE: HostNames = {};

/** The names of hosts by address; empty until they are there, or if nobody wants them. */
export function useNames(isWanted = true): HostNames {
  const ask = () => (isWanted ? get<{ names: HostNames }>("names") : Promise.resolve({ names: NONE }));
  const { answer } = useAsked(isWanted ? "names" : "no names", ask, isWanted ? 10 : undefined);
  return answer?.names ?? NONE;
}

/** The name of one host. */
export const nameOf = (names: HostNames, addr: string): HostName | undefined => (Object.hasOwn(names, addr) ? names[addr] : undefined);

/** How a name was learned, for people. */
export const SOURCES: Record<string, string> = {
  dns: "a name server’s answer",
  dns_ptr: "a name server’s answer",
  mdns: "the device itself (multicast DNS)",
  mdns_ptr: "the device itself (multicast DNS)",
  llmnr: "the device itself (LLMNR)",
  nbns: "the device itself (NetBIOS)",
  nbdgm: "the device itself (NetBIOS)",
  dhcp: "the device, when it asked for its address",
  dhcp6: "the device, when it asked for its address",
  tls: "what was asked for (TLS)",
  quic: "what was asked for (QUIC)",
  http: "what was asked for (HTTP)",
};

/** The text of a name. */
export const said = (known: HostName): string => (known.shared ? `${known.name} (or behind it)` : known.name);

/** A link to a host: its name above its address, or the address alone. */
export function HostLink({ addr, names, href }: { addr: string; names: HostNames; href: string }) {
  const known = nameOf(names, addr);
  return known ? (
    <a href={href} class="named" title={SOURCES[known.source]}>
      {/* A name in another script must not reorder what stands beside it. */}
      <bdi>{said(known)}</bdi>
      <small>{addr}</small>
    </a>
  ) : (
    <a href={href}>{addr}</a>
  );
}
