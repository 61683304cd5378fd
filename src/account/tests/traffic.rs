//! Packets described in a few words, and the records that the decoder makes of them.

use proptest::prelude::*;

use crate::account::LocalNetworks;
use crate::decode::tests::frames::{
    ACK, ARP, FIN, IPV4, IPV6, Ipv4, RST, SYN, cat, ethernet, fragment_header, ipv6_between,
    options, tcp, udp,
};
use crate::decode::{LinkLayer, NO_TIME, PacketRecord, decode};

/// The payload of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    Udp(u16, u16),
    Tcp(u16, u16, u32, u8),
    Icmp(u8),
    Sctp(u16, u16),
    /// Another IP protocol.
    Ip(u8),
    /// A fragment of UDP: the offset in units of 8 bytes.
    Fragment(u16),
    /// IPv6 only: the extension headers leave the capture.
    LostInHeaders,
    /// Not IP, but ARP.
    Arp,
    /// Not IP: an EtherType the decoder lacks.
    Unknown,
    /// An IP header too broken to name a host.
    Broken,
}

/// A packet to build. Even hosts are in 10.0.0.0/8 and fd00::/8, odd ones in 198.18.0.0/15 and
/// 2001:db8::/32.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub is_v6: bool,
    pub source: u16,
    pub destination: u16,
    pub load: Load,
    /// Bytes of payload on the wire that were not captured.
    pub uncaptured: u16,
    pub timestamp: i64,
}

pub fn v4(host: u16) -> [u8; 4] {
    let [high, low] = host.to_be_bytes();
    if host.is_multiple_of(2) { [10, 0, high, low] } else { [198, 18, high, low] }
}

pub fn v6(host: u16) -> [u8; 16] {
    let [high, low] = host.to_be_bytes();
    let head = if host.is_multiple_of(2) { [0xfd, 0, 0, 0] } else { [0x20, 1, 0xd, 0xb8] };
    cat(&[&head, &[0; 10], &[high, low]]).try_into().unwrap()
}

impl Packet {
    /// An IPv4 packet from one host to another at time 1.
    pub fn new(source: u16, destination: u16, load: Load) -> Packet {
        Packet { is_v6: false, source, destination, load, uncaptured: 0, timestamp: 1 }
    }

    pub fn v6(source: u16, destination: u16, load: Load) -> Packet {
        Packet { is_v6: true, ..Packet::new(source, destination, load) }
    }

    pub fn at(self, timestamp: i64) -> Packet {
        Packet { timestamp, ..self }
    }

    /// The record that the decoder makes of it.
    pub fn record(&self) -> PacketRecord {
        let frame = self.frame();
        let wire_len = frame.len() as u32 + u32::from(self.uncaptured);
        let mut record = PacketRecord::default();
        decode(LinkLayer::Ethernet, &frame, wire_len, self.timestamp, &mut record);
        record
    }

    fn frame(&self) -> Vec<u8> {
        let (mut fragment, icmp) = (0, if self.is_v6 { 58 } else { 1 });
        let (protocol, payload) = match self.load {
            Load::Udp(source, destination) => (17, udp(source, destination, b"data")),
            Load::Tcp(source, destination, sequence, flags) => {
                (6, tcp((source, destination), sequence, flags, b"data"))
            }
            Load::Icmp(kind) => (icmp, vec![kind, 0, 0, 0, 0, 0, 0, 0]),
            // Its header begins like that of UDP.
            Load::Sctp(source, destination) => (132, udp(source, destination, b"data")),
            Load::Ip(protocol) => (protocol, vec![0; 8]),
            Load::LostInHeaders => (0, options(0).to_vec()),
            Load::Fragment(offset) => {
                fragment = offset;
                (17, udp(1_000, 2_000, &[0; 8]))
            }
            Load::Arp => return ethernet(ARP, &[0; 28]),
            Load::Unknown => return ethernet(0x88b5, &[0; 46]),
            Load::Broken => return ethernet(IPV4, &[0x41; 40]),
        };
        let missing = usize::from(self.uncaptured);
        if self.is_v6 {
            let (protocol, payload) = match self.load {
                Load::Fragment(at) => {
                    (44, cat(&[&fragment_header(protocol, at * 8, true), &payload]))
                }
                _ => (protocol, payload),
            };
            let mut packet =
                ipv6_between(v6(self.source), v6(self.destination), protocol, &payload);
            let length = (payload.len() + missing) as u16;
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            ethernet(IPV6, &packet)
        } else {
            let header = Ipv4 {
                source: v4(self.source),
                destination: v4(self.destination),
                fragment: if fragment == 0 { 0 } else { fragment | 0x2000 },
                total_len: Some((20 + payload.len() + missing) as u16),
                ..Ipv4::of(protocol)
            };
            ethernet(IPV4, &header.with(&payload))
        }
    }
}

fn load() -> impl Strategy<Value = Load> {
    // Few ports, so that flows come again; now and then any port.
    let port = || prop_oneof![4 => 1_u16..6, 1 => any::<u16>()];
    let flags = prop::sample::select(vec![ACK, ACK, ACK, SYN, FIN | ACK, RST]);
    prop_oneof![
        6 => (port(), port()).prop_map(|(a, b)| Load::Udp(a, b)),
        6 => (port(), port(), 1_u32..40, flags).prop_map(|(a, b, s, f)| Load::Tcp(a, b, s * 4, f)),
        1 => (0_u8..5).prop_map(Load::Icmp),
        1 => any::<u8>().prop_map(Load::Ip),
        1 => (port(), port()).prop_map(|(a, b)| Load::Sctp(a, b)),
        1 => (0_u16..20).prop_map(Load::Fragment),
        1 => Just(Load::LostInHeaders),
        1 => Just(Load::Arp),
        1 => Just(Load::Unknown),
        1 => Just(Load::Broken),
    ]
}

/// Any packet: mostly between few hosts, so that flows and rows come again.
pub fn packet() -> impl Strategy<Value = Packet> {
    let host = || prop_oneof![4 => 0_u16..24, 1 => any::<u16>()];
    let time = prop_oneof![9 => 0_i64..1 << 50, 1 => Just(NO_TIME)];
    (any::<bool>(), host(), host(), load(), 0_u16..1_400, time).prop_map(
        |(is_v6, source, destination, load, uncaptured, timestamp)| Packet {
            is_v6,
            source,
            destination,
            load,
            uncaptured,
            timestamp,
        },
    )
}

pub fn local(prefixes: &[&str]) -> LocalNetworks {
    LocalNetworks::exactly(prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect())
}

/// Sets of local networks to switch between.
pub fn local_networks(number: usize) -> LocalNetworks {
    match number % 4 {
        0 => LocalNetworks::private_and(Vec::new()),
        1 => local(&["198.18.0.0/15", "2001:db8::/32"]),
        2 => local(&["0.0.0.0/0", "::/0"]),
        _ => local(&[]),
    }
}

/// One action on the counters.
#[derive(Clone, Debug)]
pub enum Step {
    /// Packets of an interface, handed over together.
    Count(usize, Vec<Packet>),
    CloseInterval,
    CloseFine,
    CloseSecond,
    /// Milliseconds in which an interface was captured.
    Cover(usize, u64),
    SetLocal(usize),
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let packets = prop::collection::vec(packet(), 0..40);
    let step = prop_oneof![
        8 => (0_usize..3, packets).prop_map(|(interface, p)| Step::Count(interface, p)),
        2 => Just(Step::CloseInterval),
        4 => Just(Step::CloseFine),
        2 => Just(Step::CloseSecond),
        2 => (0_usize..3, 0_u64..1_500).prop_map(|(interface, time)| Step::Cover(interface, time)),
        1 => (0_usize..4).prop_map(Step::SetLocal),
    ];
    prop::collection::vec(step, 1..24)
}

/// Host limits: tiny ones, which evict all the time, and one that never evicts.
pub fn host_limit() -> impl Strategy<Value = usize> {
    prop_oneof![Just(2_usize), 3_usize..8, 8_usize..64, Just(100_000)]
}
