//! The server's name in the hello of a QUIC client (RFC 9000, RFC 9001; version 2: RFC 9369).
//!
//! Theory of operation. The keys of the first packets, the Initials, follow from the connection ID
//! in the client's first one. The hello is in CRYPTO frames, which come in any order and over several
//! Initials. [`Initials`] keeps the keys and the pieces of each new connection until the hello is
//! whole. A packet makes a connection only if its tag holds, so neither other protocols nor servers'
//! packets fill the table. After an answer the client puts the server's ID in place of the first
//! one, and the keys stay: such a packet finds its connection by addresses and ports. After a Retry
//! both ID and keys are new, which makes another connection.

mod initial;

use std::net::IpAddr;

use self::initial::{Keys, LongPacket, varint};
use super::bytes::Bytes;
use super::claim::{Claim, Packet, Sink, Source};
use super::hello::{self, Hello};

/// The most connections that are being read.
const CONNECTIONS: usize = 64;
/// How long a connection is kept, nanoseconds. Later packets are acknowledgements.
const LONGEST: u64 = 3_000_000_000;
/// The most bytes of a hello.
const LARGEST: usize = 8192;
/// The most pieces of a hello with gaps between them. Chrome sends about ten.
const PIECES: usize = 64;

/// An address and a port.
type End = (IpAddr, u16);

/// The connections that have just begun.
#[derive(Debug, Default)]
pub struct Initials {
    /// The oldest first.
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    /// When its first packet came.
    time: i64,
    client: End,
    server: End,
    version: u32,
    /// The connection ID of its first packet.
    id: Box<[u8]>,
    keys: Keys,
    /// `None` once it has been read.
    hello: Option<Pieces>,
}

impl Initials {
    /// Reads a UDP datagram: the name in the hello of a client is one of the address that it sends
    /// it to.
    pub fn read(&mut self, packet: &Packet<'_>, claims: Sink<'_>) {
        let mut rest = Bytes(packet.payload);
        let mut id = None;
        while let Some(part) = initial::split(&mut rest) {
            // All packets of a datagram are of one connection (RFC 9000 section 12.2).
            if *id.get_or_insert(part.destination) != part.destination {
                return;
            }
            if part.is_initial {
                self.read_initial(packet, &part, claims);
            }
        }
    }

    fn read_initial(&mut self, packet: &Packet<'_>, part: &LongPacket<'_>, claims: Sink<'_>) {
        self.connections.retain(|known| known.time.abs_diff(packet.time) <= LONGEST);
        let Some((connection, frames)) = self.open(packet, part) else { return };
        let Some(pieces) = &mut connection.hello else { return };
        let _ = pieces.read(Bytes(&frames));
        match hello::read(pieces.beginning()) {
            Hello::More => {}
            Hello::Never => connection.hello = None,
            Hello::Found { name, is_shared } => {
                connection.hello = None;
                let address = packet.destination;
                if let Some(name) = name
                    && !address.is_unspecified()
                    && !address.is_multicast()
                {
                    claims(Claim::Name {
                        address,
                        name,
                        source: Source::Quic,
                        ttl: None,
                        is_shared,
                    });
                }
            }
        }
    }

    /// The connection and the frames of a client's packet.
    fn open(
        &mut self,
        packet: &Packet<'_>,
        part: &LongPacket<'_>,
    ) -> Option<(&mut Connection, Vec<u8>)> {
        let client = (packet.source, packet.ports.0);
        let server = (packet.destination, packet.ports.1);
        // The newest of those between the two ends; that of this very ID before others.
        let mut known = None;
        for (at, connection) in self.connections.iter().enumerate() {
            if (connection.client, connection.server) == (server, client) {
                return None; // A server's packet, which has other keys.
            }
            if (connection.client, connection.server) == (client, server) {
                let is_same =
                    connection.version == part.version && *connection.id == *part.destination;
                if is_same || !matches!(known, Some((_, true))) {
                    known = Some((at, is_same));
                }
            }
        }
        if let Some((at, is_same)) = known {
            let connection = self.connections.get_mut(at)?;
            if is_same && connection.hello.is_none() {
                return None;
            }
            if let Some(frames) = connection.keys.open(part) {
                return Some((self.connections.get_mut(at)?, frames));
            }
            if is_same {
                return None;
            }
        }
        let (keys, frames) =
            Keys::of(part).find_map(|keys| keys.open(part).map(|frames| (keys, frames)))?;
        if self.connections.len() >= CONNECTIONS {
            self.connections.remove(0);
        }
        self.connections.push(Connection {
            time: packet.time,
            client,
            server,
            version: part.version,
            id: part.destination.into(),
            keys,
            hello: Some(Pieces::default()),
        });
        Some((self.connections.last_mut()?, frames))
    }
}

/// The bytes of a stream that have come, in pieces.
#[derive(Debug, Default)]
struct Pieces {
    bytes: Vec<u8>,
    /// From where to where bytes have come, in no order. They neither touch nor overlap.
    spans: Vec<(usize, usize)>,
}

impl Pieces {
    /// Reads the frames of an Initial (RFC 9000 section 19); `None` where something else begins.
    fn read(&mut self, mut frames: Bytes<'_>) -> Option<()> {
        while !frames.is_empty() {
            match varint(&mut frames)? {
                // Padding, a ping.
                0 | 1 => {}
                // An acknowledgement: what, how late, ranges, and three counters with the second.
                kind @ (2 | 3) => {
                    let [_, _, ranges, _] = [(); 4].map(|()| varint(&mut frames));
                    for _ in 0..ranges? {
                        varint(&mut frames)?;
                        varint(&mut frames)?;
                    }
                    if kind == 3 {
                        let _ = [(); 3].map(|()| varint(&mut frames));
                    }
                }
                // A piece of the hello. T051 has another number for it, which Initials of the
                // standard do not have.
                6 | 8 => {
                    let offset = varint(&mut frames)?;
                    let length = varint(&mut frames)?;
                    let data = frames.take(usize::try_from(length).ok()?)?;
                    self.add(usize::try_from(offset).ok()?, data)?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Adds a piece; `None` if it lies too far off.
    fn add(&mut self, offset: usize, data: &[u8]) -> Option<()> {
        let (mut from, mut to) = (offset, offset.checked_add(data.len())?);
        if to > LARGEST || self.spans.len() >= PIECES {
            return None;
        }
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        self.bytes.get_mut(from..to)?.copy_from_slice(data);
        self.spans.retain(|&(start, end)| {
            let is_apart = end < from || start > to;
            if !is_apart {
                (from, to) = (from.min(start), to.max(end));
            }
            is_apart
        });
        self.spans.push((from, to));
        Some(())
    }

    /// What has come without a gap.
    fn beginning(&self) -> &[u8] {
        let first = self.spans.iter().find(|&&(from, _)| from == 0);
        first.and_then(|&(_, to)| self.bytes.get(..to)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hello::tests as hellos;
    use super::super::samples::{lines, packet};
    use super::initial::tests::seal;
    use super::*;

    const ID: &[u8] = b"first id";
    const VERSION_2: u32 = 0x6b33_43cf;
    const NAMED: [&str; 1] = ["10.0.0.2 www.example"];

    fn hello() -> Vec<u8> {
        let padding = hellos::extension(21, &[0; 1500]);
        hellos::hello(&[padding, hellos::server_name(b"WWW.example")])
    }

    /// A CRYPTO frame.
    fn piece(offset: usize, data: &[u8]) -> Vec<u8> {
        let number = |number: usize| (0x4000 | number as u16).to_be_bytes();
        [&[6][..], &number(offset), &number(data.len()), data].concat()
    }

    fn initial(id: &[u8], frames: &[u8]) -> Vec<u8> {
        seal((1, 1), [ID, id, b"me", &[]], &[0], frames)
    }

    /// The claims of datagrams from the client at port 5000, one after the other.
    fn claims(initials: &mut Initials, datagrams: &[Vec<u8>]) -> Vec<String> {
        let each = datagrams.iter().flat_map(|payload| {
            let packet = Packet { time: 0, ports: (5000, 443), ..packet(payload) };
            lines(|packet, sink| initials.read(packet, sink), &packet)
        });
        each.collect()
    }

    #[test]
    fn a_hello_is_put_together() {
        let hello = hello();
        let (a, rest) = hello.split_at(600);
        let (b, c) = rest.split_at(600);
        let [a, b, c] = [piece(0, a), piece(600, b), piece(1200, c)];
        let ping = [1, 0, 0];
        let acknowledged = [3, 5, 0, 1, 2, 1, 1, 0, 0, 0];
        let one = [&c[..], &ping, &a, &acknowledged, &b].concat();
        assert_eq!(claims(&mut Initials::default(), &[initial(ID, &one)]), NAMED);
        // Over three packets in any order; the last two have the server's ID.
        for [first, second, third] in [[&a, &b, &c], [&c, &a, &b], [&b, &c, &a]] {
            let datagrams = [
                initial(ID, first),
                initial(ID, first),
                initial(b"server", second),
                initial(b"", third),
            ];
            assert_eq!(claims(&mut Initials::default(), &datagrams), NAMED);
            // Two packets of one datagram.
            let both = [initial(ID, first), initial(ID, second)].concat();
            assert_eq!(claims(&mut Initials::default(), &[both, initial(ID, third)]), NAMED);
            assert!(claims(&mut Initials::default(), &datagrams[..3]).is_empty());
        }
        // Something that no client sends ends the packet.
        let closed = [&[0x1c][..], &one].concat();
        assert!(claims(&mut Initials::default(), &[initial(ID, &closed)]).is_empty());
    }

    #[test]
    fn versions_and_other_packets_are_told_apart() {
        let frame = piece(0, &hello());
        for (version, keys) in [
            (1, 1),
            (VERSION_2, VERSION_2),
            (0xff00_001d, 0xff00_0020),
            (0xface_b002, 0xff00_001b),
            (0x5430_3531, 0x5430_3531),
            (0xff00_0022, 1),
            (0x1a2a_3a4a, 1),
            (0x1a2a_3a4a, 0xff00_001d),
        ] {
            let sealed = seal((version, keys), [ID, ID, b"", b"token"], &[1, 2], &frame);
            let alone = std::slice::from_ref(&sealed);
            assert_eq!(claims(&mut Initials::default(), alone), NAMED, "{version:x}");
            // Behind a packet of 0-RTT; before one with a short header.
            let mut early = sealed.clone();
            early[0] = if version == VERSION_2 { 0xe0 } else { 0xd0 };
            early.remove(5 + 1 + ID.len() + 1); // The token, which others do not have.
            early.drain(5 + 1 + ID.len() + 1..5 + 1 + ID.len() + 1 + 5);
            let datagram = [&early[..], &sealed, &[0x40, 1, 2, 3]].concat();
            assert_eq!(claims(&mut Initials::default(), &[datagram]), NAMED, "{version:x}");
        }
        let mut retry = initial(ID, &frame);
        retry[0] |= 0x30;
        assert!(claims(&mut Initials::default(), &[retry]).is_empty());
        for version in [0, 2, 0xff00_0016] {
            let mut other = initial(ID, &frame);
            other[1..5].copy_from_slice(&u32::to_be_bytes(version));
            assert!(claims(&mut Initials::default(), &[other]).is_empty());
        }
        // A second connection in the same datagram.
        let other = seal((1, 1), [b"other id", b"other id", b"", b""], &[0], &frame);
        let both = [initial(ID, &[0; 40]), other].concat();
        assert!(claims(&mut Initials::default(), &[both]).is_empty());
    }

    #[test]
    fn what_is_over_costs_nothing_and_a_retry_begins_anew() {
        let frame = piece(0, &hello());
        let mut initials = Initials::default();
        assert_eq!(claims(&mut initials, &[initial(ID, &frame)]), NAMED);
        assert!(claims(&mut initials, &[initial(ID, &frame), initial(b"s", &frame)]).is_empty());
        let retried = seal((1, 1), [b"retry", b"retry", b"me", b"token"], &[1], &frame);
        assert_eq!(claims(&mut initials, &[retried]), NAMED);
        assert_eq!(initials.connections.len(), 2);
        // What the server sends is not read, though anybody could seal it.
        let answer = initial(b"", &frame);
        let back = Packet {
            time: 0,
            source: [10, 0, 0, 2].into(),
            destination: [10, 0, 0, 1].into(),
            ports: (443, 5000),
            ..packet(&answer)
        };
        assert!(lines(|packet, sink| initials.read(packet, sink), &back).is_empty());
    }

    #[test]
    fn the_table_stays_small_and_forgets() {
        let mut initials = Initials::default();
        let half = initial(ID, &piece(0, &hello()[..600]));
        let rest = initial(ID, &piece(600, &hello()[600..]));
        for port in 1..=80 {
            let packet = Packet { time: 0, ports: (port, 443), ..packet(&half) };
            initials.read(&packet, &mut |_| {});
        }
        assert_eq!(initials.connections.len(), CONNECTIONS);
        let mut second = |port, time| {
            let packet = Packet { time, ports: (port, 443), ..packet(&rest) };
            lines(|packet, sink| initials.read(packet, sink), &packet).len()
        };
        assert_eq!((second(17, 0), second(16, 0), second(18, 3_000_000_000)), (1, 0, 1));
        assert_eq!((second(19, 3_000_000_001), second(20, 3_000_000_001)), (0, 0));
        assert_eq!(initials.connections.len(), 2);
        // Pieces that are too far, or too many.
        let mut pieces = Pieces::default();
        assert!(pieces.add(LARGEST, &[1]).is_none() && pieces.add(usize::MAX, &[1]).is_none());
        assert!((0..PIECES).all(|at| pieces.add(2 * at + 1, &[1]).is_some()));
        assert!(pieces.add(0, &[1]).is_none() && pieces.beginning().is_empty());
    }

    proptest! {
        #[test]
        fn any_frames_are_read(frames in prop::collection::vec(any::<u8>(), 4..99), kind in 0..8u8) {
            let sealed = initial(ID, &[&[kind][..], &frames].concat());
            claims(&mut Initials::default(), &[sealed, frames]);
        }

        #[test]
        fn pieces_are_joined_as_they_lie(
            offsets in prop::collection::vec((0..300usize, 0..60usize), 0..40)
        ) {
            let whole: Vec<u8> = (0..400).map(|at| at as u8).collect();
            let mut pieces = Pieces::default();
            let mut has = [false; 400];
            for (from, length) in offsets {
                pieces.add(from, &whole[from..from + length]).unwrap();
                has[from..from + length].fill(true);
            }
            let end = has.iter().position(|has| !has).unwrap();
            prop_assert_eq!(pieces.beginning(), &whole[..end]);
        }
    }
}
