//! Captures of valid frames: every packet in every link layer, and frames without IP.

use serde_json::json;

use super::file::Pcap;
use super::link::{self, LINKS, Link, cat};
use super::packet::{HERE, Packet, THERE, assortment, udp, v4};
use super::truth::{self, Facts, Frame};
use super::{Made, link::ethernet};

/// A moment in 2024, in nanoseconds, with an odd fraction in microseconds.
pub const BEGIN: i64 = 1_714_564_800_123_456_000;
/// Between two frames: a file of 40 frames crosses a second.
pub const STEP: i64 = 31_415_000;

/// A pcap file of frames, at ascending times.
pub fn made(name: &str, number: u32, frames: Vec<Frame>) -> Made {
    let frames = truth::timed(frames, BEGIN, STEP);
    let bytes = Pcap::USUAL.file(number, &frames);
    Made { name: format!("{name}.pcap"), bytes, truth: truth::of(&frames) }
}

/// All packets that this link layer can carry, as frames.
pub fn frames_of(link: &Link, packets: &[Packet]) -> Vec<Frame> {
    let wrapped = packets.iter().filter_map(|packet| {
        let bytes = (link.wrap)(packet)?;
        Some(Frame::new(bytes, packet.facts.clone()))
    });
    wrapped.collect()
}

/// All captures of this file.
pub fn all() -> Vec<Made> {
    let packets = assortment();
    let mut all: Vec<Made> = LINKS
        .iter()
        .map(|link| made(&format!("link-{}", link.name), link.number, frames_of(link, &packets)))
        .collect();
    all.extend(unknown_links(&packets));
    all.extend([not_ip(), wifi_without_packets(), padded(), offloaded(), many_hosts()]);
    all
}

/// Link types that we do not decode: everything is "other".
fn unknown_links(packets: &[Packet]) -> Vec<Made> {
    let frame = |packet: &Packet| Frame::new(packet.bytes.clone(), Facts::not_ip("other"));
    let unknown = link::UNKNOWN.iter().map(|&(name, number)| {
        made(&format!("unknown-{name}"), number, packets.iter().map(frame).collect())
    });
    unknown.collect()
}

/// Ethernet frames without IP.
fn not_ip() -> Made {
    let frame = |kind: [u8; 2], bytes: &[u8], network| {
        Frame::new(ethernet(kind, bytes), Facts::not_ip(network))
    };
    let arp = cat(&[&[0, 1, 8, 0, 6, 4, 0, 1], &[2; 20], &[0; 18]]);
    let spanning_tree = cat(&[&[0x42, 0x42, 3], &[0; 35]]);
    let ipx = cat(&[&[0xe0, 0xe0, 3, 0xff, 0xff], &[0; 33]]);
    let length = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
    let frames = vec![
        frame([8, 6], &arp, "arp"),
        frame([0x81, 0], &cat(&[&[0, 7, 8, 6], &arp]), "arp"),
        frame([0x80, 0x35], &arp, "other"),
        frame([0x88, 0xcc], &[2; 46], "other"),
        frame([0x88, 0x63], &[0x11; 46], "other"),
        frame([0x88, 0x8e], &[1; 46], "other"),
        frame([0x90, 0x00], &[0; 46], "other"),
        frame(length(&spanning_tree), &spanning_tree, "other"),
        frame(length(&ipx), &ipx, "other"),
    ];
    made("not-ip", 1, frames)
}

/// 802.11 frames without a readable packet: management, control, encrypted, empty, aggregated.
fn wifi_without_packets() -> Made {
    use link::{DATA, PROTECTED, QOS, TO_DS, radiotap, wifi, wifi_header};
    let packet = v4(HERE, THERE, &udp(5353, 53, 40));
    let mut aggregate = wifi(DATA | QOS | TO_DS, &packet);
    aggregate[24] = 0x80;
    let frames = [
        cat(&[&[0x80, 0, 0, 0], &[0xff; 60]]),
        vec![0xd4, 0, 0, 0, 2, 0, 0, 0, 0, 1],
        vec![0xb4, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
        wifi_header(DATA | 0x40),
        wifi(DATA | QOS | TO_DS | PROTECTED, &packet),
        aggregate,
    ];
    let frame = |bytes: &Vec<u8>| Frame::new(radiotap(0, bytes), Facts::not_ip("other"));
    made("wifi-without-packets", 127, frames.iter().map(frame).collect())
}

/// Short packets on Ethernet, padded to 60 bytes: the padding counts on the wire, but is not part
/// of the packet.
fn padded() -> Made {
    let frames = frames_of(&LINKS[0], &assortment()).into_iter().map(|frame| {
        let mut bytes = frame.bytes;
        bytes.resize(bytes.len().max(60), 0x35);
        Frame::new(bytes, frame.facts)
    });
    made("padded", 1, frames.collect())
}

/// Segments as the sending machine itself sees them: larger than any frame on the cable, with an IP
/// length of 0 or the full one.
fn offloaded() -> Made {
    use super::packet::{ACK, HERE6, THERE6, V4, tcp, v6, v6_with};
    let large = |from: u16, size| tcp(from, 443, 1, ACK, size);
    let zero = V4 { length: Some(0), ..V4::default() };
    let mut without_length = v6(HERE6, THERE6, &large(40_002, 65_500));
    without_length.bytes[4..6].fill(0);
    // RFC 2675: the length is in an option, the header's is 0.
    let jumbo_option = (0, vec![0, 0, 0xc2, 4, 0, 1, 0x12, 0xa8]);
    let mut jumbogram = v6_with(HERE6, THERE6, &[jumbo_option], &large(40_003, 70_280));
    jumbogram.bytes[4..6].fill(0);
    let packets = [
        V4::default().packet(&large(40_000, 60_000)),
        zero.packet(&large(40_001, 65_535)),
        zero.packet(&udp(9, 9, 65_000)),
        without_length,
        jumbogram,
    ];
    made("offloaded", 1, frames_of(&LINKS[0], &packets))
}

/// Many hosts and ports, each once: every row must be present.
fn many_hosts() -> Made {
    use std::net::IpAddr;
    let packet = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let from = IpAddr::from([10, 0, high, low]);
        let to = IpAddr::from([198, 51, 100, low]);
        v4(from, to, &udp(20_000 + number, 1_000 + number % 300, 1))
    };
    let packets: Vec<Packet> = (0..800).map(packet).collect();
    let mut made = made("many-hosts", 1, frames_of(&LINKS[0], &packets));
    made.truth["note"] = json!("1,056 hosts, 300 ports");
    made
}
