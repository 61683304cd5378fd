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
//! made for the same [`Host::born`]. What a flow counted for a host that came into its slot
//! since the last walk may be its predecessor's, and is left out.
//!
//! Each walk adds to what has been counted since the start, since the last base interval was
//! closed, and since the last fine one. A close begins with a walk, so that an interval's rows
//! hold what came within it, and no more than their hosts' rows of that interval do.

use super::fine::Range;
use super::flows::{Flow, Flows, NO_SLOT};
use super::interval::IntervalService;
use super::table::Table;
use super::{Accounts, Host, InOut, PortKey, Ports, Rates, Volume};
use crate::decode::Addr;

/// Rows of all hosts together. The least recently seen one goes back into "other".
const ROWS: usize = 4_096;
/// In the number of a service: what follows is an IP protocol, not the slot of a port.
const NO_PORT: u32 = 1 << 31;

/// What a host may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Service {
    /// TCP, UDP or SCTP, with a service port.
    Port(PortKey),
    /// An IP protocol without one; as in [`super::ProtocolRow`].
    Protocol(u16),
}

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

    fn is_zero(&self) -> bool {
        self.bytes == [0; 2] && self.packets == [0; 2]
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
    born: u64,
    traffic: InOut,
    /// Of that, since the last base interval was closed, and since the last fine one.
    base: Open,
    fine: Open,
    /// The rates of fine intervals within the open base interval: received, sent.
    ranges: [Range; 2],
}

impl Row {
    fn new(born: u64) -> Row {
        Row {
            born,
            traffic: InOut::default(),
            base: Open::default(),
            fine: Open::default(),
            ranges: Default::default(),
        }
    }

    fn add(&mut self, traffic: &InOut) {
        self.traffic += *traffic;
        self.base.add(traffic);
        self.fine.add(traffic);
    }
}

const _: () = assert!(size_of::<Row>() <= 112);

/// The rows, by the slot of the host and the number of the service.
pub(super) struct Services {
    rows: Table<(u32, u32), Row, 2>,
    /// How many hosts had been folded at the last walk.
    folded: u64,
    /// Frames that had been counted then.
    frames: u64,
}

impl Services {
    pub(super) fn new() -> Services {
        Services { rows: Table::with_room(ROWS), folded: 0, frames: 0 }
    }

    fn gather(&mut self, flows: &mut Flows, hosts: &Table<Addr, Host>) {
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
        let born = host.born;
        if born > self.folded {
            return;
        }
        let service = match flow.counters.port() {
            NO_SLOT => NO_PORT | u32::from(flow.protocol()),
            port => port,
        };
        let key = (slot, service);
        let found = self.rows.find(&key, |row| {
            if row.born != born {
                *row = Row::new(born);
            }
            row.add(&traffic);
        });
        if let Err(hash) = found {
            let mut row = Row::new(born);
            row.add(&traffic);
            self.rows.insert(hash, key, row, None, |_, _| ());
        }
    }

    /// Ends the open fine interval, which was captured for `covered` milliseconds.
    pub(super) fn close_fine(
        &mut self,
        hosts: &Table<Addr, Host>,
        ports: &Ports,
        covered: u64,
    ) -> Vec<IntervalService> {
        let mut closed = self.room_for(hosts, |row| !row.fine.is_zero());
        for ((slot, number), row) in self.rows.iter_mut() {
            let traffic = std::mem::take(&mut row.fine).traffic();
            if traffic.is_zero() {
                continue;
            }
            let bytes = [traffic.received.bytes, traffic.sent.bytes];
            let rates = bytes.map(|bytes| Rates::steady(bytes, covered));
            for (range, rates) in row.ranges.iter_mut().zip(rates) {
                range.take(rates.greatest);
            }
            let named = named(hosts, ports, (*slot, *number), row.born).filter(is_of_local);
            closed.extend(named.map(|named| interval_service(named, traffic, rates)));
        }
        closed
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
        let mut closed = self.room_for(hosts, |row| !row.base.is_zero());
        for ((slot, number), row) in self.rows.iter_mut() {
            let traffic = std::mem::take(&mut row.base).traffic();
            let mut ranges = std::mem::take(&mut row.ranges);
            if traffic.is_zero() {
                continue;
            }
            let own = [traffic.received.bytes, traffic.sent.bytes];
            let rates = std::array::from_fn(|at| {
                ranges[at].close(intervals, Rates::steady(own[at], covered).greatest)
            });
            let named = named(hosts, ports, (*slot, *number), row.born).filter(is_of_local);
            closed.extend(named.map(|named| interval_service(named, traffic, rates)));
        }
        closed
    }

    /// Room for the rows of local hosts of which `is_meant` says so. A list that grows as it goes
    /// leaves holes in memory, of twice its size together, and it is made every second.
    fn room_for(
        &self,
        hosts: &Table<Addr, Host>,
        is_meant: impl Fn(&Row) -> bool,
    ) -> Vec<IntervalService> {
        let is_local = |slot: u32| hosts.at(slot).is_some_and(|(_, host)| host.local);
        let rows = self.rows.iter();
        Vec::with_capacity(rows.filter(|((slot, _), row)| is_meant(row) && is_local(*slot)).count())
    }

    /// The rows, in no order. They are those of the last walk; a host's place is its slot.
    pub(super) fn rows(&self, hosts: &Table<Addr, Host>, ports: &Ports) -> Vec<ServiceRow> {
        let row = |((slot, number), row): (&(u32, u32), &Row)| {
            let (_, _, service) = named(hosts, ports, (*slot, *number), row.born)?;
            Some(ServiceRow { host: *slot, service, traffic: row.traffic })
        };
        // Not collected, as what grows as it goes leaves holes behind; and of a size that the
        // hole of the last snapshot but one fits.
        let mut rows = Vec::with_capacity(self.rows.iter().len().next_power_of_two());
        rows.extend(self.rows.iter().filter_map(row));
        rows
    }
}

/// Intervals have the rows of local hosts only, see [`ClosedInterval::keep_busiest`].
///
/// [`ClosedInterval::keep_busiest`]: super::ClosedInterval::keep_busiest
fn is_of_local((_, local, _): &(Addr, bool, Service)) -> bool {
    *local
}

/// What a host that is named did with a service in an interval.
fn interval_service(
    (address, local, service): (Addr, bool, Service),
    traffic: InOut,
    rates: [Rates; 2],
) -> IntervalService {
    IntervalService { address, local, service, traffic, rates }
}

/// The address of the host in a slot, whether it is local, and the service of that number;
/// `None` if that host has been folded and another one is there.
fn named(
    hosts: &Table<Addr, Host>,
    ports: &Ports,
    (slot, number): (u32, u32),
    born: u64,
) -> Option<(Addr, bool, Service)> {
    let (address, host) = hosts.at(slot)?;
    if host.born != born {
        return None;
    }
    let service = match number & NO_PORT {
        0 => Service::Port(ports.key(number)?),
        _ => Service::Protocol((number & !NO_PORT) as u16),
    };
    Some((*address, host.local, service))
}

impl Accounts {
    /// Adds what came since the last time to the rows of what hosts do. To be called once a
    /// second or so: what is forgotten before is in no row.
    pub fn gather(&mut self) {
        // Where nothing has come there is nothing to walk over: closes follow each other.
        let frames = self.interfaces.iter().map(|i| i.total().packets).sum();
        if std::mem::replace(&mut self.services.frames, frames) != frames {
            self.services.gather(&mut self.flows, &self.hosts);
        }
    }
}
