//! Snapshots: what the worker thread publishes for the web. Plain data, which never changes.
//!
//! Each table is shared by all snapshots between which it did not change: in a network at rest, no
//! row of a host, port, service or protocol is copied. Whether one changed is told by sums, so that
//! the hot path need not mark what it writes: the rows of hosts change with IP packets only, those
//! of ports with packets that have a port. The few rows of interfaces are compared.

use std::sync::Arc;
use std::time::Duration;

use super::accounts::Accounts;
use super::host::Host;
use super::interface::{Drops, ErrorKind, Interface, KernelErrors};
use super::interval::ClosedInterval;
use super::ledger::Rows;
use super::local::{Direction, LocalNetworks};
use super::ports::{PortKey, Transport};
use super::protocols::{CLASSES, class_of};
use super::services::ServiceRow;
use super::shared::Shared;
use super::volume::{InOut, Split, Volume};
use crate::decode::{Addr, Mac, NO_TIME, Network};

/// One host in a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct HostRow {
    /// Its address.
    pub address: Addr,
    /// Its hardware address, if it is local and a frame has shown it.
    pub mac: Mac,
    /// Whether it counts as inside.
    pub local: bool,
    /// Whether it is a group of hosts, not a host: multicast or broadcast.
    pub group: bool,
    /// First seen, nanoseconds since 1970 UTC.
    pub first: i64,
    /// Last seen, nanoseconds since 1970 UTC.
    pub last: i64,
    /// What it received and sent.
    pub traffic: InOut,
}

/// One service port in a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct PortRow {
    /// TCP, UDP or SCTP.
    pub transport: Transport,
    /// The service port.
    pub port: u16,
    /// Packets to and from it.
    pub volume: Volume,
}

/// One IP protocol in a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct ProtocolRow {
    /// IP protocol number; 256 is "not known" (see [`super::protocol_name`]).
    pub number: u16,
    /// Its packets.
    pub volume: Volume,
}

/// One interface in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceRow {
    /// Its name: the interface's, or the capture file's.
    pub name: String,
    /// libpcap's name of its link type, empty if it has not been opened yet.
    pub link_type: String,
    /// Every frame.
    pub total: Volume,
    /// By [`Direction`].
    pub directions: [Volume; 5],
    /// By [`crate::decode::Network`].
    pub ethertypes: [Volume; Network::ALL.len()],
    /// Bytes that were captured.
    pub captured_bytes: u64,
    /// By [`ErrorKind`].
    pub errors: [u64; ErrorKind::COUNT],
    /// Frames lost.
    pub drops: Drops,
    /// The kernel's error counters.
    pub kernel: KernelErrors,
    /// Whether capture is running.
    pub is_capturing: bool,
    /// Whether it is to be captured. One that was removed from the configuration is not, but keeps
    /// its row: its counts are in the totals.
    pub is_watched: bool,
}

/// One second of traffic by the packet clock, all interfaces together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// When it began, seconds since 1970 UTC.
    pub start: i64,
    /// By [`Direction`].
    pub directions: [Volume; 5],
    /// By [`class_of`]; with the frames that are not IP, these are all packets.
    pub classes: [u64; CLASSES],
}

/// The busiest hosts of the latest fine interval. Groups do not count as hosts: their traffic is in
/// `other`.
#[derive(Clone, Debug, Default)]
pub struct Busiest {
    /// When it began, seconds since 1970 UTC by the system's clock.
    pub start: i64,
    /// Its length, seconds.
    pub length: u32,
    /// What these hosts received and sent in it, in no order.
    pub hosts: Vec<(Addr, InOut)>,
    /// The same for all other hosts.
    pub other: InOut,
}

impl Busiest {
    /// The hosts that `interval` names, dated `start`.
    pub fn of(interval: &ClosedInterval, start: i64, local: &LocalNetworks) -> Busiest {
        let mut busiest = Busiest {
            start,
            length: interval.length,
            hosts: Vec::with_capacity(interval.hosts.len()),
            other: interval.other_hosts,
        };
        for row in &interval.hosts {
            if row.local && local.is_group(&row.address) {
                busiest.other += row.traffic;
            } else {
                busiest.hosts.push((row.address, row.traffic));
            }
        }
        busiest
    }
}

impl Second {
    /// All directions together.
    pub fn total(&self) -> Volume {
        self.directions.iter().copied().sum()
    }

    /// One direction.
    pub fn direction(&self, direction: Direction) -> Volume {
        self.directions[direction as usize]
    }
}

/// The counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Increases with every snapshot.
    pub number: u64,
    /// When it was taken, nanoseconds since 1970 UTC by the system's clock.
    pub taken_at: i64,
    /// Since the worker started.
    pub uptime: Duration,
    /// Every frame of every interface.
    pub total: Volume,
    /// Bytes that were captured of them.
    pub captured_bytes: u64,
    /// The first and the last frame's time, nanoseconds since 1970 UTC.
    pub span: Option<(i64, i64)>,
    /// The interfaces, in the order in which they were added.
    pub interfaces: Shared<InterfaceRow>,
    /// The hosts, in no order but the one that [`ServiceRow::host`] refers to.
    pub hosts: Shared<HostRow>,
    /// Traffic of folded hosts.
    pub other_hosts: InOut,
    /// How many hosts were folded (one that comes and goes counts each time).
    pub folded_hosts: u64,
    /// The ports, in no order.
    pub ports: Shared<PortRow>,
    /// Frames without a port.
    pub without_port: Volume,
    /// The services of hosts, in no order, as of the last [`Accounts::gather`]; bounded.
    pub services: Shared<ServiceRow>,
    /// The protocols, by number.
    pub protocols: Shared<ProtocolRow>,
    /// The last closed seconds, oldest first.
    pub seconds: Shared<Second>,
    /// The latest busiest hosts; `None` if there are no fine intervals.
    pub busiest: Option<Arc<Busiest>>,
}

impl Snapshot {
    /// Frames that are not IP: they have no host and no IP protocol.
    pub fn not_ip(&self) -> Volume {
        self.direction(Direction::None)
    }

    /// One direction, over all interfaces.
    pub fn direction(&self, direction: Direction) -> Volume {
        self.interfaces.iter().map(|i| i.directions[direction as usize]).sum()
    }

    /// Packets by [`class_of`] their protocol.
    pub fn classes(&self) -> [u64; CLASSES] {
        let mut sum = [0; CLASSES];
        for row in &self.protocols {
            sum[class_of(row.number)] += row.volume.packets;
        }
        sum
    }

    /// Frames lost, over all interfaces.
    pub fn drops(&self) -> Drops {
        self.interfaces.iter().fold(Drops::default(), |sum, i| sum + i.drops)
    }

    /// The errors by kind, over all interfaces.
    pub fn errors(&self) -> [u64; ErrorKind::COUNT] {
        let mut sum = [0; ErrorKind::COUNT];
        for interface in &self.interfaces {
            for (sum, count) in sum.iter_mut().zip(interface.errors) {
                *sum += count;
            }
        }
        sum
    }
}

impl Accounts {
    /// The counters as they stand. The caller fills in the times.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_after(&Snapshot::default())
    }

    /// As [`Accounts::snapshot`], but shares the tables of `last`, an earlier snapshot of these
    /// counters, that have not changed.
    pub fn snapshot_after(&self, last: &Snapshot) -> Snapshot {
        let interfaces: Vec<InterfaceRow> = self.interfaces.iter().map(Interface::row).collect();
        let total: Volume = interfaces.iter().map(|row| row.total).sum();
        let not_ip: Volume =
            interfaces.iter().map(|row| row.directions[Direction::None as usize]).sum();
        let without_port = self.ports.other.total();
        // None of these numbers ever decreases.
        let ip = total.packets - not_ip.packets;
        let of_hosts = ip + self.local_changes;
        let of_ports = total.packets - without_port.packets;
        Snapshot {
            total,
            captured_bytes: interfaces.iter().map(|row| row.captured_bytes).sum(),
            span: (self.first != NO_TIME).then_some((self.first, self.last)),
            interfaces: last.interfaces.next_if_changed(interfaces),
            hosts: last.hosts.next(of_hosts, || self.host_rows()),
            other_hosts: self.hosts.other.total(),
            folded_hosts: self.hosts.rows.evicted(),
            ports: last.ports.next(of_ports, || self.port_rows()),
            without_port,
            // They name hosts by their slots, and lose those of hosts that are folded.
            services: last.services.next(of_hosts + self.services.changes(), || {
                self.services.rows(&self.hosts.rows, &self.ports.rows)
            }),
            protocols: last.protocols.next(ip, || self.protocol_rows()),
            ..Snapshot::default()
        }
    }

    /// In the order of their slots.
    fn host_rows(&self) -> Vec<HostRow> {
        let row = |(address, host): (&Addr, &Host)| HostRow {
            address: *address,
            mac: host.mac,
            local: host.local,
            // Groups are always inside, so the many hosts outside need no test.
            group: host.local && self.local.is_group(address),
            first: host.first,
            last: host.last,
            traffic: host.traffic.total(),
        };
        self.hosts.rows.iter().map(row).collect()
    }

    fn port_rows(&self) -> Vec<PortRow> {
        let row = |(key, split): (&PortKey, &Split<Volume>)| PortRow {
            transport: key.transport,
            port: key.port,
            volume: split.total(),
        };
        self.ports.rows.iter().map(row).collect()
    }

    fn protocol_rows(&self) -> Vec<ProtocolRow> {
        let all = self.protocols.totals(&self.ports);
        let rows = all.iter().enumerate().filter(|(_, volume)| !volume.is_zero());
        rows.map(|(at, volume)| ProtocolRow { number: at as u16, volume: *volume }).collect()
    }
}

impl Interface {
    fn row(&self) -> InterfaceRow {
        InterfaceRow {
            name: self.name.clone(),
            link_type: self.link_type.clone(),
            total: self.total(),
            directions: self.directions(),
            ethertypes: self.ethertypes(),
            captured_bytes: self.captured_bytes,
            errors: self.errors,
            drops: self.drops,
            kernel: self.kernel,
            is_capturing: self.is_capturing,
            is_watched: self.is_watched,
        }
    }
}
