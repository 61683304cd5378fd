//! Puts together what a TCP connection begins with: the hello of a TLS client, an HTTP request, the
//! answers of a name server. Segments may be missing, repeated or out of order.
//!
//! Theory of operation. Each direction of a connection is a stream of its own. One is kept from its
//! SYN on, or, where the SYN is missing or the connection has gone on since, from a segment on that
//! looks like the beginning of a message. It is given up when its reader has read all or wants no
//! more. So a stream is kept only as long as its next bytes are of interest: mostly for no time at
//! all, because the first segment holds everything.
//!
//! All is bounded: [`STREAMS`], [`BYTES`] of each, [`WAITING`] segments that came early, [`PATIENCE`].
//! When the table is full, the stream that began first goes: a flood of SYNs costs hellos of more
//! than one segment, no others.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::claim::{Packet, Sink};
use super::locate::{Opens, Segment};
use super::{dns, http, tls};
use crate::decode::NO_TIME;

/// Streams kept at once.
const STREAMS: usize = 256;
/// Bytes kept of a stream. A hello with post-quantum keys takes 2,000.
const BYTES: usize = 4_096;
/// Segments of a stream that are kept until those before them have come; together [`BYTES`] at most.
const WAITING: usize = 8;
/// Nanoseconds of packet time for which a stream is waited for.
const PATIENCE: i64 = 3_000_000_000;

/// The ports of name servers: that of multicast DNS takes questions by TCP as well.
const NAME_SERVERS: [u16; 2] = [53, 5_353];

/// Source, destination, and their ports.
type Key = (IpAddr, IpAddr, (u16, u16));
/// Reads the beginning of a stream. Returns from where on it needs the bytes again, with more.
type Reader = fn(&Packet<'_>, &[u8], Sink<'_>) -> Option<usize>;

/// The streams that have begun.
#[derive(Default)]
pub struct Streams {
    table: HashMap<Key, Stream>,
    /// The streams by number in the order in which they began, and some that have ended.
    order: VecDeque<(u64, Key)>,
    /// The number of the next stream.
    next: u64,
}

struct Stream {
    number: u64,
    /// When it began.
    since: i64,
    /// The sequence number of the first of `bytes`.
    start: u32,
    bytes: Vec<u8>,
    /// Segments beyond the end of `bytes`: how far from the start, and their data.
    waiting: Vec<(usize, Vec<u8>)>,
    /// Who reads it, as soon as that shows.
    reader: Option<Reader>,
}

impl Streams {
    /// Takes a segment.
    pub fn read(&mut self, packet: &Packet<'_>, segment: Segment, claims: Sink<'_>) {
        let key = (packet.source, packet.destination, packet.ports);
        let is_of_interest = match segment.opens {
            Opens::Nothing => false,
            // A name server's client only asks.
            Opens::Client => !NAME_SERVERS.contains(&packet.ports.1),
            Opens::Server => is_name_server(packet),
        };
        if is_of_interest {
            self.insert(key, Stream::new(packet.time, segment.sequence, None));
        }
        if packet.payload.is_empty() {
            return;
        }
        let Some(stream) = self.table.get_mut(&key) else {
            return self.begin(key, packet, segment, claims);
        };
        if is_late(stream.since, packet.time) {
            self.table.remove(&key);
            return self.begin(key, packet, segment, claims);
        }
        if stream.add(segment.sequence, packet.payload) && !stream.read(packet, claims) {
            self.table.remove(&key);
        }
    }

    /// Begins in the middle of a connection, if this segment looks like the beginning of a message.
    /// Without a copy if it holds all of it.
    fn begin(&mut self, key: Key, packet: &Packet<'_>, segment: Segment, claims: Sink<'_>) {
        let Some(reader) = reader(packet, packet.payload) else { return };
        if let Some(from) = reader(packet, packet.payload, claims) {
            let start = segment.sequence.wrapping_add(from as u32);
            let mut stream = Stream::new(packet.time, start, Some(reader));
            stream.add(start, packet.payload.get(from..).unwrap_or_default());
            self.insert(key, stream);
        }
    }

    fn insert(&mut self, key: Key, stream: Stream) {
        self.table.insert(key, Stream { number: self.next, ..stream });
        self.order.push_back((self.next, key));
        self.next += 1;
        // Each has been put into the queue once, and leaves it once.
        while self.table.len() > STREAMS || self.order.len() > 4 * STREAMS {
            let Some((number, key)) = self.order.pop_front() else { break };
            if self.table.get(&key).is_some_and(|stream| stream.number == number) {
                self.table.remove(&key);
            }
        }
    }
}

impl Stream {
    fn new(since: i64, start: u32, reader: Option<Reader>) -> Stream {
        Stream { number: 0, since, start, bytes: Vec::new(), waiting: Vec::new(), reader }
    }

    /// Adds a segment; returns whether there is more to read now.
    fn add(&mut self, sequence: u32, mut data: &[u8]) -> bool {
        let mut at = sequence.wrapping_sub(self.start);
        // Half of all numbers are before the start.
        if at > u32::MAX / 2 {
            let before = at.wrapping_neg() as usize;
            data = data.get(before..).unwrap_or_default();
            at = 0;
        }
        let at = at as usize;
        if at > self.bytes.len() {
            let data = data.get(..BYTES.saturating_sub(at)).unwrap_or(data);
            let held: usize = self.waiting.iter().map(|(_, data)| data.len()).sum();
            let has_room = self.waiting.len() < WAITING && held + data.len() <= BYTES;
            if has_room && !data.is_empty() {
                self.waiting.push((at, data.to_vec()));
            }
            return false;
        }
        let before = self.bytes.len();
        self.append(at, data);
        while let Some(next) = self.waiting.iter().position(|(at, _)| *at <= self.bytes.len()) {
            let (at, data) = self.waiting.swap_remove(next);
            self.append(at, &data);
        }
        self.bytes.len() > before
    }

    /// Appends what is new of a segment that begins at `at`, not past the end.
    fn append(&mut self, at: usize, data: &[u8]) {
        let new = data.get(self.bytes.len().saturating_sub(at)..).unwrap_or_default();
        let room = BYTES.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(new.get(..room).unwrap_or(new));
    }

    /// Reads what is there; returns whether more is wanted.
    fn read(&mut self, packet: &Packet<'_>, claims: Sink<'_>) -> bool {
        let Some(reader) = self.reader.or_else(|| reader(packet, &self.bytes)) else {
            // A few bytes may not show yet what they begin.
            return self.bytes.len() < SHORTEST;
        };
        self.reader = Some(reader);
        let Some(from) = reader(packet, &self.bytes, claims) else { return false };
        self.bytes.drain(..from);
        self.start = self.start.wrapping_add(from as u32);
        // They begin past the end of what has been read.
        self.waiting.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(from));
        self.bytes.len() < BYTES
    }
}

/// The reader of a stream that begins with these bytes.
fn reader(packet: &Packet<'_>, bytes: &[u8]) -> Option<Reader> {
    if is_name_server(packet) {
        return dns::begins(bytes).then_some(dns::read_stream);
    }
    if tls::begins(bytes) {
        return Some(tls::read);
    }
    http::begins(bytes).then_some(http::read)
}

/// As many bytes show what a stream begins with: a method of HTTP and its blank are the longest.
const SHORTEST: usize = 21;

fn is_name_server(packet: &Packet<'_>) -> bool {
    NAME_SERVERS.contains(&packet.ports.0)
}

fn is_late(since: i64, now: i64) -> bool {
    since != NO_TIME && now != NO_TIME && now.saturating_sub(since) > PATIENCE
}

#[cfg(test)]
mod tests;
