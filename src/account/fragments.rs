//! Overlapping fragments: an error that only shows across packets.
//!
//! A cache of fixed size: new entries overwrite old ones. A flood makes the count miss something,
//! but never grows the cache. The totals do not depend on it.

use crate::decode::{Addr, Fragment, Network, PacketRecord};

const DATAGRAMS: usize = 256;
const RANGES: usize = 8;
/// How long the fragments of one datagram may keep coming (RFC 8200, section 4.5).
const REASSEMBLY_NS: i64 = 60_000_000_000;

/// A datagram's identity. RFC 791: its ends, its identification and its protocol. RFC 8200,
/// section 4.5: its ends and its identification; the next header may differ between the fragments.
/// And the interface, as one frame may pass two.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    ends: (Addr, Addr),
    identification: u32,
    /// 0 for IPv6.
    protocol: u8,
    interface: usize,
}

impl Key {
    const NONE: Key = Key {
        ends: (Addr::NONE, Addr::NONE),
        identification: 0,
        protocol: 0,
        interface: usize::MAX,
    };

    /// The datagram's place in the cache. Whoever aims at another one's place makes the count miss
    /// something, as a flood of fragments does.
    fn place(&self) -> usize {
        const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
        let parts = [
            self.ends.0.number() as u64,
            (self.ends.0.number() >> 64) as u64,
            self.ends.1.number() as u64,
            (self.ends.1.number() >> 64) as u64,
            u64::from(self.identification) << 8 | u64::from(self.protocol),
            self.interface as u64,
        ];
        // Multiplication carries upwards only: the rotation brings the upper bits down again.
        let mix = |sum: u64, part: &u64| (sum.rotate_left(29) ^ part).wrapping_mul(MIX);
        (parts.iter().fold(0, mix) >> 56) as usize % DATAGRAMS
    }
}

#[derive(Clone, Copy)]
struct Datagram {
    key: Key,
    since: i64,
    /// Byte ranges seen, start and end; unused ones are empty.
    ranges: [(u32, u32); RANGES],
}

/// Finds fragments that cover bytes of an earlier fragment of the datagram.
pub struct Fragments {
    datagrams: Box<[Datagram]>,
}

impl Fragments {
    /// An empty cache.
    pub fn new() -> Fragments {
        let free = Datagram { key: Key::NONE, since: 0, ranges: [(0, 0); RANGES] };
        Fragments { datagrams: vec![free; DATAGRAMS].into_boxed_slice() }
    }

    /// Adds a fragment seen on an interface. Returns whether it overlaps an earlier one of its
    /// datagram (a repeated fragment does).
    pub fn observe(&mut self, interface: usize, record: &PacketRecord, fragment: Fragment) -> bool {
        let is_v4 = record.network() == Network::Ipv4;
        let key = Key {
            ends: (record.source, record.destination),
            identification: fragment.identification,
            protocol: if is_v4 { record.protocol() } else { 0 },
            interface,
        };
        let place = &mut self.datagrams[key.place()];
        let old = record.timestamp.wrapping_sub(place.since);
        if place.key != key || !(0..REASSEMBLY_NS).contains(&old) {
            *place = Datagram { key, since: record.timestamp, ranges: [(0, 0); RANGES] };
        }
        let (mut start, mut end) = (fragment.offset, fragment.offset + fragment.length);
        if start == end {
            return false;
        }
        let overlaps = place.ranges.iter().any(|&(from, to)| start < to && from < end);
        // Merge ranges that touch the new one into it: this frees their places.
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
    use crate::decode::tests::frames::{
        DESTINATION_V6, SOURCE_V6, cat, fragment_header, ipv6_between, options,
    };
    use crate::decode::{LinkLayer, decode};

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

    /// A fragment of UDP in IPv6, from this prefix, with identification 7 and 8 bytes.
    fn v6_piece(prefix: u8, next_header: u8, offset: u16, payload: &[u8]) -> PacketRecord {
        let (mut source, mut destination) = (SOURCE_V6, DESTINATION_V6);
        (source[7], destination[6]) = (prefix, prefix);
        let payload = cat(&[&fragment_header(next_header, offset, true), payload]);
        let frame = ipv6_between(source, destination, 44, &payload);
        let mut record = PacketRecord::default();
        decode(LinkLayer::RawIp, &frame, frame.len() as u32, 1, &mut record);
        record
    }

    #[test]
    fn hosts_whose_addresses_end_alike_have_datagrams_of_their_own() {
        let mut seen = Fragments::new();
        let mut observe =
            |record: PacketRecord| seen.observe(0, &record, record.fragment().unwrap());
        for prefix in 0..=255 {
            assert!(!observe(v6_piece(prefix, 17, 64, &[0; 8])), "{prefix}");
        }
        assert!(observe(v6_piece(255, 17, 64, &[0; 8])));
    }

    #[test]
    fn fragments_of_ipv6_belong_together_whatever_their_next_header_says() {
        let mut seen = Fragments::new();
        let mut observe =
            |record: PacketRecord| seen.observe(0, &record, record.fragment().unwrap());
        // The first has destination options in front of its UDP.
        let first = v6_piece(1, 60, 0, &cat(&[&options(17), &[0; 16]]));
        let second = v6_piece(1, 60, 16, &[0; 16]);
        assert_eq!((first.protocol(), second.protocol()), (17, 60));
        assert!(!observe(first));
        assert!(observe(second));
    }
}
