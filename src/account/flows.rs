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

/// Flows that are remembered; 32 bytes each, so that none lies across two cache lines.
const PLACES: usize = 8_192;
/// A segment that ends this far behind the newest is of another connection that uses the
/// same ports again, not a retransmission.
const WINDOW: i32 = 1 << 24;

/// The port slot of a flow without ports; no table has it.
pub const NO_SLOT: u32 = u32::MAX;

/// What is remembered of one flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Interface, ports, protocol and network, see [`Flows::key`].
    key: u64,
    /// Slot of the source in the host table.
    pub source: u32,
    /// Slot of the destination.
    pub destination: u32,
    /// Slot of the service port, or [`NO_SLOT`].
    pub port: u32,
    /// The highest TCP sequence number seen, 0 for none.
    sequence: u32,
    /// The row of its protocol.
    pub protocol: u16,
    /// The cell of its interface's counters, see [`super::cell`].
    pub cell: u8,
}

impl Flow {
    /// No record has this key: its network would be ARP, which has no ports.
    const NONE: Flow = Flow {
        key: u64::MAX,
        source: NO_SLOT,
        destination: NO_SLOT,
        port: NO_SLOT,
        sequence: 0,
        protocol: 0,
        cell: 0,
    };

    /// The flow with this key, its counters being at these places. `sequence` is the end of
    /// its first TCP segment.
    #[inline]
    pub fn new(
        key: u64,
        (source, destination): (u32, u32),
        port: u32,
        sequence: Option<u32>,
        (protocol, cell): (u16, u8),
    ) -> Flow {
        let sequence = sequence.unwrap_or(0);
        Flow { key, source, destination, port, sequence, protocol, cell }
    }

    /// Whether the record with this key may be of this flow; its addresses are still to be
    /// compared.
    #[inline]
    pub fn fits(&self, key: u64) -> bool {
        self.key == key
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
        // Through a vector: built as an array it would pass over the stack, and what a
        // stack has grown to once stays resident.
        let flows = vec![Flow::NONE; PLACES].into_boxed_slice();
        Flows(flows.try_into().unwrap_or_else(|_| Box::new([Flow::NONE; PLACES])))
    }

    /// Forgets all flows.
    pub fn clear(&mut self) {
        self.0.fill(Flow::NONE);
    }

    /// All that tells the flow of `record` but its addresses. Interfaces beyond two million
    /// would share flows.
    #[inline]
    pub fn key(interface: usize, record: &PacketRecord) -> u64 {
        record.flow_key(interface)
    }

    /// The first of the two places where a flow may be remembered.
    ///
    /// Two places per flow: with one, flows that share a place push each other out with
    /// every packet.
    #[inline]
    pub fn place(key: u64, record: &PacketRecord) -> usize {
        // Multiplication carries upwards only: the rotation brings the bits of the second
        // factor down before the last one.
        let ends = record.source.tail().wrapping_mul(0x6f4a_7c15)
            ^ record.destination.tail().rotate_left(32)
            ^ key;
        let mixed = ends.wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 51) as usize
    }

    /// What is remembered in a place, whichever flow it is.
    #[inline]
    pub fn at(&mut self, place: usize) -> &mut Flow {
        &mut self.0[place % PLACES]
    }

    /// What is remembered in the second place of a flow that has this as its first.
    #[inline]
    pub fn second(&self, place: usize) -> &Flow {
        &self.0[(place ^ 1) % PLACES]
    }

    /// Moves what is in the second place to the first, and the other way round.
    pub fn promote(&mut self, place: usize) {
        self.0.swap(place % PLACES, (place ^ 1) % PLACES);
    }

    /// Remembers a new flow in its first place; what was there moves to the second.
    ///
    /// To put new flows into the second place saves the move, but costs more: in a scan one
    /// frame in eight finds its flow overwritten (measured).
    #[inline]
    pub fn remember(&mut self, place: usize, flow: Flow) {
        self.0[(place ^ 1) % PLACES] = self.0[place % PLACES];
        self.0[place % PLACES] = flow;
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
