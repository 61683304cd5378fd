//! The rows of IP protocols, and their names.

use crate::decode::{Network, PacketRecord, protocol};

/// The row of IPv6 packets whose protocol is not known.
const UNKNOWN_PROTOCOL: u16 = 256;
/// Rows that are used.
pub(super) const PROTOCOLS: usize = 257;
/// Rounded up to a power of two: every packet indexes a row.
pub(super) const PROTOCOL_ROWS: usize = 512;

/// The row of a packet's protocol.
#[inline]
pub(super) fn protocol_row(record: &PacketRecord) -> u16 {
    match record.protocol() {
        0 => protocol_row_of_0(record.network()),
        number => u16::from(number),
    }
}

/// 0 is hop-by-hop options in IPv4, where it makes no sense, and "not known" in IPv6.
#[cold]
#[inline(never)]
fn protocol_row_of_0(network: Network) -> u16 {
    const { assert!(protocol::UNKNOWN_V6 == 0) };
    if network == Network::Ipv6 { UNKNOWN_PROTOCOL } else { 0 }
}

/// The usual lower-case name of an IP protocol (IANA protocol numbers), else its number.
pub fn protocol_name(number: u16) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipip",
        6 => "tcp",
        8 => "egp",
        9 => "igp",
        17 => "udp",
        27 => "rdp",
        33 => "dccp",
        41 => "ipv6",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        59 => "ipv6-nonxt",
        88 => "eigrp",
        89 => "ospf",
        94 => "ipip-nos",
        97 => "etherip",
        98 => "encap",
        103 => "pim",
        108 => "ipcomp",
        112 => "vrrp",
        115 => "l2tp",
        124 => "isis",
        132 => "sctp",
        136 => "udplite",
        137 => "mpls-in-ip",
        256 => "unknown",
        _ => return number.to_string(),
    };
    name.to_owned()
}

/// Classes of IP protocols: TCP, UDP, ICMP (of both IP versions), and all others.
pub const CLASSES: usize = 4;

/// The class of an IP protocol, below [`CLASSES`].
pub fn class_of(number: u16) -> usize {
    const TCP: u16 = protocol::TCP as u16;
    const UDP: u16 = protocol::UDP as u16;
    const ICMP: u16 = protocol::ICMP as u16;
    const ICMPV6: u16 = protocol::ICMPV6 as u16;
    match number {
        TCP => 0,
        UDP => 1,
        ICMP | ICMPV6 => 2,
        _ => 3,
    }
}
