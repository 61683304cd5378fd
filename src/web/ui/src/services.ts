// What usually listens on a service port (from IANA's registry, and what is common in homes).

const TEXT = `20 FTP data|21 FTP|22 SSH|23 Telnet|25 SMTP|37 Time|43 Whois|53 DNS|67 DHCP|68 DHCP|69 TFTP|70 Gopher|79 Finger|80 HTTP
88 Kerberos|110 POP3|111 RPC|119 NNTP|123 NTP|135 MS RPC|137 NetBIOS names|138 NetBIOS|139 SMB over NetBIOS|143 IMAP|161 SNMP|162 SNMP traps
179 BGP|194 IRC|389 LDAP|427 SLP|443 HTTPS|445 SMB|465 SMTPS|500 IKE|514 Syslog|515 LPD printing|520 RIP|546 DHCPv6|547 DHCPv6|548 AFP|554 RTSP
587 Mail submission|623 IPMI|631 IPP printing|636 LDAPS|853 DNS over TLS|873 rsync|993 IMAPS|995 POP3S|1080 SOCKS|1194 OpenVPN|1433 SQL Server
1521 Oracle|1701 L2TP|1723 PPTP|1812 RADIUS|1883 MQTT|1900 SSDP (UPnP)|2049 NFS|2375 Docker|3074 Xbox|3128 Proxy|3260 iSCSI|3306 MySQL|3389 Remote desktop
3478 STUN|3702 WS-Discovery|4500 IPsec NAT|5000 UPnP, Synology|5004 RTP|5060 SIP|5061 SIPS|5222 XMPP|5223 Apple push|5228 Google push|5353 mDNS
5355 LLMNR|5357 WSD|5432 PostgreSQL|5540 Matter|5683 CoAP|5900 VNC|6379 Redis|6667 IRC|6881 BitTorrent|7000 AirPlay|8008 Chromecast|8009 Chromecast
8080 HTTP|8123 Home Assistant|8443 HTTPS|8554 RTSP|8883 MQTT over TLS|9000 HTTP|9090 HTTP|9100 Printing|9993 ZeroTier|10001 UniFi|19302 STUN
25565 Minecraft|27015 Steam|27017 MongoDB|32400 Plex|41641 Tailscale|51820 WireGuard|667 brightstat`;

const NAMES = new Map<number, string>();
for (const entry of TEXT.split(/[|\n]/)) {
  const space = entry.indexOf(" ");
  NAMES.set(Number(entry.slice(0, space)), entry.slice(space + 1));
}

/** Other services use SCTP: those of telephone networks. */
const SCTP = new Map([
  [2905, "M3UA"],
  [3868, "Diameter"],
  [9899, "Tunnelled SCTP"],
  [36412, "S1 (4G)"],
  [36422, "X2 (4G)"],
  [38412, "NG (5G)"],
  [38422, "Xn (5G)"],
]);

/** The usual service on a port; over UDP, 443 and 80 are QUIC. */
export function service(protocol: string | undefined, port: number | undefined): string {
  if (port === undefined) return "";
  if (protocol === "udp" && (port === 443 || port === 80)) return "QUIC (HTTP/3)";
  if (protocol === "sctp") return SCTP.get(port) ?? "";
  return NAMES.get(port) ?? "";
}
