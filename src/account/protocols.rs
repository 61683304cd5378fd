//! The rows of IP protocols, and their names.

use super::interval::IntervalProtocol;
use super::ledger::{AtClose, Rows};
use super::ports::Ports;
use super::volume::Volume;
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

/// The counters by IP protocol. There is room for every protocol: none is ever folded.
pub(super) struct Protocols {
    /// IP packets without a port. Those with one are counted in their port's row.
    pub(super) portless: Box<[Volume; PROTOCOL_ROWS]>,
    /// Totals at the last base close.
    at_base: Box<[Volume; PROTOCOL_ROWS]>,
    at_close: Vec<AtClose<Volume, 1>>,
}

impl Protocols {
    /// No packets yet.
    pub(super) fn new() -> Protocols {
        Protocols {
            portless: Box::new([Volume::default(); PROTOCOL_ROWS]),
            at_base: Box::new([Volume::default(); PROTOCOL_ROWS]),
            at_close: Vec::new(),
        }
    }

    /// All IP packets by row: those without a port, and the sums of the ports' rows.
    pub(super) fn totals(&self, ports: &Ports) -> Box<[Volume; PROTOCOL_ROWS]> {
        let mut all = self.portless.clone();
        for (key, split) in ports.rows.iter() {
            all[usize::from(key.transport.number())] += split.total();
        }
        all
    }

    /// Closes the open fine interval, which was captured for `covered` milliseconds.
    pub(super) fn close_fine(&mut self, ports: &Ports, covered: u64) -> Vec<IntervalProtocol> {
        let now = self.totals(ports);
        self.at_close.resize(PROTOCOLS, AtClose::default());
        let rows = self.at_close.iter_mut().zip(now.iter()).enumerate();
        rows.filter_map(|(number, (at_close, total))| {
            let (volume, [rates]) = at_close.close_fine(*total, covered)?;
            Some(IntervalProtocol { number: number as u16, volume, rates })
        })
        .collect()
    }

    /// Closes the open base interval, which was captured for `covered` milliseconds and had
    /// `intervals` fine ones.
    pub(super) fn close_base(
        &mut self,
        ports: &Ports,
        covered: u64,
        intervals: u32,
    ) -> Vec<IntervalProtocol> {
        let now = self.totals(ports);
        let then = std::mem::replace(&mut self.at_base, now);
        self.at_close.resize(PROTOCOLS, AtClose::default());
        let rows = self.at_close.iter_mut().zip(self.at_base.iter().zip(then.iter())).enumerate();
        rows.filter_map(|(number, (at_close, (now, then)))| {
            let volume = *now - *then;
            let [rates] = at_close.close_base(volume, covered, intervals);
            let number = number as u16;
            (!volume.is_zero()).then_some(IntervalProtocol { number, volume, rates })
        })
        .collect()
    }
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
