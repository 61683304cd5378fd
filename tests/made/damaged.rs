//! Captures of frames with every kind of counted error, including resets and unreachable messages.

use super::Made;
use super::cases::{frames_of, made};
use super::link::{LINKS, Link, cat, ethernet};
use super::packet::{
    ACK, FIN, HERE, HERE6, Packet, RST, SYN, THERE, THERE6, V4, fragment_header, options, other,
    protocol::{ICMP, ICMPV6, TCP, UDP},
    tcp, udp, v4, v6, v6_with,
};
use super::truth::{Facts, Frame, UNKNOWN};

const ETHERNET: &Link = &LINKS[0];

/// All captures of this file.
pub fn all() -> Vec<Made> {
    let of = |name, packets: &[Packet]| made(name, 1, frames_of(ETHERNET, packets));
    let mut all = vec![
        of("bad-checksums", &bad_checksums()),
        of("malformed", &malformed()),
        made("malformed-links", 1, malformed_links()),
        of("resets", &resets()),
        of("retransmissions", &retransmissions()),
        of("unreachable", &unreachable()),
        of("overlaps", &overlaps()),
        made("ends-too-soon", 1, ends_too_soon()),
    ];
    all.extend(LINKS.iter().map(cut));
    all
}

fn bad_checksums() -> Vec<Packet> {
    let spoil = |mut packet: Packet| {
        packet.bytes[10] ^= 0x40;
        packet.with("bad_ipv4_checksum")
    };
    let option = V4 { options: vec![1; 8], ..V4::default() };
    vec![
        spoil(v4(HERE, THERE, &udp(1000, 53, 9))),
        v4(HERE, THERE, &udp(1000, 53, 9)),
        spoil(v4(HERE, THERE, &tcp(1001, 80, 1, ACK, 9))),
        spoil(option.packet(&udp(1000, 53, 9))),
        // The length also exceeds the frame: both errors are counted.
        {
            let both = V4 { length: Some(1000), ..V4::default() };
            spoil(both.packet(&udp(1000, 53, 9))).with("malformed")
        },
    ]
}

/// Headers that contradict themselves or the frame.
fn malformed() -> Vec<Packet> {
    // The header is too broken to name two hosts.
    let nameless = |mut packet: Packet, first: u8| {
        packet.bytes[0] = first;
        packet.facts = Facts::not_ip("other").with("malformed");
        packet
    };
    let datagram = || v4(HERE, THERE, &udp(1000, 53, 9));
    let short_header = |packet: Packet| {
        // A data offset below 5 words: the ports are still valid.
        let mut packet = packet;
        packet.bytes[20 + 12] = 0x40;
        packet.with("malformed")
    };
    let ends = |packet: Packet, length: usize| {
        let mut packet = packet.with("malformed");
        packet.facts = packet.facts.without_service();
        packet.bytes.truncate(length);
        packet
    };
    let claims = |length| V4 { length: Some(length), ..V4::default() }.packet(&udp(1000, 53, 9));
    let mut longer6 = v6(HERE6, THERE6, &udp(1000, 53, 9)).with("malformed");
    longer6.bytes[4] = 1;
    let mut packets = vec![
        nameless(datagram(), 0x44),
        nameless(datagram(), 0x55),
        short_header(v4(HERE, THERE, &tcp(1001, 80, 1, ACK, 9))),
        // Longer than the frame.
        claims(1000).with("malformed"),
        longer6,
        // The header claims less than four bytes of UDP.
        {
            let mut packet = claims(22).with("malformed");
            packet.facts = packet.facts.without_service();
            packet
        },
    ];
    // Shorter than its own header.
    packets.push({
        let mut packet = claims(12).with("malformed");
        packet.facts = packet.facts.without_service();
        packet
    });
    // Too short even for the ports, although the frame is complete.
    packets.push({
        let mut packet = ends(v4(HERE, THERE, &udp(1000, 53, 9)), 22);
        packet.bytes[2..4].copy_from_slice(&22_u16.to_be_bytes());
        let sum = {
            packet.bytes[10..12].fill(0);
            let words = packet.bytes[..20].chunks(2);
            let sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
            !((sum & 0xffff) + (sum >> 16)) as u16
        };
        packet.bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    });
    packets
}

/// Ethernet frames whose headers are incomplete, though nothing was cut.
fn malformed_links() -> Vec<Frame> {
    let bad = |bytes: Vec<u8>| Frame::new(bytes, Facts::not_ip("other").with("malformed"));
    vec![
        bad(vec![2; 13]),
        bad(ethernet([0x81, 0], &[0, 1, 8])),
        bad(ethernet([0x88, 0x47], &[0, 0, 0])),
        bad(ethernet([0x88, 0x47], &[0, 0, 0, 64, 0, 0, 0, 64])),
        bad(ethernet([8, 0], &[])),
        bad(ethernet([0x86, 0xdd], &[0x60; 39])),
        // Lengths of IEEE 802.3 and of PPPoE beyond the end of the frame; the packet is complete.
        lengthened(12, &LINKS[9]),
        lengthened(18, &LINKS[7]),
    ]
}

/// A frame whose length field at `at` claims more than there is.
fn lengthened(at: usize, link: &Link) -> Frame {
    let packet = v4(HERE, THERE, &udp(1000, 53, 9)).with("malformed");
    let mut frame = frames_of(link, &[packet]).remove(0);
    frame.bytes[at] = 1;
    frame
}

fn resets() -> Vec<Packet> {
    let reset = |from, to, sequence, flags| {
        v4(HERE, THERE, &tcp(from, to, sequence, flags, 0)).with("tcp_reset")
    };
    vec![
        v4(HERE, THERE, &tcp(1001, 80, 1, SYN, 0)),
        v4(THERE, HERE, &tcp(80, 1001, 0, RST | ACK, 0)).with("tcp_reset"),
        reset(1002, 80, 5, RST),
        v6(HERE6, THERE6, &tcp(1003, 443, 9, RST | ACK, 0)).with("tcp_reset"),
        // The same bit in UDP is data.
        v4(HERE, THERE, &udp(1004, 53, 12)),
    ]
}

/// A connection with lost segments, one whose sequence numbers wrap, and one that reuses ports.
fn retransmissions() -> Vec<Packet> {
    let data = |port, sequence: u32, size| v4(HERE, THERE, &tcp(port, 80, sequence, ACK, size));
    let again = |packet: Packet| packet.with("tcp_retransmission");
    let near = u32::MAX - 50;
    vec![
        v4(HERE, THERE, &tcp(1001, 80, 99, SYN, 0)),
        again(v4(HERE, THERE, &tcp(1001, 80, 99, SYN, 0))),
        data(1001, 100, 100),
        data(1001, 200, 100),
        again(data(1001, 100, 100)),
        again(data(1001, 200, 100)),
        // Partly new data is new; acknowledgements occupy no sequence numbers.
        data(1001, 250, 100),
        data(1001, 350, 0),
        data(1001, 350, 0),
        v4(HERE, THERE, &tcp(1001, 80, 350, FIN | ACK, 0)),
        again(v4(HERE, THERE, &tcp(1001, 80, 350, FIN | ACK, 0))),
        // Around zero.
        data(1002, near, 100),
        data(1002, near.wrapping_add(100), 100),
        again(data(1002, near, 100)),
        // A second connection with the same ports, far behind.
        data(1003, 3_000_000_000, 10),
        data(1003, 2_000_000_000, 10),
        // The same numbers in the other direction belong to no known connection.
        v4(THERE, HERE, &tcp(80, 1001, 100, ACK, 100)),
        v6(HERE6, THERE6, &tcp(1001, 80, 100, ACK, 100)),
        again(v6(HERE6, THERE6, &tcp(1001, 80, 100, ACK, 100))),
    ]
}

fn unreachable() -> Vec<Packet> {
    let inner = v4(HERE, THERE, &udp(1000, 53, 9)).bytes;
    let message = |kind, code| other(ICMP, &cat(&[&[kind, code, 0, 0, 0, 0, 0, 0], &inner]));
    let inner6 = v6(HERE6, THERE6, &udp(1000, 53, 9)).bytes;
    let message6 = |kind, code| other(ICMPV6, &cat(&[&[kind, code, 0, 0, 0, 0, 0, 0], &inner6]));
    vec![
        v4(THERE, HERE, &message(3, 3)).with("icmp_unreachable"),
        v4(THERE, HERE, &message(3, 4)).with("icmp_unreachable"),
        v4(THERE, HERE, &message(11, 0)),
        v4(THERE, HERE, &message(0, 3)),
        v6(THERE6, HERE6, &message6(1, 4)).with("icmp_unreachable"),
        // Packet too big, and time exceeded.
        v6(THERE6, HERE6, &message6(2, 0)),
        v6(THERE6, HERE6, &message6(3, 0)),
    ]
}

/// Fragments: in order, out of order, repeated, and overlapping.
fn overlaps() -> Vec<Packet> {
    let piece = |identification, offset: u16, size, more: bool| {
        let fragment = (offset / 8) | if more { 0x2000 } else { 0 };
        V4 { identification, fragment, ..V4::default() }.packet(&other(UDP, &vec![7; size]))
    };
    let piece6 = |identification, offset, size, more| {
        let header = fragment_header(offset, more, identification);
        v6_with(HERE6, THERE6, &[header], &other(UDP, &vec![7; size]))
    };
    let over = |packet: Packet| packet.with("overlapping_fragment");
    let first = |identification| {
        let header = V4 { identification, fragment: 0x2000, ..V4::default() };
        header.packet(&udp(111, 2049, 24))
    };
    vec![
        first(1),
        piece(1, 32, 32, true),
        piece(1, 64, 16, false),
        // Backwards.
        piece(2, 64, 16, false),
        piece(2, 32, 32, true),
        first(2),
        // Repeated, then overlapping the end of the previous one.
        first(3),
        over(first(3)),
        over(piece(3, 24, 32, true)),
        piece(3, 56, 8, false),
        piece6(4, 0, 32, true).named("first of IPv6").without_ports_of(111, 2049),
        piece6(4, 32, 32, true),
        over(piece6(4, 56, 32, false)),
        // The same identification, but between other hosts.
        V4 { source: THERE, destination: HERE, identification: 1, fragment: 4, ..V4::default() }
            .packet(&other(UDP, &[7; 32])),
    ]
}

impl Packet {
    /// Writes these ports over the first bytes of the payload of an IPv6 first fragment.
    fn without_ports_of(mut self, from: u16, to: u16) -> Packet {
        self.bytes[48..50].copy_from_slice(&from.to_be_bytes());
        self.bytes[50..52].copy_from_slice(&to.to_be_bytes());
        self.facts.service = Some(("udp", from.min(to)));
        self
    }
}

/// Complete frames without a transport header: no snap length is to blame.
fn ends_too_soon() -> Vec<Frame> {
    let nothing = v4(HERE, THERE, &other(TCP, &[])).with("malformed");
    let nothing6 = v6(HERE6, THERE6, &other(UDP, &[])).with("malformed");
    frames_of(ETHERNET, &[nothing, nothing6])
}

/// The same packets, cut by a snap length within each of their headers.
fn cut(link: &Link) -> Made {
    let packets = [
        v4(HERE, THERE, &tcp(50_000, 443, 9, ACK, 300)),
        v6_with(HERE6, THERE6, &[options(0), options(60)], &udp(5353, 53, 300)),
        v6(HERE6, THERE6, &udp(5353, 53, 300)),
    ];
    let mut frames = Vec::new();
    for packet in &packets {
        let Some(bytes) = (link.wrap)(packet) else { continue };
        let whole = Frame::new(bytes, packet.facts.clone());
        let before = whole.bytes.len() - packet.bytes.len();
        let (ip, extensions) = match (packet.is_v6(), packet.facts.service) {
            (false, _) => (20, 0),
            (true, _) if packet.bytes[6] == 0 => (40, 16),
            (true, _) => (40, 0),
        };
        let transport = before + ip + extensions;
        let named = packet.facts.clone().without_service();
        let unread = Facts { protocol: Some(UNKNOWN), ..named.clone() };
        // After the ports nothing is missing for UDP; TCP is read up to its flags.
        let is_tcp = packet.facts.protocol == Some(6);
        let ports =
            if is_tcp { packet.facts.clone().with("truncated") } else { packet.facts.clone() };
        frames.push(whole.clone().cut(transport + 40, packet.facts.clone()));
        frames.push(whole.clone().cut(transport + 5, ports));
        frames.push(whole.clone().cut(transport + 3, named.clone().with("truncated")));
        frames.push(whole.clone().cut(transport, named.with("truncated")));
        if extensions != 0 {
            frames.push(whole.clone().cut(before + ip + 3, unread.clone().with("truncated")));
            frames.push(whole.clone().cut(before + ip + 12, unread.with("truncated")));
        }
        let nameless = || Facts::not_ip("other").with("truncated");
        frames.push(whole.clone().cut(before + ip - 1, nameless()));
        frames.push(whole.cut(before + 1, nameless()));
    }
    made(&format!("cut-{}", link.name), link.number, frames)
}
