//! Errors that only show across packets: TCP retransmissions and overlapping fragments.
//!
//! Both keep a small memory of fixed size: old entries are written over, so a flood makes
//! the count miss something, never grow. The totals do not depend on it.

use crate::decode::{Fragment, PacketRecord};

/// Half-connections (one direction of a TCP connection) that are remembered.
const FLOWS: usize = 8_192;
/// A segment that ends this far behind the newest is of another connection that uses the
/// same ports again, not a retransmission.
const WINDOW: i32 = 1 << 24;

/// Finds TCP segments whose last byte has been seen before.
///
/// A segment counts as a retransmission if it occupies sequence space (data, SYN or FIN)
/// and ends at or before the highest sequence number seen in its direction. That
/// includes segments that the network reordered; telling those apart takes a clock and
/// guesses (RFC 8985), which a count of "how well does TCP fare" does not need.
pub struct Retransmissions {
    /// Tag and highest sequence number; a tag of 0 is a free place.
    flows: Box<[(u32, u32)]>,
}

impl Retransmissions {
    /// Remembers nothing yet.
    pub fn new() -> Retransmissions {
        Retransmissions { flows: vec![(0, 0); FLOWS].into_boxed_slice() }
    }

    /// Takes in a segment that ends before `next`; `key` tells its half-connection from
    /// others (and may be recycled after a long time). Whether it is a retransmission.
    #[inline]
    pub fn observe(&mut self, key: u64, next: u32) -> bool {
        // Fibonacci hashing: the keys are our own slot numbers, not an attacker's choice.
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let tag = (mixed >> 16) as u32 | 1;
        let place = &mut self.flows[(mixed >> 51) as usize % FLOWS];
        if place.0 == tag {
            let ahead = next.wrapping_sub(place.1) as i32;
            if (-WINDOW..=0).contains(&ahead) {
                return true;
            }
        }
        *place = (tag, next);
        false
    }
}

impl Default for Retransmissions {
    fn default() -> Retransmissions {
        Retransmissions::new()
    }
}

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

    /// Takes in a fragment; `hosts` tells the pair of hosts from others. Whether it
    /// overlaps an earlier one (a repeated fragment does).
    pub fn observe(&mut self, hosts: u64, record: &PacketRecord, fragment: Fragment) -> bool {
        let id = u64::from(fragment.identification) << 8 | u64::from(record.protocol);
        let key = (hosts ^ id.rotate_left(24)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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
    fn a_segment_seen_twice_is_a_retransmission_once() {
        let mut seen = Retransmissions::new();
        assert!(!seen.observe(1, 1_000));
        assert!(!seen.observe(1, 2_000));
        assert!(seen.observe(1, 2_000));
        assert!(!seen.observe(2, 2_000));
        assert!(!seen.observe(1, 3_000));
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut seen = Retransmissions::new();
        assert!(!seen.observe(1, u32::MAX - 10));
        assert!(!seen.observe(1, 20));
        assert!(seen.observe(1, u32::MAX - 10));
    }

    #[test]
    fn a_new_connection_on_old_ports_is_no_retransmission() {
        let mut seen = Retransmissions::new();
        assert!(!seen.observe(1, 3_000_000_000));
        assert!(!seen.observe(1, 2_000_000_000));
        assert!(!seen.observe(1, 2_000_000_100));
    }

    #[test]
    fn fragments_that_touch_do_not_overlap() {
        let mut seen = Fragments::new();
        let record = PacketRecord::new(0, 1_500, 1_500);
        let piece = |offset, length| Fragment { identification: 7, offset, length };
        assert!(!seen.observe(1, &record, piece(0, 1_480)));
        assert!(!seen.observe(1, &record, piece(2_960, 500)));
        assert!(!seen.observe(1, &record, piece(1_480, 1_480)));
        assert!(seen.observe(1, &record, piece(1_000, 8)));
        assert!(!seen.observe(2, &record, piece(1_000, 8)));
    }
}
