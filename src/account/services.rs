//! The services of each host: its traffic by service port and protocol, since the start and in each
//! interval.
//!
//! Theory of operation: finding the row of a host and a service would be two more look-ups per
//! packet. Instead each entry of the flow cache counts its flow's packets, which is one addition.
//! Once a second [`Accounts::gather`] walks over the entries and adds their counts to the rows. Of
//! flows evicted before, some are set aside and the rows lose the others; that takes a scan, or
//! some thousand flows within the second. So the rows never hold more than the host's total, and
//! what they lack is its "other": **rows + other = the host's total**.
//!
//! When a host is evicted, so are its rows: a row belongs to its host only if both have the same
//! [`Host::generation`]. If a host got its slot since the last walk, the flow's count may belong to
//! the host before it, and is left out.
//!
//! Each walk adds to the counts since the start and, for local hosts, since the last base close and
//! the last fine close. A close begins with a walk, so an interval's rows hold the traffic within
//! it, and no more than their hosts' rows of that interval. Intervals name local hosts only: the
//! services of remote hosts mirror theirs, and there is no end of remote hosts. So open intervals
//! have a table of their own, in which the many rows of remote hosts take no room.

use super::flows::{Flow, Flows, NO_SLOT};
use super::host::Host;
use super::interval::IntervalService;
use super::ports::{PortTable, Service};
use super::rates::{Range, Rates};
use super::table::Table;
use super::volume::{InOut, Volume};
use crate::decode::Addr;

/// Rows of all hosts together. The least recently seen one is folded into "other".
const ROWS: usize = 4_096;
/// Bit in the number of a service: the rest is an IP protocol, not the slot of a port.
const NO_PORT: u32 = 1 << 31;

/// One host's traffic with one service.
///
/// There are thousands of these beside few hosts, twice as many while one snapshot replaces
/// another. So a row has no address, which would make it 56 bytes instead of 40.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRow {
    /// The host: its index in [`super::Snapshot::hosts`].
    pub host: u32,
    /// The service.
    pub service: Service,
    /// What the host received and sent.
    pub traffic: InOut,
}

const _: () = assert!(size_of::<ServiceRow>() == 40);

/// Traffic in an open interval: received, sent. There are thousands of these, so packets take 32
/// bits; no line carries more in one interval.
#[derive(Clone, Copy, Default)]
struct Open {
    bytes: [u64; 2],
    packets: [u32; 2],
}

impl Open {
    fn add(&mut self, traffic: &InOut) {
        for (at, volume) in [traffic.received, traffic.sent].into_iter().enumerate() {
            self.bytes[at] += volume.bytes;
            let packets = u32::try_from(volume.packets).unwrap_or(u32::MAX);
            self.packets[at] = self.packets[at].saturating_add(packets);
        }
    }

    fn traffic(&self) -> InOut {
        let volume = |at: usize| Volume { packets: self.packets[at].into(), bytes: self.bytes[at] };
        InOut { received: volume(0), sent: volume(1) }
    }
}

/// One host's traffic with one service.
#[derive(Clone, Copy)]
struct Row {
    /// Of the host that it belongs to.
    generation: u64,
    traffic: InOut,
    /// Its place in [`Services::open`], or [`NO_SLOT`].
    open: u32,
}

impl Row {
    fn new(generation: u64) -> Row {
        Row { generation, traffic: InOut::default(), open: NO_SLOT }
    }
}

const _: () = assert!(size_of::<Row>() <= 48);

/// A local host's traffic with a service in the open intervals.
#[derive(Clone, Copy, Default)]
struct OpenRow {
    /// Since the last base close, and since the last fine close.
    base: Open,
    fine: Open,
    /// The rates of fine intervals within the open base interval: received, sent.
    ranges: [Range; 2],
}

impl OpenRow {
    fn add(&mut self, traffic: &InOut) {
        self.base.add(traffic);
        self.fine.add(traffic);
    }
}

const _: () = assert!(size_of::<OpenRow>() <= 72);

/// The open parts of rows. Freed places are used again.
#[derive(Default)]
struct OpenRows {
    rows: Vec<OpenRow>,
    free: Vec<u32>,
}

impl OpenRows {
    fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.rows.push(OpenRow::default());
            self.rows.len() as u32 - 1
        })
    }

    fn taken(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    fn give_back(&mut self, place: u32) {
        if let Some(row) = self.get(place) {
            *row = OpenRow::default();
            self.free.push(place);
        }
    }

    /// The row in `place`; `None` for [`NO_SLOT`].
    fn get(&mut self, place: u32) -> Option<&mut OpenRow> {
        self.rows.get_mut(place as usize)
    }
}

/// The rows, by the slot of the host and the number of the service.
pub(super) struct Services {
    rows: Table<(u32, u32), Row, 2>,
    open: OpenRows,
    /// How many hosts had been evicted at the last walk.
    folded: u64,
    /// Frames counted by then.
    frames: u64,
    changes: u64,
}

impl Services {
    pub(super) fn new() -> Services {
        Services {
            rows: Table::with_room(ROWS),
            open: OpenRows::default(),
            folded: 0,
            frames: 0,
            changes: 0,
        }
    }

    pub(super) fn gather(&mut self, frames: u64, flows: &mut Flows, hosts: &Table<Addr, Host>) {
        // No new frames, so nothing to walk over: one close often follows another.
        if std::mem::replace(&mut self.frames, frames) == frames {
            return;
        }
        flows.take_counts(|flow, volume| {
            let sent = InOut { sent: volume, ..InOut::default() };
            let received = InOut { received: volume, ..InOut::default() };
            self.add(flow, flow.source, hosts, sent);
            self.add(flow, flow.destination, hosts, received);
        });
        self.folded = hosts.evicted();
    }

    /// How often a row has changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    fn add(&mut self, flow: &Flow, slot: u32, hosts: &Table<Addr, Host>, traffic: InOut) {
        let Some((_, host)) = hosts.at(slot) else { return };
        let generation = host.generation;
        if generation > self.folded {
            return;
        }
        self.changes += 1;
        let service = match flow.counters.port() {
            NO_SLOT => NO_PORT | u32::from(flow.protocol()),
            port => port,
        };
        let key = (slot, service);
        let open = &mut self.open;
        let mut add = |row: &mut Row| {
            row.traffic += traffic;
            if host.local {
                if row.open == NO_SLOT {
                    row.open = open.take();
                }
                if let Some(open) = open.get(row.open) {
                    open.add(&traffic);
                }
            }
        };
        let mut gone = NO_SLOT;
        let found = self.rows.find(&key, |row| {
            if row.generation != generation {
                gone = std::mem::replace(row, Row::new(generation)).open;
            }
            add(row);
        });
        if let Err(hash) = found {
            let mut row = Row::new(generation);
            add(&mut row);
            self.rows.insert(hash, key, row, None, |_, old| gone = old.open);
        }
        self.open.give_back(gone);
    }

    /// Closes the open fine interval, which was captured for `covered` milliseconds.
    pub(super) fn close_fine(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &PortTable,
        covered: u64,
    ) -> Vec<IntervalService> {
        self.close(hosts, ports, |row| {
            let open = std::mem::take(&mut row.fine);
            let rates = match open.traffic().is_zero() {
                true => Default::default(),
                false => std::array::from_fn(|way| row.ranges[way].take(open.bytes[way], covered)),
            };
            (open.traffic(), rates)
        })
    }

    /// Closes the open base interval, which was captured for `covered` milliseconds and had
    /// `intervals` fine ones.
    pub(super) fn close_base(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &PortTable,
        covered: u64,
        intervals: u32,
    ) -> Vec<IntervalService> {
        self.close(hosts, ports, |row| {
            let open = std::mem::take(&mut row.base);
            let close = |way: usize| row.ranges[way].close(intervals, open.bytes[way], covered);
            (open.traffic(), std::array::from_fn(close))
        })
    }

    /// The rows with traffic in an interval; `end` closes each of them.
    fn close(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &PortTable,
        mut end: impl FnMut(&mut OpenRow) -> (InOut, [Rates; 2]),
    ) -> Vec<IntervalService> {
        // A vector that grows step by step would fragment the heap with each close.
        let mut closed = Vec::with_capacity(self.open.taken());
        let open = &mut self.open;
        closed.extend(self.rows.iter().filter_map(|((slot, number), row)| {
            let (traffic, rates) = end(open.get(row.open)?);
            let (address, service) = named(hosts, ports, (*slot, *number), row.generation)?;
            let named = IntervalService { address, local: true, service, traffic, rates };
            (!traffic.is_zero()).then_some(named)
        }));
        closed
    }

    /// The rows of the last walk, in no order; a host's index is its slot.
    pub(super) fn rows(&self, hosts: &Table<Addr, Host>, ports: &PortTable) -> Vec<ServiceRow> {
        let row = |((slot, number), row): (&(u32, u32), &Row)| {
            let (_, service) = named(hosts, ports, (*slot, *number), row.generation)?;
            Some(ServiceRow { host: *slot, service, traffic: row.traffic })
        };
        // Not collected: a vector that grows step by step fragments the heap. The size fits the gap
        // that the last snapshot but one left.
        let mut rows = Vec::with_capacity(self.rows.iter().len().next_power_of_two());
        rows.extend(self.rows.iter().filter_map(row));
        rows
    }
}

/// The address and the service behind a row's key; `None` if another host has the slot now.
fn named(
    hosts: &Table<Addr, Host>,
    ports: &PortTable,
    (slot, number): (u32, u32),
    generation: u64,
) -> Option<(Addr, Service)> {
    let (address, host) = hosts.at(slot)?;
    if host.generation != generation {
        return None;
    }
    let service = match number & NO_PORT {
        0 => Service::Port(ports.key(number)?),
        _ => Service::Protocol((number & !NO_PORT) as u16),
    };
    Some((*address, service))
}
