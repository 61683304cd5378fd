//! A small memory of recent flows: all that one packet of a flow tells about the next.
//!
//! Packets come in trains: most belong to a flow (one direction of a conversation, told
//! by protocol, both addresses and both ports) of which another packet came shortly
//! before. The memory holds where that flow's counters are, which saves the look-ups, and
//! how far its TCP got, which finds retransmissions.
//!
//! It has a fixed size and old entries are written over. It is only a hint: both ends are
//! compared with the host rows' own keys, so an entry that is outdated, or that somebody
//! made collide, costs that comparison and nothing else. The totals do not depend on it.

use crate::decode::PacketRecord;

/// Flows that are remembered; 24 bytes each.
const PLACES: usize = 16_384;
/// A segment that ends this far behind the newest is of another connection that uses the
/// same ports again, not a retransmission.
const WINDOW: i32 = 1 << 24;

/// The port slot of a flow without ports; no table has it.
pub const NO_SLOT: u32 = u32::MAX;

/// What is remembered of one flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Slot of the source in the host table.
    pub source: u32,
    /// Slot of the destination.
    pub destination: u32,
    /// Slot of the service port in the port table, or [`NO_SLOT`].
    pub port: u32,
    /// The cell of its interface's counters, see [`super::cell`].
    pub cell: u8,
    ports: u32,
    kind: u16,
    /// The highest TCP sequence number seen, 0 for none.
    sequence: u32,
}

impl Flow {
    const NONE: Flow = Flow {
        source: NO_SLOT,
        destination: NO_SLOT,
        port: NO_SLOT,
        cell: 0,
        ports: 0,
        kind: 0,
        sequence: 0,
    };

    /// The flow of `record`, its counters being at these places.
    pub fn new(
        record: &PacketRecord,
        (source, destination): (u32, u32),
        port: u32,
        cell: u8,
    ) -> Flow {
        let (ports, kind) = (record.port_pair(), record.kind());
        Flow { source, destination, port, cell, ports, kind, sequence: 0 }
    }

    /// Whether `record` may be of this flow; its addresses are still to be compared.
    #[inline]
    pub fn fits(&self, record: &PacketRecord) -> bool {
        self.ports == record.port_pair() && self.kind == record.kind()
    }

    /// Whether `other` is this flow, perhaps at another point of it.
    pub fn is_same(&self, other: &Flow) -> bool {
        *self == Flow { sequence: self.sequence, ..*other }
    }

    /// Takes in a TCP segment that ends before `next`. Whether it is a retransmission:
    /// whether it ends at or before the highest sequence number seen.
    ///
    /// That includes segments that the network reordered; telling those apart takes a
    /// clock and guesses (RFC 8985), which a count of "how well does TCP fare" does not
    /// need. Only segments that occupy sequence space (data, SYN or FIN) are given.
    #[inline]
    pub fn is_retransmission(&mut self, next: u32) -> bool {
        let ahead = next.wrapping_sub(self.sequence) as i32;
        if self.sequence != 0 && (-WINDOW..=0).contains(&ahead) {
            return true;
        }
        self.sequence = next;
        false
    }
}

/// The flows of recent packets; the same flow on two interfaces is two flows.
pub struct Flows(Box<[Flow; PLACES]>);

impl Flows {
    /// Remembers nothing yet.
    pub fn new() -> Flows {
        Flows(Box::new([Flow::NONE; PLACES]))
    }

    /// Forgets all flows.
    pub fn clear(&mut self) {
        self.0.fill(Flow::NONE);
    }

    /// Looks for the flow in the second place it may have; if it is there (the record fits
    /// and `is_it` agrees), it moves to the first. What was in the first moves to the second.
    ///
    /// Two places per flow: with one, flows that share a place push each other out with
    /// every packet.
    pub fn promote(
        &mut self,
        interface: usize,
        record: &PacketRecord,
        is_it: impl FnOnce(&Flow) -> bool,
    ) -> bool {
        let first = Flows::index(interface, record);
        let second = first ^ 1;
        let found = self.0[second].fits(record) && is_it(&self.0[second]);
        self.0.swap(first, second);
        found
    }

    /// Where this packet's flow is remembered, or another that had the place before.
    #[inline]
    pub fn place(&mut self, interface: usize, record: &PacketRecord) -> &mut Flow {
        &mut self.0[Flows::index(interface, record)]
    }

    #[inline]
    fn index(interface: usize, record: &PacketRecord) -> usize {
        // Multiplication carries upwards only: the rotation brings the bits of the second
        // factor down before the last one.
        let ends = record.source.tail().wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ record.destination.tail().rotate_left(32)
            ^ u64::from(record.port_pair())
            ^ u64::from(record.kind()) << 40
            ^ (interface as u64) << 56;
        let mixed = ends.wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 50) as usize % PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_seen_twice_is_a_retransmission_once() {
        let mut flow = Flow::NONE;
        assert!(!flow.is_retransmission(1_000));
        assert!(!flow.is_retransmission(2_000));
        assert!(flow.is_retransmission(2_000));
        assert!(!flow.is_retransmission(3_000));
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut flow = Flow::NONE;
        assert!(!flow.is_retransmission(u32::MAX - 10));
        assert!(!flow.is_retransmission(20));
        assert!(flow.is_retransmission(u32::MAX - 10));
    }

    #[test]
    fn a_new_connection_on_old_ports_is_no_retransmission() {
        let mut flow = Flow::NONE;
        assert!(!flow.is_retransmission(3_000_000_000));
        assert!(!flow.is_retransmission(2_000_000_000));
        assert!(!flow.is_retransmission(2_000_000_100));
    }
}
