//! Fragments that overlap: an error that only shows across packets.
//!
//! A small memory of fixed size: old entries are written over, so a flood makes the count
//! miss something, never grow. The totals do not depend on it.

use crate::decode::{Fragment, PacketRecord};

const DATAGRAMS: usize = 256;
const RANGES: usize = 8;
/// How long the fragments of one datagram may trickle in (RFC 8200, section 4.5).
const REASSEMBLY_NS: i64 = 60_000_000_000;

#[derive(Clone, Copy)]
struct Datagram {
    key: u64,
    since: i64,
    /// Byte ranges seen, start and end; unused ones are empty.
    ranges: [(u32, u32); RANGES],
}

/// Finds fragments that cover bytes which another fragment of the datagram has brought.
pub struct Fragments {
    datagrams: Box<[Datagram]>,
}

impl Fragments {
    /// Remembers nothing yet.
    pub fn new() -> Fragments {
        let free = Datagram { key: 0, since: 0, ranges: [(0, 0); RANGES] };
        Fragments { datagrams: vec![free; DATAGRAMS].into_boxed_slice() }
    }

    /// Takes in a fragment seen on an interface. Whether it overlaps an earlier one of its
    /// datagram (a repeated fragment does).
    pub fn observe(&mut self, interface: usize, record: &PacketRecord, fragment: Fragment) -> bool {
        // RFC 791 and RFC 8200: a datagram is told by its ends, its identification and
        // (IPv4) its protocol.
        let ends = record.source.tail().rotate_left(32) ^ record.destination.tail();
        let id = u64::from(fragment.identification) << 8 | u64::from(record.protocol());
        let key = (ends ^ id.rotate_left(20) ^ (interface as u64) << 60)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1;
        let place = &mut self.datagrams[(key >> 56) as usize % DATAGRAMS];
        let old = record.timestamp.wrapping_sub(place.since);
        if place.key != key || !(0..REASSEMBLY_NS).contains(&old) {
            *place = Datagram { key, since: record.timestamp, ranges: [(0, 0); RANGES] };
        }
        let (mut start, mut end) = (fragment.offset, fragment.offset + fragment.length);
        if start == end {
            return false;
        }
        let overlaps = place.ranges.iter().any(|&(from, to)| start < to && from < end);
        // Ranges that touch the new one become one with it, which frees their places.
        for range in &mut place.ranges {
            if range.0 != range.1 && start <= range.1 && range.0 <= end {
                (start, end) = (start.min(range.0), end.max(range.1));
                *range = (0, 0);
            }
        }
        if let Some(free) = place.ranges.iter_mut().find(|range| range.0 == range.1) {
            *free = (start, end);
        }
        overlaps
    }
}

impl Default for Fragments {
    fn default() -> Fragments {
        Fragments::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_that_touch_do_not_overlap() {
        let mut seen = Fragments::new();
        let record = PacketRecord::default();
        let piece = |offset, length| Fragment { identification: 7, offset, length };
        assert!(!seen.observe(0, &record, piece(0, 1_480)));
        assert!(!seen.observe(0, &record, piece(2_960, 500)));
        assert!(!seen.observe(0, &record, piece(1_480, 1_480)));
        assert!(seen.observe(0, &record, piece(1_000, 8)));
        assert!(!seen.observe(1, &record, piece(1_000, 8)));
    }
}
