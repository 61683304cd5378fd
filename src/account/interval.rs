//! Closed intervals: what the worker thread passes to the store. Plain data.

use std::cmp::Reverse;

use super::local::Direction;
use super::ports::{Service, Transport};
use super::rates::Rates;
use super::volume::{InOut, Volume};
use crate::decode::{Addr, Mac};

/// An interface's traffic in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IntervalInterface {
    /// Its name.
    pub name: String,
    /// Milliseconds of the interval in which it was captured.
    pub covered: u64,
    /// By [`Direction`].
    pub directions: [Volume; 5],
    /// By [`Direction`].
    pub rates: [Rates; 5],
    /// Frames lost.
    pub dropped: u64,
}

/// A host's traffic in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalHost {
    /// Its address.
    pub address: Addr,
    /// Its hardware address, if known.
    pub mac: Mac,
    /// Whether it counts as inside.
    pub local: bool,
    /// What it received and sent.
    pub traffic: InOut,
    /// For received and for sent.
    pub rates: [Rates; 2],
}

/// A service port's traffic in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalPort {
    /// TCP, UDP or SCTP.
    pub transport: Transport,
    /// The service port.
    pub port: u16,
    /// Packets to and from it.
    pub volume: Volume,
    /// Both ways together.
    pub rates: Rates,
}

/// An IP protocol's traffic in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalProtocol {
    /// IP protocol number; 256 is "not known".
    pub number: u16,
    /// Its packets.
    pub volume: Volume,
    /// Its rates.
    pub rates: Rates,
}

/// A host's traffic with one service in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalService {
    /// The host's address.
    pub address: Addr,
    /// Whether it counts as inside.
    pub local: bool,
    /// The service.
    pub service: Service,
    /// What the host received and sent.
    pub traffic: InOut,
    /// For received and for sent.
    pub rates: [Rates; 2],
}

/// One closed span of time and all that was counted in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedInterval {
    /// When it began, seconds since 1970 UTC, a multiple of its length.
    pub start: i64,
    /// Its length, seconds.
    pub length: u32,
    /// The interfaces that saw traffic or drops, or were captured.
    pub interfaces: Vec<IntervalInterface>,
    /// The hosts that sent or received something.
    pub hosts: Vec<IntervalHost>,
    /// Hosts that were folded.
    pub other_hosts: InOut,
    /// The ports.
    pub ports: Vec<IntervalPort>,
    /// Ports that were folded.
    pub other_ports: Volume,
    /// Frames without a port.
    pub without_port: Volume,
    /// The IP protocols.
    pub protocols: Vec<IntervalProtocol>,
    /// Services of local hosts; for each at most what its row in `hosts` has.
    pub services: Vec<IntervalService>,
}

impl ClosedInterval {
    /// Frames that are not IP.
    pub fn not_ip(&self) -> Volume {
        self.interfaces.iter().map(|i| i.directions[Direction::None as usize]).sum()
    }

    /// Every frame.
    pub fn total(&self) -> Volume {
        self.interfaces.iter().flat_map(|i| i.directions).sum()
    }

    /// Keeps the busiest rows and folds the rest into "other", so that a busy minute does not fill
    /// the card. Half of the host rows are reserved for local hosts: a visit to many servers must
    /// not push out the people at home.
    ///
    /// Services are kept for local hosts that have a row. Those of remote hosts mirror them, and
    /// there is no end of remote hosts: their rows would cost as many writes and say little more.
    pub fn keep_busiest(&mut self, hosts: usize, ports: usize, services: usize) {
        self.services.retain(|row| row.local);
        if self.hosts.len() > hosts {
            let busiest = |row: &IntervalHost| (Reverse(row.traffic.bytes()), row.address);
            busiest_first(&mut self.hosts, hosts, |row| row.local, busiest);
            for row in self.hosts.drain(hosts..) {
                self.other_hosts += row.traffic;
            }
            self.hosts.shrink_to_fit();
            let mut named: Vec<Addr> = self.hosts.iter().map(|row| row.address).collect();
            named.sort_unstable();
            self.services.retain(|row| named.binary_search(&row.address).is_ok());
        }
        if self.services.len() > services {
            let busiest =
                |row: &IntervalService| (Reverse(row.traffic.bytes()), row.address, row.service);
            first_few(&mut self.services, services, busiest);
            self.services.truncate(services);
        }
        self.services.shrink_to_fit();
        if self.ports.len() > ports {
            let busiest = |row: &IntervalPort| (Reverse(row.volume.bytes), row.transport, row.port);
            first_few(&mut self.ports, ports, busiest);
            for row in self.ports.drain(ports..) {
                self.other_ports += row.volume;
            }
            self.ports.shrink_to_fit();
        }
    }

    /// Milliseconds of capture on the interface that was captured longest. The rates of all rows
    /// but those of interfaces are over this time.
    pub fn covered(&self) -> u64 {
        self.interfaces.iter().map(|interface| interface.covered).max().unwrap_or(0)
    }

    /// Whether nothing happened: no frame, no drop. It may have been covered all the same.
    pub fn is_empty(&self) -> bool {
        self.total().is_zero() && self.interfaces.iter().all(|i| i.dropped == 0)
    }

    /// About how many rows it takes to store this: for bounds.
    pub fn rows(&self) -> usize {
        // 3: "other" and "none" of hosts and ports, and what a list takes by itself.
        let split = self.hosts.len() + self.ports.len() + self.protocols.len();
        3 + self.interfaces.len() + split + self.services.len()
    }
}

/// Moves the `count` busiest rows to the front, half of them the busiest local ones.
fn busiest_first<T, K: Ord>(
    rows: &mut [T],
    count: usize,
    is_local: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> K + Copy,
) {
    let mut locals = 0;
    for at in 0..rows.len() {
        if is_local(&rows[at]) {
            rows.swap(at, locals);
            locals += 1;
        }
    }
    let aside = locals.min(count / 2);
    first_few(&mut rows[..locals], aside, key);
    first_few(&mut rows[aside..], count - aside, key);
}

/// Moves the `count` rows with the least keys to the front, in no order: sorting all rows of a
/// flood takes too long.
fn first_few<T, K: Ord>(rows: &mut [T], count: usize, key: impl Fn(&T) -> K) {
    if count < rows.len() {
        rows.select_nth_unstable_by_key(count, key);
    }
}
