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

use super::volume::Volume;
use super::{CELLS, PROTOCOL_ROWS};
use crate::decode::PacketRecord;

/// Flows that are remembered; 32 bytes each, so that none lies across two cache lines.
const PLACES: usize = 8_192;
/// A segment that ends this far behind the newest is of another connection that uses the
/// same ports again, not a retransmission.
const WINDOW: i32 = 1 << 24;

/// The port slot of a flow without ports; no table of ports has it.
pub const NO_SLOT: u32 = (1 << (32 - PORT_SHIFT)) - 1;

/// Where the row of the protocol is in [`Flow::counters`], above the cell.
const PROTOCOL_SHIFT: u32 = 5;
/// Where the slot of the port is, above the row of the protocol.
const PORT_SHIFT: u32 = 14;
const _: () = assert!(size_of::<Flow>() == 32);
const _: () = assert!(CELLS == 1 << PROTOCOL_SHIFT);
const _: () = assert!(PROTOCOL_ROWS == 1 << (PORT_SHIFT - PROTOCOL_SHIFT));

/// What is remembered of one flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Interface, ports, protocol and network, see [`Flows::key`].
    key: u64,
    /// What came of it since that was last taken.
    count: u64,
    /// Slot of the source in the host table.
    pub source: u32,
    /// Slot of the destination.
    pub destination: u32,
    /// The highest TCP sequence number seen, 0 for none.
    sequence: u32,
    /// The slot of its service port, the row of its protocol, the cell of its interface's
    /// counters.
    counters: u32,
}

impl Flow {
    /// No record has this key: its network would be ARP, which has no ports.
    const NONE: Flow = Flow {
        key: u64::MAX,
        count: 0,
        source: u32::MAX,
        destination: u32::MAX,
        sequence: 0,
        counters: NO_SLOT << PORT_SHIFT,
    };

    /// The flow with this key, its counters being at these places, of which a packet of so
    /// many bytes came. `sequence` is the end of its first TCP segment.
    #[inline]
    pub fn new(
        key: u64,
        (source, destination): (u32, u32),
        port: u32,
        sequence: Option<u32>,
        (protocol, cell): (u16, u8),
        bytes: u32,
    ) -> Flow {
        let sequence = sequence.unwrap_or(0);
        let counters = port << PORT_SHIFT | u32::from(protocol) << PROTOCOL_SHIFT | u32::from(cell);
        Flow { key, count: counted(bytes), source, destination, sequence, counters }
    }

    /// Slot of the service port, or [`NO_SLOT`].
    #[inline]
    pub fn port(&self) -> u32 {
        self.counters >> PORT_SHIFT
    }

    /// The row of its protocol.
    #[inline]
    pub fn protocol(&self) -> u16 {
        (self.counters >> PROTOCOL_SHIFT) as u16 % PROTOCOL_ROWS as u16
    }

    /// The cell of its interface's counters, see [`super::cell`].
    #[inline]
    pub fn cell(&self) -> u8 {
        self.counters as u8 % CELLS as u8
    }

    /// Counts a packet of so many bytes.
    #[inline]
    pub fn count(&mut self, bytes: u32) {
        self.count = self.count.wrapping_add(counted(bytes));
    }

    /// Whether the record with this key may be of this flow; its addresses are still to be
    /// compared.
    #[inline]
    pub fn fits(&self, key: u64) -> bool {
        self.key == key
    }

    /// Whether `other` is this flow, perhaps at another point of it.
    pub fn is_same(&self, other: &Flow) -> bool {
        *self == Flow { sequence: self.sequence, count: self.count, ..*other }
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

/// A count in one word: packets in the upper bits, bytes in the lower ones. It is taken once
/// a second, when it can hold a terabyte and 16 million packets.
const COUNT_BYTES: u32 = 40;

/// Overwritten flows whose counts are kept: some thousand come in a scan only.
const OVERWRITTEN: usize = 2_048;

/// One packet of so many bytes, as a count.
#[inline]
fn counted(bytes: u32) -> u64 {
    1 << COUNT_BYTES | u64::from(bytes)
}

/// The flows of recent packets; the same flow on two interfaces is two flows.
pub struct Flows {
    flows: Box<[Flow; PLACES]>,
    /// Flows that others took the place of before their count was taken, as far as there is
    /// room for them.
    overwritten: Vec<Flow>,
}

impl Flows {
    /// Remembers nothing yet.
    pub fn new() -> Flows {
        // Through a vector: built as an array it would pass over the stack, and what a
        // stack has grown to once stays resident.
        let flows = vec![Flow::NONE; PLACES].into_boxed_slice();
        let Ok(flows) = flows.try_into() else { unreachable!("there are {PLACES} places") };
        Flows { flows, overwritten: Vec::new() }
    }

    /// Forgets all flows.
    pub fn clear(&mut self) {
        self.flows.fill(Flow::NONE);
        self.overwritten.clear();
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
        &mut self.flows[place % PLACES]
    }

    /// Gives `take` each flow of which packets have come since the last time, and how many.
    pub fn take_counts(&mut self, mut take: impl FnMut(&Flow, Volume)) {
        let mut take = |flow: &mut Flow| {
            let count = std::mem::take(&mut flow.count);
            if count != 0 {
                let bytes = count & ((1 << COUNT_BYTES) - 1);
                take(flow, Volume { packets: count >> COUNT_BYTES, bytes });
            }
        };
        self.overwritten.iter_mut().for_each(&mut take);
        self.overwritten.clear();
        self.flows.iter_mut().for_each(take);
    }

    #[cold]
    #[inline(never)]
    fn set_aside(&mut self, place: usize) {
        self.overwritten.push(self.flows[place % PLACES]);
    }

    /// What is remembered in the second place of a flow that has this as its first.
    #[inline]
    pub fn second(&self, place: usize) -> &Flow {
        &self.flows[(place ^ 1) % PLACES]
    }

    /// Moves what is in the second place to the first, and the other way round.
    pub fn promote(&mut self, place: usize) {
        self.flows.swap(place % PLACES, (place ^ 1) % PLACES);
    }

    /// Remembers a new flow in its first place; what was there moves to the second.
    ///
    /// To put new flows into the second place saves the move, but costs more: in a scan one
    /// frame in eight finds its flow overwritten (measured).
    #[inline]
    pub fn remember(&mut self, place: usize, flow: Flow) {
        if self.overwritten.len() < OVERWRITTEN && self.flows[(place ^ 1) % PLACES].count != 0 {
            self.set_aside(place ^ 1);
        }
        self.flows[(place ^ 1) % PLACES] = self.flows[place % PLACES];
        self.flows[place % PLACES] = flow;
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
