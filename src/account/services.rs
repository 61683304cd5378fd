//! What each host does: its traffic by service port and protocol, since the start.
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

use super::flows::{Flow, Flows, NO_SLOT};
use super::table::Table;
use super::{Accounts, Host, InOut, PortKey, Ports};
use crate::decode::Addr;

/// Rows of all hosts together. The least recently seen one goes back into "other".
const ROWS: usize = 4_096;
/// In the number of a service: what follows is an IP protocol, not the slot of a port.
const NO_PORT: u32 = 1 << 31;

/// What a host may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// What one host did with one service.
#[derive(Clone, Copy)]
struct Row {
    /// Of the host that it was made for.
    born: u64,
    traffic: InOut,
}

/// The rows, by the slot of the host and the number of the service.
pub(super) struct Services {
    rows: Table<(u32, u32), Row, 2>,
    /// How many hosts had been folded at the last walk.
    folded: u64,
}

impl Services {
    pub(super) fn new() -> Services {
        Services { rows: Table::with_room(ROWS), folded: 0 }
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
                *row = Row { born, traffic: InOut::default() };
            }
            row.traffic += traffic;
        });
        if let Err(hash) = found {
            self.rows.insert(hash, key, Row { born, traffic }, None, |_, _| ());
        }
    }

    /// The rows, in no order. They are those of the last walk; a host's place is its slot.
    pub(super) fn rows(&self, hosts: &Table<Addr, Host>, ports: &Ports) -> Vec<ServiceRow> {
        let row = |((slot, number), row): (&(u32, u32), &Row)| {
            let (_, host) = hosts.at(*slot)?;
            if host.born != row.born {
                return None;
            }
            let service = match number & NO_PORT {
                0 => Service::Port(ports.key(*number)?),
                _ => Service::Protocol((number & !NO_PORT) as u16),
            };
            Some(ServiceRow { host: *slot, service, traffic: row.traffic })
        };
        // Not collected, as what grows as it goes leaves holes behind; and of a size that the
        // hole of the last snapshot but one fits.
        let mut rows = Vec::with_capacity(self.rows.iter().len().next_power_of_two());
        rows.extend(self.rows.iter().filter_map(row));
        rows
    }
}

impl Accounts {
    /// Adds what came since the last time to the rows of what hosts do. To be called once a
    /// second or so: what is forgotten before is in no row.
    pub fn gather(&mut self) {
        self.services.gather(&mut self.flows, &self.hosts);
    }
}
