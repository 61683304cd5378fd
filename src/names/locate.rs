//! Finds what a frame carries, whatever its link layer is.
//!
//! Theory of operation. `decode` has read the frame already, and its record holds the addresses of
//! the outermost IP header. So that header need not be reached through the link layer a second
//! time: it is where the version fits and the addresses are those of the record. That leaves
//! `decode`, on the path of every frame, as it is. The search costs some instructions a byte of
//! link layer, and only in frames that [`super::wants`] picks.

use std::net::{IpAddr, Ipv4Addr};

use super::bytes::Bytes;
use super::claim::Packet;
use crate::decode::{Network, PacketRecord, protocol};

/// What the payload of a located packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries {
    /// The data of a TCP segment.
    Tcp(Segment),
    /// A UDP datagram.
    Udp,
    /// An ICMPv6 message.
    Icmpv6,
    /// An ARP message.
    Arp,
    /// A message of the link layer discovery protocol.
    Lldp,
    /// A message of the Cisco discovery protocol.
    Cdp,
}

/// Where a TCP segment lies in its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The sequence number of its first byte of data.
    pub sequence: u32,
    /// Whether it opens the stream.
    pub opens: Opens,
}

/// What a segment opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opens {
    /// Nothing: no SYN.
    Nothing,
    /// The stream of a client.
    Client,
    /// The stream of a server, which acknowledges the client's.
    Server,
}

/// The outermost packet of a frame, if it is of a kind that dissectors read. Fragments after the
/// first have none: they are not put together.
pub fn locate<'a>(frame: &'a [u8], record: &PacketRecord) -> Option<(Packet<'a>, Carries)> {
    let mut packet = Packet {
        time: record.timestamp,
        mac: record.source_mac(),
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ports: (0, 0),
        hop_limit: 0,
        payload: &[],
    };
    let rest = match record.network() {
        Network::Other => return discovery(frame, packet),
        Network::Arp => {
            packet.payload = arp(frame)?;
            return Some((packet, Carries::Arp));
        }
        Network::Ipv4 => v4(frame, record, &mut packet)?,
        Network::Ipv6 => v6(frame, record, &mut packet)?,
    };
    packet.source = record.source.ip();
    packet.destination = record.destination.ip();
    let mut rest = Bytes(rest);
    let carries = match record.protocol() {
        protocol::TCP => Carries::Tcp(segment(&mut rest)?),
        protocol::UDP => {
            let [.., high, low, _, _] = rest.array::<8>()?;
            let length = usize::from(u16::from_be_bytes([high, low]));
            // A length of 0 is that of a datagram which the network card cuts up (UDP GSO).
            if length >= 8 {
                rest = Bytes(rest.take_captured(length - 8));
            }
            Carries::Udp
        }
        protocol::ICMPV6 => Carries::Icmpv6,
        _ => return None,
    };
    packet.ports = record.ports().unwrap_or_default();
    packet.payload = rest.0;
    Some((packet, carries))
}

/// What follows the IPv4 header.
fn v4<'a>(frame: &'a [u8], record: &PacketRecord, packet: &mut Packet<'_>) -> Option<&'a [u8]> {
    let addresses = {
        let mut both = [0; 8];
        both[..4].copy_from_slice(&record.source.0[12..]);
        both[4..].copy_from_slice(&record.destination.0[12..]);
        both
    };
    let starts = |header: &&[u8]| header[0] >> 4 == 4 && header[12..] == addresses;
    let at = frame.windows(20).position(|header| starts(&header))?;
    let data = &frame[at..];
    let header: &[u8; 20] = data.first_chunk()?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    if field(6) & 0x1fff != 0 {
        return None;
    }
    packet.hop_limit = header[8];
    let length = usize::from(header[0] & 15) * 4;
    let whole = match usize::from(field(2)) {
        // The network card fills it in later (TSO).
        0 => data,
        total => data.get(..total).unwrap_or(data),
    };
    whole.get(length.max(20)..)
}

/// What follows the IPv6 header and its extensions.
fn v6<'a>(frame: &'a [u8], record: &PacketRecord, packet: &mut Packet<'_>) -> Option<&'a [u8]> {
    let (source, destination) = (record.source.0, record.destination.0);
    let starts = |header: &&[u8]| {
        header[0] >> 4 == 6 && header[8..24] == source && header[24..] == destination
    };
    let at = frame.windows(40).position(|header| starts(&header))?;
    let mut rest = Bytes(&frame[at..]);
    let [_, _, _, _, high, low, mut next, hop_limit] = rest.array()?;
    rest.take(32)?;
    packet.hop_limit = hop_limit;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length != 0 {
        rest = Bytes(rest.take_captured(length));
    }
    // Each step moves on by 8 bytes at least.
    while next != record.protocol() {
        let [following, more, high, low] = *rest.0.first_chunk()?;
        if next == 44 && u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
            return None;
        }
        rest.take(if next == 44 { 8 } else { (usize::from(more) + 1) * 8 })?;
        next = following;
    }
    Some(rest.0)
}

/// Reads a TCP header, and leaves the data. A reset has none.
fn segment(rest: &mut Bytes<'_>) -> Option<Segment> {
    let [_, _, _, _, a, b, c, d, _, _, _, _, offset, flags, ..] = rest.array::<20>()?;
    let options = (usize::from(offset >> 4) * 4).checked_sub(20)?;
    rest.take(options)?;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;
    // What a reset carries is no data of the stream; some middle boxes send back what they refuse.
    if flags & RST != 0 {
        return None;
    }
    let opens = match flags & (SYN | ACK) {
        SYN => Opens::Client,
        0 | ACK => Opens::Nothing,
        _ => Opens::Server,
    };
    // A SYN takes one number.
    let is_syn = opens != Opens::Nothing;
    let sequence = u32::from_be_bytes([a, b, c, d]).wrapping_add(u32::from(is_syn));
    Some(Segment { sequence, opens })
}

/// An ARP message for Ethernet and IPv4.
fn arp(frame: &[u8]) -> Option<&[u8]> {
    // Hardware 1 or 6 (IEEE 802), protocol IPv4, lengths 6 and 4, request or reply.
    let starts = |m: &[u8]| matches!(m, [0, 1 | 6, 8, 0, 6, 4, 0, 1 | 2]);
    let at = frame.windows(8).position(starts)?;
    let message = &frame[at..];
    Some(message.get(..28).unwrap_or(message))
}

/// LLDP and CDP, which go to group addresses of their own.
fn discovery<'a>(frame: &'a [u8], packet: Packet<'a>) -> Option<(Packet<'a>, Carries)> {
    let mut rest = Bytes(frame);
    let to: [u8; 6] = rest.array()?;
    rest.take(6)?;
    // Perhaps behind tags.
    let mut kind = rest.u16()?;
    while matches!(kind, 0x8100 | 0x88a8) {
        rest.take(2)?;
        kind = rest.u16()?;
    }
    match to {
        // The nearest bridge, the nearest bridge that is none of a provider, the nearest bridge of
        // a customer (IEEE 802.1AB).
        [1, 0x80, 0xc2, 0, 0, 0x0e | 3 | 0] if kind == 0x88cc => {
            Some((Packet { payload: rest.0, ..packet }, Carries::Lldp))
        }
        [1, 0, 0x0c, 0xcc, 0xcc, 0xcc] if kind <= 1_500 => {
            let mut rest = Bytes(rest.take_captured(kind.into()));
            let is_cdp = rest.array() == Some([0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0]);
            is_cdp.then_some((Packet { payload: rest.0, ..packet }, Carries::Cdp))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::{LinkLayer, decode};
    use crate::names::frames::{ethernet, ipv4, ipv6, tcp, udp};

    fn record(link: LinkLayer, frame: &[u8]) -> PacketRecord {
        let mut record = PacketRecord::default();
        decode(link, frame, frame.len() as u32, 5, &mut record);
        record
    }

    #[test]
    fn the_outermost_packet_is_found_behind_any_link_layer() {
        let inner = ipv4([10, 0, 0, 1], [10, 0, 0, 2], 17, &udp(53, 4_000, b"inner"));
        let datagram = udp(4_789, 53, &inner);
        let packet = ipv4([192, 0, 2, 1], [192, 0, 2, 2], 17, &datagram);
        let padded = [&packet[..], &[0; 9]].concat();
        let null = [&[0, 0, 0, 2][..], &padded].concat();
        let cooked = [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0][..], &padded].concat();
        for (link, frame) in [
            (LinkLayer::Ethernet, ethernet(0x0800, &padded)),
            (LinkLayer::Ethernet, ethernet(0x8100, &[&[0, 7, 8, 0][..], &padded].concat())),
            (LinkLayer::RawIp, padded.clone()),
            (LinkLayer::Loop, null),
            (LinkLayer::Cooked1, cooked),
        ] {
            let (found, carries) = locate(&frame, &record(link, &frame)).unwrap();
            assert_eq!((carries, found.payload), (Carries::Udp, &inner[..]), "{link:?}");
            assert_eq!((found.time, found.ports, found.hop_limit), (5, (4_789, 53), 64));
            assert_eq!(found.source, IpAddr::from([192, 0, 2, 1]));
            assert_eq!(found.mac.is_known(), !matches!(link, LinkLayer::RawIp | LinkLayer::Loop));
        }
    }

    #[test]
    fn extension_headers_are_passed_and_later_fragments_are_not_read() {
        let (one, other) = ([0xfe; 16], [0xfd; 16]);
        let datagram = udp(5_353, 5_353, b"hello");
        let extended = |kind: u8, header: &[u8]| {
            let frame = ipv6(one, other, kind, &[header, &datagram].concat());
            let record = record(LinkLayer::RawIp, &frame);
            locate(&frame, &record).map(|(packet, _)| packet.payload.to_vec())
        };
        assert_eq!(extended(0, &[17, 0, 5, 2, 0, 0, 1, 0]).as_deref(), Some(&b"hello"[..]));
        assert_eq!(extended(44, &[17, 0, 0, 0, 0, 0, 0, 9]).as_deref(), Some(&b"hello"[..]));
        assert_eq!(extended(44, &[17, 0, 0, 8, 0, 0, 0, 9]), None);
        let mut later = ipv4([1, 2, 3, 4], [4, 3, 2, 1], 17, &datagram);
        later[7] = 1;
        assert!(locate(&later, &record(LinkLayer::RawIp, &later)).is_none());
    }

    #[test]
    fn segments_tell_where_they_lie() {
        let mut header = [0; 24];
        header[..14].copy_from_slice(&[0, 80, 4, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x60, 2]);
        let packet = ipv4([1, 2, 3, 4], [4, 3, 2, 1], 6, &[&header[..], b"data"].concat());
        let (found, carries) = locate(&packet, &record(LinkLayer::RawIp, &packet)).unwrap();
        assert_eq!(carries, Carries::Tcp(Segment { sequence: 0, opens: Opens::Client }));
        assert_eq!((found.ports, found.payload), ((80, 1_024), &b"data"[..]));
        let reset = ipv4([1, 2, 3, 4], [4, 3, 2, 1], 6, &tcp(80, 1_024, 1, 0x14, b"data"));
        assert!(locate(&reset, &record(LinkLayer::RawIp, &reset)).is_none());
    }

    #[test]
    fn messages_of_the_link_layer_are_found() {
        let message = [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 1];
        let message = [&message[..], &[0; 30]].concat();
        let frame = ethernet(0x0806, &message);
        let (found, carries) = locate(&frame, &record(LinkLayer::Ethernet, &frame)).unwrap();
        assert_eq!((carries, found.payload), (Carries::Arp, &message[..28]));

        let mut frame = ethernet(0x88cc, b"tlvs");
        frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0x0e]);
        let (found, carries) = locate(&frame, &record(LinkLayer::Ethernet, &frame)).unwrap();
        assert_eq!((carries, found.payload), (Carries::Lldp, &b"tlvs"[..]));

        let mut frame = ethernet(12, b"\xaa\xaa\x03\0\0\x0c\x20\0tlvs padding");
        frame[..6].copy_from_slice(&[1, 0, 0x0c, 0xcc, 0xcc, 0xcc]);
        let (found, carries) = locate(&frame, &record(LinkLayer::Ethernet, &frame)).unwrap();
        assert_eq!((carries, found.payload), (Carries::Cdp, &b"tlvs"[..]));
        frame[0] = 3;
        assert!(locate(&frame, &record(LinkLayer::Ethernet, &frame)).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            link in 0..300,
        ) {
            let _ = locate(&bytes, &record(LinkLayer::from_dlt(link), &bytes));
        }
    }
}
