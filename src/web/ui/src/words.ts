// The page's words for what is counted: the only place where they are chosen. docs/GLOSSARY.md says
// what each means and what the API calls it; a test holds the page to them.

export const WORDS = {
  /** From outside to a local host. */
  download: "Download",
  /** From a local host to outside. */
  upload: "Upload",
  /** Between local hosts, between two outside hosts, and what is not IP. */
  atHome: "At home",
  /** By one host, wherever the other end is. */
  received: "Received",
  sent: "Sent",
  /** The share of a span during which an interface was captured. */
  recorded: "Recorded",
  notRecorded: "not recorded",
  /** Frames that arrived but could not be counted. */
  missed: "Missed packets",
  restarted: "Restarted",
  zoomOut: "Zoom out",
  greatest: "greatest",
} as const;

/** libpcap's names of link types (pcap-linktype(7)), in words for people. */
const LINK_TYPES: Record<string, string> = {
  EN10MB: "Ethernet",
  LINUX_SLL: "any interface (Linux)",
  LINUX_SLL2: "any interface (Linux)",
  RAW: "IP, without a link layer",
  IPV4: "IPv4, without a link layer",
  IPV6: "IPv6, without a link layer",
  NULL: "loopback",
  LOOP: "loopback",
  PPP: "PPP",
  PPP_ETHER: "PPPoE",
  IEEE802_11: "Wi-Fi",
  IEEE802_11_RADIO: "Wi-Fi, with radio data",
  PRISM_HEADER: "Wi-Fi, with radio data",
  IEEE802: "Token Ring",
  FDDI: "FDDI",
  NFLOG: "firewall log (NFLOG)",
  USB_LINUX: "USB",
};

/** One or several link types for people; an unknown one by libpcap's name. */
export const linkType = (names: string): string =>
  names === "" ? "not known yet" : names.split(", ").map((name) => LINK_TYPES[name] ?? name).join(", ");
