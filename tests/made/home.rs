//! Half a minute of a home's traffic, for tests that send it over a cable: 70 hosts, 17 service
//! ports, nothing cut, nothing broken, no frame above 1,514 bytes.
//!
//! One end of every packet is local, so no frame is "transit"; no frame is ARP; nothing in it makes
//! a kernel answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Made;
use super::cases::{BEGIN, frames_of};
use super::file::{Order, Pcapng};
use super::link::LINKS;
use super::packet::{ACK, FIN, Packet, Payload, SYN, other, protocol::ICMP, tcp, udp, v4, v6};
use super::truth::{self, Frame};

/// The name of the file.
pub const NAME: &str = "home.pcapng";

fn local(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, 1, last).into()
}

fn remote(last: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, last).into()
}

fn local6(last: u16) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last).into()
}

fn group6(last: [u16; 2]) -> IpAddr {
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, last[0], last[1]).into()
}

fn packet(from: IpAddr, to: IpAddr, payload: &Payload) -> Packet {
    if from.is_ipv4() { v4(from, to, payload) } else { v6(from, to, payload) }
}

/// A client's connection: one request, answered by `segments` segments, all full but the last;
/// every 37th is sent twice.
fn connection(
    client: IpAddr,
    port: u16,
    server: IpAddr,
    service: u16,
    segments: u32,
) -> Vec<Packet> {
    let out =
        |sequence, flags, size| packet(client, server, &tcp(port, service, sequence, flags, size));
    let back =
        |sequence, flags, size| packet(server, client, &tcp(service, port, sequence, flags, size));
    let mut packets = vec![out(9, SYN, 0), back(99, SYN | ACK, 0), out(10, ACK, 180)];
    let mut sequence = 100;
    for number in 1..=segments {
        let size = if number == segments { 411 } else { 1_400 };
        packets.push(back(sequence, ACK, size));
        if number % 37 == 0 {
            packets.push(back(sequence, ACK, size).with("tcp_retransmission"));
        }
        if number % 2 == 0 {
            packets.push(out(190, ACK, 0));
        }
        sequence += size as u32;
    }
    packets.push(out(190, FIN | ACK, 0));
    packets.push(back(sequence, FIN | ACK, 0));
    packets
}

/// A question and its answer, repeated `times` times.
fn datagrams(
    (client, port): (IpAddr, u16),
    (server, service): (IpAddr, u16),
    (asked, told): (usize, usize),
    times: usize,
) -> Vec<Packet> {
    let pair = [
        packet(client, server, &udp(port, service, asked)),
        packet(server, client, &udp(service, port, told)),
    ];
    pair.iter().cycle().take(2 * times).cloned().collect()
}

/// Packets to a group, which nobody answers.
fn call(from: IpAddr, group: IpAddr, ports: (u16, u16), size: usize, times: usize) -> Vec<Packet> {
    vec![packet(from, group, &udp(ports.0, ports.1, size)); times]
}

/// Every conversation.
fn conversations() -> Vec<Vec<Packet>> {
    let router = local(1);
    let mut all = vec![
        connection(local(10), 50_000, remote(1), 80, 150),
        connection(local(10), 50_001, remote(2), 443, 60),
        connection(local(11), 50_002, remote(3), 443, 40),
        connection(local(12), 50_003, remote(4), 8080, 20),
        connection(local(13), 50_004, local(2), 445, 30),
        connection(local(14), 50_005, remote(5), 22, 4),
        connection(local(15), 50_006, remote(6), 993, 3),
        connection(local(16), 50_007, remote(7), 1883, 1),
        connection(local(17), 50_008, remote(8), 5222, 2),
        connection(local(18), 50_009, local(3), 9100, 2),
        connection(local6(10), 50_010, local6(1), 443, 3),
        datagrams((local(19), 51_000), (remote(9), 443), (60, 1_200), 40),
        datagrams((local(20), 51_001), (remote(10), 3478), (60, 60), 12),
        datagrams((local(21), 40_123), (remote(11), 123), (48, 48), 2),
        call(local(22), Ipv4Addr::new(239, 255, 255, 250).into(), (51_002, 1900), 140, 60),
        call(local(23), Ipv4Addr::new(224, 0, 0, 251).into(), (5353, 5353), 45, 8),
        call(local6(11), group6([0, 0xfb]), (5353, 5353), 45, 8),
        call(local6(12), group6([1, 2]), (546, 547), 94, 6),
        call(local6(13), local6(1), (51_003, 53), 40, 3),
    ];
    let echo = |kind| other(ICMP, &[kind, 0, 0, 0, 0, 7, 0, 1, 9, 9, 9, 9]);
    let ping = [v4(local(10), remote(1), &echo(8)), v4(remote(1), local(10), &echo(0))];
    all.push(ping.iter().cycle().take(10).cloned().collect());
    // All clients ask the router for names; each also talks to an outside server.
    for number in 4..=28_u8 {
        let port = 52_000 + u16::from(number);
        all.push(datagrams(
            (local(number), port),
            (router, 53),
            (35, 90),
            1 + usize::from(number % 3),
        ));
        let server = remote(8 + number.min(25));
        match number % 2 {
            0 => all.push(connection(local(number), port, server, 443, 1 + u32::from(number % 5))),
            _ => all.push(datagrams((local(number), port), (server, 443), (50, 300), 2)),
        }
    }
    all.push(datagrams((local(4), 137), (local(5), 137), (50, 90), 4));
    all
}

/// The frames in the order of their times: the conversations run in parallel.
pub fn frames() -> Vec<Frame> {
    let mut timed: Vec<(i64, Packet)> = Vec::new();
    for (number, conversation) in conversations().into_iter().enumerate() {
        let begin = BEGIN + (number as i64 * 7 % 23) * 1_000_000_000;
        let step = 4_000_000 + 271_000 * number as i64;
        let packets = conversation.into_iter().enumerate();
        timed.extend(packets.map(|(at, packet)| (begin + at as i64 * step, packet)));
    }
    timed.sort_by_key(|(time, _)| *time);
    let packets: Vec<Packet> = timed.iter().map(|(_, packet)| packet.clone()).collect();
    let mut frames = frames_of(&LINKS[0], &packets);
    for (frame, (time, _)) in frames.iter_mut().zip(&timed) {
        frame.time = Some(time / 1_000 * 1_000);
    }
    frames
}

/// The frames as a file.
pub fn capture() -> Made {
    let frames = frames();
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 262_144, None);
    for frame in &frames {
        file.enhanced(0, 6, frame);
    }
    Made { name: NAME.to_owned(), bytes: file.bytes, truth: truth::of(&frames) }
}
