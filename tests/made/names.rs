//! Packets in which hosts are named, and which names a report of them has.

use std::net::{IpAddr, Ipv4Addr};

use super::file::Pcap;
use super::link::ethernet;
use super::packet::{ACK, HERE, PSH, SYN, THERE, other, protocol, tcp, udp, v4, v6};
use super::truth::{Facts, Frame, timed};

/// The source hardware address of all frames.
const MAC: &str = "02:00:00:00:00:01";
/// What DHCP gives.
const GIVEN: [u8; 4] = [192, 168, 1, 20];

/// Address, name and source of what the frames claim, as `report --json` sorts it.
pub const NAMES: [(&str, &str, &str); 9] = [
    ("192.168.1.10", "nas", "nbns"),
    ("192.168.1.20", "phone", "dhcp"),
    ("192.168.1.30", "tv.local", "mdns"),
    ("192.168.1.30", "tv.local", "mdns_ptr"),
    ("203.0.113.5", "www.example.org", "dns"),
    ("203.0.113.5", "by-tcp.example.org", "dns"),
    ("203.0.113.5", "hello.example.org", "tls"),
    ("203.0.113.5", "plain.example.org", "http"),
    ("fe80::211:22ff:fe33:4455", "six", "llmnr"),
];

/// Address, hardware address and source of the links.
pub const LINKS: [(&str, &str, &str); 3] = [
    ("192.168.1.1", MAC, "arp"),
    ("192.168.1.20", MAC, "dhcp"),
    ("fe80::211:22ff:fe33:4455", MAC, "ndp"),
];

/// A capture file of the frames.
pub fn file() -> Vec<u8> {
    Pcap::USUAL.file(1, &frames())
}

/// The frames, a millisecond apart.
pub fn frames() -> Vec<Frame> {
    let mut frames = vec![arp(), lldp(), cdp()];
    frames.extend(name_servers());
    frames.extend(local_names());
    frames.extend(dhcp());
    frames.extend(connections());
    timed(frames, 1_700_000_000_000_000_000, 1_000_000)
}

fn frame(packet: &super::packet::Packet) -> Frame {
    let kind = if packet.is_v6() { [0x86, 0xdd] } else { [8, 0] };
    Frame::new(ethernet(kind, &packet.bytes), packet.facts.clone())
}

fn datagram(ends: (IpAddr, IpAddr), ports: (u16, u16), data: &[u8]) -> Frame {
    let payload = udp(ports.0, ports.1, data.len()).with_data(data);
    frame(&if ends.0.is_ipv4() {
        v4(ends.0, ends.1, &payload)
    } else {
        v6(ends.0, ends.1, &payload)
    })
}

/// A segment that ends what a program wrote, as the last one of a hello does.
fn segment(ends: (IpAddr, IpAddr), ports: (u16, u16), sequence: u32, data: &[u8]) -> Frame {
    let payload = tcp(ports.0, ports.1, sequence, ACK | PSH, data.len()).with_data(data);
    frame(&v4(ends.0, ends.1, &payload))
}

fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
    [name.split('.').flat_map(label).collect(), vec![0]].concat()
}

/// A resource record of class IN, for a minute.
fn record(owner: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    [owner, &[0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8], data].concat()
}

/// An answer with a question, if there is one, and answers.
fn answer(question: Option<&str>, answers: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::from(question.is_some());
    let header = [0, 7, 0x81, 0x80, 0, count, 0, answers.len() as u8, 0, 0, 0, 0];
    let question = question.map(|name| [&labels(name)[..], &[0, 1, 0, 1]].concat());
    [&header[..], &question.unwrap_or_default(), &answers.concat()].concat()
}

/// Where the question's name is, for later names.
const QUESTION: [u8; 2] = [0xc0, 12];

fn name_servers() -> Vec<Frame> {
    let IpAddr::V4(there) = THERE else { unreachable!() };
    let chain = answer(
        Some("www.example.org"),
        &[
            record(&QUESTION, 5, &labels("edge.example.net")),
            record(&labels("edge.example.net"), 1, &there.octets()),
        ],
    );
    let by_tcp = answer(Some("by-tcp.example.org"), &[record(&QUESTION, 1, &there.octets())]);
    let stream = [&[0, by_tcp.len() as u8][..], &by_tcp].concat();
    let (ends, ports) = ((THERE, HERE), (53, 40_000));
    vec![
        datagram(ends, ports, &chain),
        // The second half first.
        frame(&v4(THERE, HERE, &tcp(53, 40_000, 99, SYN | ACK, 0))),
        segment(ends, ports, 130, &stream[30..]),
        segment(ends, ports, 100, &stream[..30]),
    ]
}

fn local_names() -> Vec<Frame> {
    let tv = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 30));
    let group = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251));
    let announced = answer(
        None,
        &[
            record(&labels("tv.local"), 1, &[192, 168, 1, 30]),
            record(&labels("30.1.168.192.in-addr.arpa"), 12, &labels("tv.local")),
            record(&labels("_airplay._tcp.local"), 12, &labels("tv._airplay._tcp.local")),
        ],
    );
    let IpAddr::V6(here6) = super::packet::HERE6 else { unreachable!() };
    let six = answer(Some("six"), &[record(&QUESTION, 28, &here6.octets())]);
    // "NAS" and blanks, a half of each byte in a letter.
    let letters = b"NAS             ".map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
    let netbios = [&[32][..], &letters.concat(), &[0]].concat();
    let registration = [
        &[0, 1, 0x29, 0x10, 0, 1, 0, 0, 0, 0, 0, 1][..],
        &netbios,
        &[0, 0x20, 0, 1],
        &record(&QUESTION, 0x20, &[0, 0, 192, 168, 1, 10]),
    ]
    .concat();
    let target = here6.octets();
    let advertisement = [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &target, &[2, 1, 2, 0, 0, 0, 0, 1]];
    let neighbour = other(protocol::ICMPV6, &advertisement.concat());
    let neighbour = v6(super::packet::HERE6, super::packet::THERE6, &neighbour);
    let server =
        b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nSERVER: Linux UPnP/1.0 tv/1\r\n\r\n";
    vec![
        datagram((tv, group), (5_353, 5_353), &announced),
        datagram((super::packet::HERE6, super::packet::THERE6), (5_355, 41_000), &six),
        datagram((HERE, HERE), (137, 137), &registration),
        datagram((tv, group), (50_000, 1_900), server),
        from_the_link(frame(&neighbour)),
    ]
}

/// With the hop limit of a packet that no router has forwarded.
fn from_the_link(mut frame: Frame) -> Frame {
    frame.bytes[14 + 7] = 255;
    frame
}

fn dhcp() -> Vec<Frame> {
    let message = |operation: u8, given: [u8; 4], options: &[u8]| {
        let mut message = vec![operation, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend(given);
        message.extend([0; 8]);
        message.extend([2, 0, 0, 0, 0, 1]);
        message.resize(236, 0);
        [&message[..], &[99, 130, 83, 99], options, &[255]].concat()
    };
    let discover = message(1, [0; 4], b"\x35\x01\x01\x0c\x05Phone\x37\x03\x01\x03\x06");
    let ack = message(2, GIVEN, &[53, 1, 5]);
    vec![
        datagram((IpAddr::V4(Ipv4Addr::UNSPECIFIED), HERE), (68, 67), &discover),
        datagram((HERE, IpAddr::V4(GIVEN.into())), (67, 68), &ack),
    ]
}

fn connections() -> Vec<Frame> {
    let name = b"Hello.Example.org";
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let server_name = sized(&[&[0][..], &sized(name)].concat());
    let extensions = [&[0, 0][..], &sized(&server_name), &[0, 51], &sized(&[7; 1_200])].concat();
    let body = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(&extensions)].concat();
    let mut hello = (body.len() as u32).to_be_bytes().to_vec();
    hello[0] = 1;
    hello.extend(body);
    let stream = [&[22, 3, 1][..], &sized(&hello)].concat();
    let request = b"GET / HTTP/1.1\r\nHost: plain.example.org:8080\r\n\r\n";
    let (ends, ports) = ((HERE, THERE), (40_001, 443));
    vec![
        frame(&v4(HERE, THERE, &tcp(40_001, 443, 999, SYN, 0))),
        segment(ends, ports, 1_700, &stream[700..]),
        segment(ends, ports, 1_000, &stream[..700]),
        segment(ends, (40_002, 8_080), 5, request),
    ]
}

fn arp() -> Frame {
    let message = [&[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 168, 1, 1][..], &[0; 10]];
    Frame::new(ethernet([8, 6], &message.concat()), Facts::not_ip("arp"))
}

fn lldp() -> Frame {
    let values = b"\x02\x07\x04\x02\0\0\0\0\x01\x04\x02\x05a\x06\x02\0\x78\x0a\x06switch\0\0";
    group(ethernet([0x88, 0xcc], values), [1, 0x80, 0xc2, 0, 0, 0x0e])
}

fn cdp() -> Frame {
    let message = b"\xaa\xaa\x03\0\0\x0c\x20\0\x02\xb4\0\0\0\x01\0\x0aswitch";
    group(super::link::ethernet_with_length(message), [1, 0, 0x0c, 0xcc, 0xcc, 0xcc])
}

fn group(mut frame: Vec<u8>, to: [u8; 6]) -> Frame {
    frame[..6].copy_from_slice(&to);
    Frame::new(frame, Facts::not_ip("other"))
}
