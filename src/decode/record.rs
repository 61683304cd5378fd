//! The packet record: what the worker needs to know of one frame, in 64 bytes.
//!
//! Capture threads make records, the ring carries them, the worker thread counts
//! them. The record is plain data: `Copy`, no pointer, no lifetime.

use std::fmt;

use super::addr::{Addr, Mac};

/// The network layer that a frame carries: the EtherType level of the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Network {
    /// Anything else, and IP headers too broken to show two hosts.
    Other = 0,
    /// IPv4 with a readable header.
    Ipv4 = 1,
    /// IPv6 with a readable header.
    Ipv6 = 2,
    /// Address Resolution Protocol.
    Arp = 3,
}

impl Network {
    /// All of them, in the order of their numbers.
    pub const ALL: [Network; 4] = [Network::Other, Network::Ipv4, Network::Ipv6, Network::Arp];

    /// The name in reports and the API.
    pub fn name(self) -> &'static str {
        match self {
            Network::Other => "other",
            Network::Ipv4 => "ipv4",
            Network::Ipv6 => "ipv6",
            Network::Arp => "arp",
        }
    }
}

/// A defect of a frame's headers. The graver of `Truncated` and `Malformed` wins; a bad checksum is
/// kept besides, see [`PacketRecord::has_bad_checksum`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Defect {
    /// Nothing.
    None = 0,
    /// The IPv4 header's checksum does not match (RFC 791, section 3.1).
    BadChecksum = 1,
    /// The capture's snap length cuts off a header that is needed.
    Truncated = 2,
    /// A header contradicts itself or the frame's length.
    Malformed = 3,
}

/// The IP protocols whose headers the decoder reads.
pub mod protocol {
    /// Internet Control Message Protocol for IPv4.
    pub const ICMP: u8 = 1;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// Stream Control Transmission Protocol.
    pub const SCTP: u8 = 132;
    /// Internet Control Message Protocol for IPv6.
    pub const ICMPV6: u8 = 58;
    /// In an IPv6 record: the capture ends within the chain of extension headers, so the protocol
    /// is not known. No IPv6 packet really has this number, as hop-by-hop options (0) are always
    /// passed.
    pub const UNKNOWN_V6: u8 = 0;
}

/// The time stamp of a frame that has none (a pcapng simple packet block).
pub const NO_TIME: i64 = i64::MIN;

/// The record of one frame.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct PacketRecord {
    /// Nanoseconds since 1970-01-01 00:00 UTC, or [`NO_TIME`].
    pub timestamp: i64,
    /// The outermost IP header's source, [`Addr::NONE`] without one.
    pub source: Addr,
    /// The outermost IP header's destination, [`Addr::NONE`] without one.
    pub destination: Addr,
    /// Bytes on the wire: the pcap header's `len`.
    pub wire_len: u32,
    /// Bytes captured: the pcap header's `caplen`.
    pub captured_len: u32,
    /// Facts in one number, so that a flow's facts are compared at once. From the lowest bit on:
    /// both ports as in the frame (32 bits, source first, 0 where there are none), IP protocol (8),
    /// flags (8), and the last two bytes of `extra` (16).
    pub(super) facts: u64,
    /// Fragments: the offset in bytes, a multiple of 8. TCP segments: the sequence number after the
    /// last byte. Else 0. Without a sequence number, [`CHECKSUM_TOO`] is set if a graver defect
    /// hides a bad checksum.
    pub(super) sequence: u32,
    /// Fragments: identification (4 bytes) and length in bytes (2). Else the source MAC. The first
    /// four bytes are here, the others in `facts`.
    pub(super) extra: u32,
}

pub(super) const PROTOCOL_SHIFT: u32 = 32;
pub(super) const FLAGS_SHIFT: u32 = 40;
pub(super) const EXTRA_SHIFT: u32 = 48;

/// Flags: bits 0 to 1 are the network, then come these. The first three bits are the same for all
/// packets of a flow.
pub(super) const HAS_PORTS: u8 = 0x04;
/// Two bits.
pub(super) const DEFECT_SHIFT: u8 = 3;
/// TCP: reset. ICMP and ICMPv6: destination unreachable.
pub(super) const SIGNALS_ERROR: u8 = 0x20;
pub(super) const FRAGMENT: u8 = 0x40;
pub(super) const HAS_SEQUENCE: u8 = 0x80;

/// In [`PacketRecord::sequence`]: the IPv4 header's checksum does not match either.
const CHECKSUM_TOO: u32 = 1;

/// Bits of the facts that are the same for all packets of a flow: ports, protocol, network,
/// whether there are ports.
const FLOW_BITS: u32 = FLAGS_SHIFT + 3;

/// Where one fragment lies in its datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The identification field (16 bits of it for IPv4).
    pub identification: u32,
    /// First byte, counted from the datagram's payload.
    pub offset: u32,
    /// Bytes, at most 65,535.
    pub length: u32,
}

impl Default for PacketRecord {
    /// A record of no frame: nothing recognised, no bytes.
    #[inline]
    fn default() -> PacketRecord {
        PacketRecord {
            timestamp: 0,
            source: Addr::NONE,
            destination: Addr::NONE,
            wire_len: 0,
            captured_len: 0,
            facts: 0,
            sequence: 0,
            extra: 0,
        }
    }
}

impl PacketRecord {
    #[inline]
    fn flags(&self) -> u8 {
        (self.facts >> FLAGS_SHIFT) as u8
    }

    /// IP protocol (for IPv6 after the extension headers).
    #[inline]
    pub fn protocol(&self) -> u8 {
        (self.facts >> PROTOCOL_SHIFT) as u8
    }

    /// The EtherType level.
    #[inline]
    pub fn network(&self) -> Network {
        // A fifth needs another place than these two bits.
        const { assert!(Network::ALL.len() == 4) };
        match self.flags() & 3 {
            0 => Network::Other,
            1 => Network::Ipv4,
            2 => Network::Ipv6,
            _ => Network::Arp,
        }
    }

    /// Whether the network is IPv4 or IPv6.
    #[inline]
    pub fn is_ip(&self) -> bool {
        // Of 0 to 3, these are 1 and 2.
        const { assert!(Network::Ipv4 as u8 == 1 && Network::Ipv6 as u8 == 2) };
        (self.facts >> FLAGS_SHIFT).wrapping_add(1) & 2 != 0
    }

    /// The gravest defect of the frame.
    #[inline]
    pub fn defect(&self) -> Defect {
        match (self.flags() >> DEFECT_SHIFT) & 3 {
            0 => Defect::None,
            1 => Defect::BadChecksum,
            2 => Defect::Truncated,
            _ => Defect::Malformed,
        }
    }

    /// Whether the IPv4 header's checksum does not match, whatever else is wrong.
    pub fn has_bad_checksum(&self) -> bool {
        match self.defect() {
            Defect::None => false,
            Defect::BadChecksum => true,
            Defect::Truncated | Defect::Malformed => {
                self.flags() & HAS_SEQUENCE == 0 && self.sequence & CHECKSUM_TOO != 0
            }
        }
    }

    /// Source and destination port, where the frame shows them: TCP, UDP and SCTP, not in a
    /// fragment after the first.
    #[inline]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let [a, b, c, d, ..] = self.facts.to_le_bytes();
        let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        (self.flags() & HAS_PORTS != 0).then_some(ports)
    }

    /// Protocol, ports, network and a number below 2,097,152 as one number. It distinguishes the
    /// flows between two hosts.
    #[inline]
    pub fn flow_key(&self, number: usize) -> u64 {
        self.facts << (64 - FLOW_BITS) | number as u64
    }

    /// A record of only what [`PacketRecord::flow_key`] holds: protocol, ports and network.
    pub fn of_flow(key: u64) -> PacketRecord {
        PacketRecord { facts: key >> (64 - FLOW_BITS), ..PacketRecord::default() }
    }

    /// The service port: the lower of the two ports.
    #[inline]
    pub fn service_port(&self) -> Option<u16> {
        self.ports().map(|(source, destination)| source.min(destination))
    }

    /// The sequence number that follows this TCP segment's last, where the segment
    /// occupies sequence space (data, SYN or FIN).
    #[inline]
    pub fn next_sequence(&self) -> Option<u32> {
        (self.flags() & HAS_SEQUENCE != 0).then_some(self.sequence)
    }

    /// A TCP segment with the reset flag.
    #[inline]
    pub fn is_reset(&self) -> bool {
        self.flags() & SIGNALS_ERROR != 0 && self.protocol() == protocol::TCP
    }

    /// An ICMP or ICMPv6 "destination unreachable" message.
    #[inline]
    pub fn is_unreachable(&self) -> bool {
        self.flags() & SIGNALS_ERROR != 0 && self.protocol() != protocol::TCP
    }

    /// Whether any flag means extra work: a defect, a reset, an unreachable message or a fragment.
    /// One test for the common case in which none does.
    #[inline]
    pub fn is_remarkable(&self) -> bool {
        self.flags() & (SIGNALS_ERROR | FRAGMENT | 3 << DEFECT_SHIFT) != 0
    }

    /// The place of a fragment in its datagram; `None` for a whole datagram.
    pub fn fragment(&self) -> Option<Fragment> {
        let [a, b, c, d, high, low] = self.extra();
        (self.flags() & FRAGMENT != 0).then_some(Fragment {
            identification: u32::from_be_bytes([a, b, c, d]),
            offset: self.sequence & !CHECKSUM_TOO,
            length: u32::from(u16::from_be_bytes([high, low])),
        })
    }

    /// The hardware address that sent the frame, if its link layer shows one. Fragments hold none.
    #[inline]
    pub fn source_mac(&self) -> Mac {
        if self.flags() & FRAGMENT == 0 { Mac(self.extra()) } else { Mac::default() }
    }

    /// Whether there is a source MAC.
    #[inline]
    pub fn shows_mac(&self) -> bool {
        self.flags() & FRAGMENT == 0 && u64::from(self.extra) | self.facts >> EXTRA_SHIFT != 0
    }

    #[inline]
    fn extra(&self) -> [u8; 6] {
        let [a, b, c, d] = self.extra.to_le_bytes();
        let [.., e, f] = self.facts.to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// Sets the source MAC (or a fragment's fields in its place).
    #[inline]
    pub(super) fn set_extra(&mut self, [a, b, c, d, e, f]: [u8; 6]) {
        self.extra = u32::from_le_bytes([a, b, c, d]);
        let rest = u64::from(u16::from_le_bytes([e, f])) << EXTRA_SHIFT;
        self.facts = self.facts & !(0xffff << EXTRA_SHIFT) | rest;
    }

    #[inline]
    pub(super) fn set_flag(&mut self, flag: u8) {
        self.facts |= u64::from(flag) << FLAGS_SHIFT;
    }

    #[inline]
    pub(super) fn set_network(&mut self, network: Network) {
        self.set_flag(network as u8);
    }

    /// Sets the IP protocol, which must not have been set before.
    #[inline]
    pub(super) fn set_protocol(&mut self, protocol: u8) {
        self.facts |= u64::from(protocol) << PROTOCOL_SHIFT;
    }

    /// Sets the ports as they are in the frame; they must not have been set before.
    #[inline]
    pub(super) fn set_ports(&mut self, ports: [u8; 4]) {
        self.facts |= u64::from(u32::from_le_bytes(ports));
        self.set_flag(HAS_PORTS);
    }

    /// Sets a defect, unless a graver one is set already.
    #[inline]
    pub(super) fn set_defect(&mut self, defect: Defect) {
        if (self.flags() >> DEFECT_SHIFT) & 3 < defect as u8 {
            self.facts &= !(3 << DEFECT_SHIFT << FLAGS_SHIFT);
            self.set_flag((defect as u8) << DEFECT_SHIFT);
        }
    }

    /// Marks the IPv4 header's checksum as wrong. Call it when all else has been read: a frame with
    /// another defect loses its TCP sequence number for this. Its contradicting lengths have made
    /// that number doubtful.
    pub(super) fn set_bad_checksum(&mut self) {
        if self.defect() == Defect::None {
            return self.set_defect(Defect::BadChecksum);
        }
        if self.flags() & HAS_SEQUENCE != 0 {
            self.facts &= !(u64::from(HAS_SEQUENCE) << FLAGS_SHIFT);
            self.sequence = 0;
        }
        self.sequence |= CHECKSUM_TOO;
    }

    /// A header is missing: truncated if the capture cut the frame, else malformed.
    pub(super) fn set_short(&mut self) {
        let cut = self.captured_len < self.wire_len;
        self.set_defect(if cut { Defect::Truncated } else { Defect::Malformed });
    }

    /// Stores the place of a fragment, over the MAC and the TCP sequence.
    pub(super) fn set_fragment(&mut self, fragment: Fragment) {
        self.facts &= !(u64::from(HAS_SEQUENCE) << FLAGS_SHIFT);
        self.set_flag(FRAGMENT);
        self.sequence = fragment.offset;
        let [a, b, c, d] = fragment.identification.to_be_bytes();
        let [high, low] = u16::try_from(fragment.length).unwrap_or(u16::MAX).to_be_bytes();
        self.set_extra([a, b, c, d, high, low]);
    }
}

impl fmt::Debug for PacketRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketRecord")
            .field("network", &self.network())
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("protocol", &self.protocol())
            .field("ports", &self.ports())
            .field("wire_len", &self.wire_len)
            .field("captured_len", &self.captured_len)
            .field("defect", &self.defect())
            .field("fragment", &self.fragment())
            .field("mac", &self.source_mac())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_fits_a_cache_line() {
        assert_eq!(size_of::<PacketRecord>(), 64);
    }

    #[test]
    fn the_graver_defect_stays_and_a_bad_checksum_besides() {
        let mut record = PacketRecord::default();
        assert!(!record.has_bad_checksum());
        record.set_defect(Defect::Malformed);
        record.set_defect(Defect::Truncated);
        assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Malformed, false));
        record.set_bad_checksum();
        assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Malformed, true));
        let mut record = PacketRecord::default();
        record.set_bad_checksum();
        assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::BadChecksum, true));
    }
}
