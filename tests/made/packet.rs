//! IP packets of every kind, each with what must be counted of it.
//!
//! The facts follow these rules: hosts are those of the outermost IP header; tunnels are payload;
//! every fragment counts under its protocol, only the first has ports; IPv6 extension headers are
//! walked, AH and ESP are not passed; the service port is the lower of the two; an IP length of 0
//! means "to the end of the frame".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::truth::Facts;

/// IP protocol numbers (IANA).
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AH: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT: u8 = 59;
    pub const OSPF: u8 = 89;
    pub const VRRP: u8 = 112;
    pub const SCTP: u8 = 132;
}
use protocol::{AH, ESP, GRE, ICMP, ICMPV6, IGMP, IPIP, IPV6, NO_NEXT, OSPF, SCTP, TCP, UDP, VRRP};

/// TCP flags (RFC 9293).
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
/// Flags of TCP: the end of what a program wrote.
pub const PSH: u8 = 8;

/// An IP packet, and the facts of a frame that carries it.
#[derive(Clone, Debug)]
pub struct Packet {
    /// For messages.
    pub name: &'static str,
    /// The bytes from the IP header on.
    pub bytes: Vec<u8>,
    /// What must be counted.
    pub facts: Facts,
}

impl Packet {
    /// Whether it is IPv6.
    pub fn is_v6(&self) -> bool {
        self.facts.network == "ipv6"
    }

    /// The same with an error.
    pub fn with(mut self, error: &'static str) -> Packet {
        self.facts = self.facts.with(error);
        self
    }

    /// The same under another name.
    pub fn named(mut self, name: &'static str) -> Packet {
        self.name = name;
        self
    }
}

/// The local end.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 10));
/// The remote end.
pub const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5));
/// The local end, IPv6.
pub const HERE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0x211, 0x22ff, 0xfe33, 0x4455));
/// The remote end, IPv6.
pub const THERE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x35));

/// The payload of an IP packet, and what counts of it.
#[derive(Clone)]
pub struct Payload {
    number: u8,
    bytes: Vec<u8>,
    service: Option<(&'static str, u16)>,
}

fn ports(transport: &'static str, number: u8, ports: (u16, u16), rest: &[u8]) -> Payload {
    let bytes = [&ports.0.to_be_bytes(), &ports.1.to_be_bytes(), rest].concat();
    Payload { number, bytes, service: Some((transport, ports.0.min(ports.1))) }
}

/// A UDP datagram with `size` bytes of data.
pub fn udp(from: u16, to: u16, size: usize) -> Payload {
    let mut rest = (8 + size as u16).to_be_bytes().to_vec();
    rest.resize(4 + size, 0);
    ports("udp", UDP, (from, to), &rest)
}

/// A TCP segment.
pub fn tcp(from: u16, to: u16, sequence: u32, flags: u8, size: usize) -> Payload {
    let mut rest = sequence.to_be_bytes().to_vec();
    rest.extend([0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
    rest.resize(16 + size, 0);
    ports("tcp", TCP, (from, to), &rest)
}

impl Payload {
    /// The same with this data at its end.
    pub fn with_data(mut self, data: &[u8]) -> Payload {
        let start = self.bytes.len() - data.len();
        self.bytes[start..].copy_from_slice(data);
        self
    }
}

/// SCTP (RFC 9260): a common header and a chunk.
pub fn sctp(from: u16, to: u16) -> Payload {
    let rest = [0, 0, 0, 9, 1, 2, 3, 4, 0, 3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0];
    ports("sctp", SCTP, (from, to), &rest)
}

/// Any other protocol.
pub fn other(number: u8, bytes: &[u8]) -> Payload {
    Payload { number, bytes: bytes.to_vec(), service: None }
}

/// The fields of an IPv4 header.
#[derive(Clone)]
pub struct V4 {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Options, a multiple of four bytes.
    pub options: Vec<u8>,
    pub identification: u16,
    /// "More fragments" is 0x2000; the rest counts in 8 bytes.
    pub fragment: u16,
    /// The value of the length field, if not the true length.
    pub length: Option<u16>,
}

impl Default for V4 {
    fn default() -> V4 {
        V4 {
            source: HERE,
            destination: THERE,
            options: Vec::new(),
            identification: 0x1234,
            fragment: 0,
            length: None,
        }
    }
}

impl V4 {
    /// Builds the packet.
    pub fn packet(&self, payload: &Payload) -> Packet {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) else {
            panic!("not IPv4: {} or {}", self.source, self.destination)
        };
        let header_len = 20 + self.options.len();
        let length = (header_len + payload.bytes.len()) as u16;
        let mut header = vec![0x40 | (header_len / 4) as u8, 0];
        header.extend(self.length.unwrap_or(length).to_be_bytes());
        header.extend(self.identification.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([64, payload.number, 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header.extend(&self.options);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        let is_later = self.fragment & 0x1fff != 0;
        let facts = Facts {
            network: "ipv4",
            ends: Some((self.source, self.destination)),
            protocol: Some(payload.number.into()),
            service: payload.service.filter(|_| !is_later),
            errors: Vec::new(),
        };
        Packet { name: "IPv4", bytes: [header, payload.bytes.clone()].concat(), facts }
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IPv4 packet between two addresses.
pub fn v4(source: IpAddr, destination: IpAddr, payload: &Payload) -> Packet {
    V4 { source, destination, ..V4::default() }.packet(payload)
}

/// An IPv6 packet. Each extension header is its number and its bytes (byte 0 is replaced by the
/// next header's number); the packet's protocol is that of the payload.
pub fn v6_with(
    source: IpAddr,
    destination: IpAddr,
    extensions: &[(u8, Vec<u8>)],
    payload: &Payload,
) -> Packet {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (source, destination) else {
        panic!("not IPv6: {source} or {destination}")
    };
    let mut inner = Vec::new();
    for (at, (_, extension)) in extensions.iter().enumerate() {
        let next = extensions.get(at + 1).map_or(payload.number, |(number, _)| *number);
        inner.push(next);
        inner.extend(&extension[1..]);
    }
    inner.extend(&payload.bytes);
    let first = extensions.first().map_or(payload.number, |(number, _)| *number);
    let length = (inner.len() as u16).to_be_bytes();
    let head = [&[0x60, 0, 0, 0], &length[..], &[first, 64]].concat();
    let bytes = [&head[..], &from.octets(), &to.octets(), &inner].concat();
    let facts = Facts {
        network: "ipv6",
        ends: Some((source, destination)),
        protocol: Some(payload.number.into()),
        service: payload.service,
        errors: Vec::new(),
    };
    Packet { name: "IPv6", bytes, facts }
}

/// An IPv6 packet without extension headers.
pub fn v6(source: IpAddr, destination: IpAddr, payload: &Payload) -> Packet {
    v6_with(source, destination, &[], payload)
}

/// Options of 8 bytes (RFC 8200): hop-by-hop (0) or for the destination (60).
pub fn options(number: u8) -> (u8, Vec<u8>) {
    (number, vec![0, 0, 1, 4, 0, 0, 0, 0])
}

/// A routing header of 24 bytes (RFC 8200; type 4 is that of RFC 8754).
fn routing() -> (u8, Vec<u8>) {
    (43, [vec![0, 2, 4, 0, 0, 0, 0, 0], vec![0x20; 16]].concat())
}

/// A fragment header (RFC 8200).
pub fn fragment_header(offset: u16, more: bool, identification: u32) -> (u8, Vec<u8>) {
    let field = (offset & 0xfff8 | u16::from(more)).to_be_bytes();
    (44, [&[0, 0], &field[..], &identification.to_be_bytes()].concat())
}

/// One valid packet of each kind: every link layer must show all of it.
pub fn assortment() -> Vec<Packet> {
    let inner = v4(HERE, THERE, &udp(1, 2, 3)).bytes;
    let inner6 = v6(HERE6, THERE6, &udp(1, 2, 3)).bytes;
    let gre = [&[0, 0, 8, 0], &inner[..]].concat();
    let port443 = tcp(50_000, 443, 77, ACK, 30);
    let option = |bytes: &[u8]| V4 { options: bytes.to_vec(), ..V4::default() };
    let later = |offset: u16| V4 { fragment: offset, identification: 9, ..V4::default() };
    let echo = [8, 0, 0, 0, 0, 1, 0, 1, 7, 7];
    let tail = other(UDP, &[0, 53, 0, 53, 0, 9, 0, 0]);
    let own = |payload| v6(HERE6, THERE6, payload);
    let extended = |headers: &[_], payload| v6_with(HERE6, THERE6, headers, payload);
    vec![
        v4(HERE, THERE, &udp(5353, 53, 40)).named("UDP"),
        v4(THERE, HERE, &tcp(443, 50_000, 5, ACK, 200)).named("TCP"),
        v4(HERE, THERE, &tcp(50_000, 443, 6, ACK, 0)).named("TCP without data"),
        v4(HERE, THERE, &other(ICMP, &echo)).named("ICMP"),
        v4(HERE, IpAddr::V4(Ipv4Addr::new(224, 0, 0, 22)), &other(IGMP, &[0x16; 8])).named("IGMP"),
        v4(HERE, THERE, &sctp(40_000, 3868)).named("SCTP"),
        v4(HERE, THERE, &other(GRE, &gre)).named("GRE with IPv4 inside"),
        v4(HERE, THERE, &other(IPIP, &inner)).named("IPv4 in IPv4"),
        v4(HERE, THERE, &other(IPV6, &inner6)).named("IPv6 in IPv4"),
        v4(HERE, THERE, &other(ESP, &[9; 32])).named("ESP"),
        v4(HERE, THERE, &other(AH, &[17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 53, 0, 53]))
            .named("AH, not passed"),
        v4(HERE, THERE, &other(OSPF, &[2; 24])).named("OSPF"),
        v4(HERE, THERE, &other(VRRP, &[0x31; 20])).named("VRRP"),
        v4(HERE, THERE, &other(253, &[1; 20])).named("a protocol for experiments"),
        option(&[0x94, 4, 0, 0]).packet(&port443).named("router alert option"),
        option(&[1; 40]).packet(&udp(9, 10, 2)).named("40 bytes of options"),
        later(0x2000).packet(&udp(4500, 4501, 16)).named("first fragment"),
        later(3).packet(&tail).named("later fragment, whose bytes look like ports"),
        v4(HERE, THERE, &udp(4789, 50_001, 60)).named("VXLAN"),
        own(&udp(5353, 53, 40)).named("UDP on IPv6"),
        v6(THERE6, HERE6, &tcp(443, 50_000, 5, ACK, 200)).named("TCP on IPv6"),
        own(&other(ICMPV6, &[135, 0, 0, 0, 0, 0, 0, 0])).named("neighbour solicitation"),
        own(&sctp(2905, 2904)).named("SCTP on IPv6"),
        own(&other(NO_NEXT, &[])).named("no next header"),
        own(&other(ESP, &[3; 24])).named("ESP on IPv6"),
        own(&other(AH, &[6; 24])).named("AH on IPv6, not passed"),
        own(&other(IPIP, &inner)).named("IPv4 in IPv6"),
        extended(&[options(0)], &port443).named("hop-by-hop options"),
        extended(&[options(0), routing(), options(60)], &tcp(50_002, 443, 77, ACK, 30))
            .named("three extension headers"),
        extended(&[options(135), options(139), options(140)], &udp(7, 8, 9))
            .named("mobility, HIP and Shim6 headers"),
        extended(&[fragment_header(0, true, 7)], &udp(111, 2049, 8)).named("IPv6 first fragment"),
        extended(&[fragment_header(16, false, 7)], &tail).named("IPv6 later fragment"),
        extended(&[fragment_header(0, false, 8)], &udp(70, 71, 8)).named("IPv6 atomic fragment"),
    ]
}
