//! The flow cache: what one packet of a flow says about the next.
//!
//! Packets come in trains: most belong to a flow (one direction of a conversation: protocol, both
//! addresses and both ports) that had another packet shortly before. The cache holds where that
//! flow's counters are, which saves the look-ups, and how far its TCP got, which finds
//! retransmissions.
//!
//! Theory of operation: the cache has a fixed size. Each flow belongs to one set, which holds two,
//! the one with the newest packet first. A new flow takes the first place and evicts the least
//! recently seen one. Flows of different sets never evict each other. With one place per set, two
//! flows that share it would evict each other with every packet. Four places would lose even fewer
//! flows, but every new one would cost 20 instructions more (measured).
//!
//! The cache is only a hint. Both ends are compared with the host rows' own keys, so an outdated
//! entry costs that comparison and nothing else. The totals do not depend on it. But an evicted
//! flow loses retransmissions and packets of [`super::services`]. So a [`Seed`] decides a flow's
//! set: nobody on the network can choose flows that evict others.

use std::hash::{BuildHasher, RandomState};

use super::interface::CELLS;
use super::protocols::protocol_row;
use super::volume::Volume;
use crate::decode::{Addr, PacketRecord};

/// Sets of two flows; a power of two.
const SETS: usize = 1 << SET_BITS;
const SET_BITS: u32 = 12;
/// A segment that ends further than this behind the newest belongs to another connection on the
/// same ports; it is no retransmission.
const WINDOW: i32 = 1 << 24;

/// The port slot of a flow without ports; no port has it.
pub const NO_SLOT: u32 = (1 << (32 - PORT_SHIFT)) - 1;

/// The first bit of the port's slot in [`Counters`], above the cell.
const PORT_SHIFT: u32 = 9;
/// The first bit of the cell. A counter has 16 bytes, so this makes the cell a byte offset.
const CELL_SHIFT: u32 = 4;
const _: () = assert!(size_of::<Flow>() == 32);
const _: () = assert!(size_of::<Volume>() == 1 << CELL_SHIFT);
const _: () = assert!(CELLS == 1 << (PORT_SHIFT - CELL_SHIFT));

/// A packet's counters other than its hosts': the slot of its service port and the cell of its
/// interface.
#[derive(Clone, Copy)]
pub struct Counters(u32);

impl Counters {
    /// Packs a slot, or [`NO_SLOT`], and a cell.
    #[inline]
    pub fn new(port: u32, cell: u8) -> Counters {
        Counters(port << PORT_SHIFT | u32::from(cell) << CELL_SHIFT)
    }

    /// Slot of the service port, or [`NO_SLOT`].
    #[inline]
    pub fn port(self) -> u32 {
        self.0 >> PORT_SHIFT
    }

    /// The cell of the interface's counters, see [`super::interface::cell`].
    #[inline]
    pub fn cell(self) -> usize {
        (self.0 >> CELL_SHIFT) as usize % CELLS
    }
}

/// One flow in the cache.
#[derive(Clone, Copy)]
pub struct Flow {
    /// Interface, ports, protocol and network, see [`Flows::key`].
    key: u64,
    /// Its packets and bytes since [`Flows::take_counts`].
    count: u64,
    /// Slot of the source in the host table.
    pub source: u32,
    /// Slot of the destination.
    pub destination: u32,
    /// The highest TCP sequence number seen, 0 for none.
    sequence: u32,
    /// Its packets' other counters.
    pub counters: Counters,
}

impl Flow {
    /// No record has this key: its network would be ARP, which has no ports.
    const NONE: Flow = Flow {
        key: u64::MAX,
        count: 0,
        source: u32::MAX,
        destination: u32::MAX,
        sequence: 0,
        counters: Counters(NO_SLOT << PORT_SHIFT),
    };

    /// A flow after its first packet, which has `bytes` bytes. `sequence` is the end of its first
    /// TCP segment.
    #[inline]
    pub fn new(
        key: u64,
        (source, destination): (u32, u32),
        counters: Counters,
        sequence: Option<u32>,
        bytes: u32,
    ) -> Flow {
        let sequence = sequence.unwrap_or(0);
        Flow { key, count: counted(bytes), source, destination, sequence, counters }
    }

    /// The row of its protocol.
    pub fn protocol(&self) -> u16 {
        protocol_row(&PacketRecord::of_flow(self.key))
    }

    /// Counts a packet of `bytes` bytes.
    #[inline]
    pub fn count(&mut self, bytes: u32) {
        self.count = self.count.wrapping_add(counted(bytes));
    }

    /// Whether a record with this key may be of this flow; compare its addresses as well.
    #[inline]
    pub fn fits(&self, key: u64) -> bool {
        self.key == key
    }

    /// Whether a TCP segment that ends before `next` is a retransmission: it ends at or before the
    /// highest sequence number seen. Otherwise, remembers `next`.
    ///
    /// That includes segments that the network reordered. Telling those apart takes a clock and
    /// guesses (RFC 8985), which a count of "how well does TCP fare" does not need. Only segments
    /// that occupy sequence space (data, SYN or FIN) are given.
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

/// A count in one word: packets in the upper bits, bytes in the lower ones. It is taken once a
/// second, when it can hold a terabyte and 16 million packets.
const COUNT_BYTES: u32 = 40;

/// Evicted flows whose counts are kept: only a scan evicts some thousand.
const OVERWRITTEN: usize = 2_048;

/// A packet of `bytes` bytes, as a count.
#[inline]
fn counted(bytes: u32) -> u64 {
    1 << COUNT_BYTES | u64::from(bytes)
}

/// The numbers that decide a flow's set.
#[derive(Clone, Copy)]
pub struct Seed {
    source: [u64; 2],
    destination: [u64; 2],
    /// Odd.
    multiplier: u64,
}

impl Seed {
    /// From the operating system's random numbers.
    pub fn random() -> Seed {
        let state = RandomState::new();
        Seed::from(|number| state.hash_one(number))
    }

    /// The same each time, for capture files: the same file must give the same counts. Whoever
    /// crafts one spoils only its own.
    pub fn fixed() -> Seed {
        // Digits of pi, as good as any.
        Seed::from(|number| 0x243f_6a88_85a3_08d3_u64.rotate_left(number * 11))
    }

    fn from(number: impl Fn(u32) -> u64) -> Seed {
        Seed {
            source: [number(0), number(1)],
            destination: [number(2), number(3)],
            multiplier: number(4) | 1,
        }
    }
}

/// All bits of an address, mixed with the seed.
#[inline]
fn mix(address: &Addr, seed: &[u64; 2]) -> u64 {
    let [head, tail] = address.halves();
    let product = u128::from(head ^ seed[0]) * u128::from(tail ^ seed[1]);
    product as u64 ^ (product >> 64) as u64
}

/// The flows of one set, the one with the newest packet first, in one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Flow; 2]);

const _: () = assert!(size_of::<Set>() == 64);

/// The flows of recent packets; one flow on two interfaces is two flows.
pub struct Flows {
    sets: Box<[Set; SETS]>,
    /// Flows evicted before their count was taken, as far as there is room.
    overwritten: Vec<Flow>,
    seed: Seed,
}

impl Flows {
    /// An empty cache.
    pub fn new(seed: Seed) -> Flows {
        // Through a vector: an array would pass over the stack, and a stack that has grown once
        // stays resident.
        let sets = vec![Set([Flow::NONE; 2]); SETS].into_boxed_slice();
        let Ok(sets) = sets.try_into() else { unreachable!("there are {SETS} sets") };
        Flows { sets, overwritten: Vec::new(), seed }
    }

    /// Forgets all flows.
    pub fn clear(&mut self) {
        self.sets.fill(Set([Flow::NONE; 2]));
        self.overwritten.clear();
    }

    /// Identifies the flow of `record`, but for its addresses. Interfaces beyond two million would
    /// share flows. No flow has the key of a record that is not IP.
    #[inline]
    pub fn key(interface: usize, record: &PacketRecord) -> u64 {
        record.flow_key(interface)
    }

    /// The number of the set for `record`, which has this key.
    #[inline]
    pub fn set(&self, key: u64, record: &PacketRecord) -> usize {
        let source = mix(&record.source, &self.seed.source);
        let destination = mix(&record.destination, &self.seed.destination);
        let mixed = (source ^ destination ^ key).wrapping_mul(self.seed.multiplier);
        (mixed >> (64 - SET_BITS)) as usize
    }

    /// The flow in the first or second place (0 or 1) of a set, whichever it is.
    #[inline]
    pub fn at<const PLACE: usize>(&mut self, set: usize) -> &mut Flow {
        &mut self.sets[set % SETS].0[PLACE]
    }

    /// Passes to `take` each flow that had packets since the last call, with their count.
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
        self.sets.iter_mut().flat_map(|set| &mut set.0).for_each(take);
    }

    #[cold]
    #[inline(never)]
    fn set_aside(&mut self, set: usize) {
        self.overwritten.push(self.sets[set % SETS].0[1]);
    }

    /// Moves the second flow of a set, which had a packet, to the front.
    #[inline]
    pub fn promote(&mut self, set: usize) {
        let flows = &mut self.sets[set % SETS].0;
        let [first, second] = *flows;
        *flows = [second, first];
    }

    /// Adds a new flow to its set; evicts the one that was seen least recently.
    ///
    /// Adding new flows in the second place would save the move, but cost more: in a scan one frame
    /// in eight would find its flow evicted (measured).
    #[inline]
    pub fn remember(&mut self, set: usize, flow: Flow) {
        if self.overwritten.len() < OVERWRITTEN && self.sets[set % SETS].0[1].count != 0 {
            self.set_aside(set);
        }
        let flows = &mut self.sets[set % SETS].0;
        flows[1] = flows[0];
        flows[0] = flow;
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
