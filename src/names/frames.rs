//! Frames for the tests: the headers around a payload.

use crate::decode::{LinkLayer, PacketRecord, decode};

/// The headers of an Ethernet frame in front of `payload`.
pub(crate) fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let header = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    [&header[..], &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet. Its checksum is missing, which stops no reader.
pub(crate) fn ipv4(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16 + 20).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0];
    [&header[..], &from, &to, payload].concat()
}

/// An IPv6 packet.
pub(crate) fn ipv6(from: [u8; 16], to: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 255][..], &from, &to, payload].concat()
}

/// A UDP datagram.
pub(crate) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let fields = [from, to, payload.len() as u16 + 8, 0].map(u16::to_be_bytes);
    [&fields.concat()[..], payload].concat()
}

/// A TCP segment with these flags.
pub(crate) fn tcp(from: u16, to: u16, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let ports = [from, to].map(u16::to_be_bytes).concat();
    let rest = [0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0];
    [&ports[..], &sequence.to_be_bytes(), &rest, payload].concat()
}

/// The record of an Ethernet frame.
pub(crate) fn record(frame: &[u8], time: i64) -> PacketRecord {
    let mut record = PacketRecord::default();
    decode(LinkLayer::Ethernet, frame, frame.len() as u32, time, &mut record);
    record
}
