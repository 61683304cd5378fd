//! What each host does: its traffic by service port and protocol, since the start and in each
//! interval.
//!
//! Theory of operation: to find the row of a host and a service with every packet would be
//! two more look-ups on its path. Instead each place of the memory of flows counts what came
//! of its flow, which is one addition, and once a second [`Accounts::gather`] walks over the
//! places and adds what it finds to the rows. Of flows that were overwritten before, some are
//! set aside and the others lost to the rows; that takes a scan, or some thousand flows within
//! the second. So the rows never hold more than the host's total, and what they do not hold is
//! its "other": **rows + other = the host's total**.
//!
//! A host that was folded takes its rows with it: a row belongs to its host only if it was
//! made for the same [`Host::generation`]. What a flow counted for a host that came into its slot
//! since the last walk may be its predecessor's, and is left out.
//!
//! Each walk adds to what has been counted since the start and, of local hosts, since the last
//! base interval was closed and since the last fine one. A close begins with a walk, so that an
//! interval's rows hold what came within it, and no more than their hosts' rows of that interval
//! do. Intervals name local hosts only: what a remote host does is the mirror of what local ones
//! do, and there is no end of remote hosts. So what is still open stands in a table of its own,
//! in which the many rows of remote hosts take no room.

use super::fine::Range;
use super::flows::{Flow, Flows, NO_SLOT};
use super::host::Host;
use super::interval::{IntervalService, Rates};
use super::ports::{Ports, Service};
use super::table::Table;
use super::volume::{InOut, Volume};
use crate::decode::Addr;

/// Rows of all hosts together. The least recently seen one goes back into "other".
const ROWS: usize = 4_096;
/// In the number of a service: what follows is an IP protocol, not the slot of a port.
const NO_PORT: u32 = 1 << 31;

/// What one host did with one service.
///
/// There are thousands of these beside few hosts, twice while one snapshot follows another:
/// so a row has no address, which would make it 56 bytes instead of 40.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRow {
    /// The host: its place in [`super::Snapshot::hosts`].
    pub host: u32,
    /// The service.
    pub service: Service,
    /// What the host received and sent.
    pub traffic: InOut,
}

const _: () = assert!(size_of::<ServiceRow>() == 40);

/// What came in a span that is still open: received, sent. There are thousands of these, so
/// packets take 32 bits; as many in one span come from no line there is.
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

/// What one host did with one service.
#[derive(Clone, Copy)]
struct Row {
    /// Of the host that it was made for.
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

/// What a local host did with a service in the open intervals.
#[derive(Clone, Copy, Default)]
struct OpenRow {
    /// Since the last base interval was closed, and since the last fine one.
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

/// The open parts of rows. Places that are given back are used again.
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
    /// How many hosts had been folded at the last walk.
    folded: u64,
    /// Frames that had been counted then.
    frames: u64,
}

impl Services {
    pub(super) fn new() -> Services {
        Services { rows: Table::with_room(ROWS), open: OpenRows::default(), folded: 0, frames: 0 }
    }

    pub(super) fn gather(&mut self, frames: u64, flows: &mut Flows, hosts: &Table<Addr, Host>) {
        // Where nothing has come there is nothing to walk over: closes follow each other.
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

    fn add(&mut self, flow: &Flow, slot: u32, hosts: &Table<Addr, Host>, traffic: InOut) {
        let Some((_, host)) = hosts.at(slot) else { return };
        let generation = host.generation;
        if generation > self.folded {
            return;
        }
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

    /// Ends the open fine interval, which was captured for `covered` milliseconds.
    pub(super) fn close_fine(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &Ports,
        covered: u64,
    ) -> Vec<IntervalService> {
        self.close(hosts, ports, |row| {
            let traffic = std::mem::take(&mut row.fine).traffic();
            let rates = rates(&traffic, covered);
            if !traffic.is_zero() {
                for (range, rates) in row.ranges.iter_mut().zip(rates) {
                    range.take(rates.greatest);
                }
            }
            (traffic, rates)
        })
    }

    /// Ends the open base interval, which was captured for `covered` milliseconds and has had
    /// so many fine ones.
    pub(super) fn close_base(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &Ports,
        covered: u64,
        intervals: u32,
    ) -> Vec<IntervalService> {
        self.close(hosts, ports, |row| {
            let traffic = std::mem::take(&mut row.base).traffic();
            let own = rates(&traffic, covered);
            let mut ranges = std::mem::take(&mut row.ranges);
            let rates = std::array::from_fn(|at| ranges[at].close(intervals, own[at].greatest));
            (traffic, rates)
        })
    }

    /// The rows with traffic in an interval, which `end` ends and tells.
    fn close(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &Ports,
        mut end: impl FnMut(&mut OpenRow) -> (InOut, [Rates; 2]),
    ) -> Vec<IntervalService> {
        // A list that grows as it goes would leave holes in memory with each close.
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

    /// The rows, in no order. They are those of the last walk; a host's place is its slot.
    pub(super) fn rows(&self, hosts: &Table<Addr, Host>, ports: &Ports) -> Vec<ServiceRow> {
        let row = |((slot, number), row): (&(u32, u32), &Row)| {
            let (_, service) = named(hosts, ports, (*slot, *number), row.generation)?;
            Some(ServiceRow { host: *slot, service, traffic: row.traffic })
        };
        // Not collected, as what grows as it goes leaves holes behind; and of a size that the
        // hole of the last snapshot but one fits.
        let mut rows = Vec::with_capacity(self.rows.iter().len().next_power_of_two());
        rows.extend(self.rows.iter().filter_map(row));
        rows
    }
}

/// The rates of traffic that came within `covered` milliseconds: received, sent.
fn rates(traffic: &InOut, covered: u64) -> [Rates; 2] {
    [traffic.received.bytes, traffic.sent.bytes].map(|bytes| Rates::steady(bytes, covered))
}

/// The address of the host in a slot, and the service of that number; `None` if that host has been folded and another one is there.
fn named(
    hosts: &Table<Addr, Host>,
    ports: &Ports,
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
