//! What leaves the worker thread: snapshots for the web, closed intervals for the store.
//!
//! Both are plain data, copied once and never changed after.

use std::cmp::Reverse;
use std::time::Duration;

use serde::Serialize;

use super::{Accounts, Direction, ErrorKind, InOut, PROTOCOLS, Split, Transport, Volume};
use crate::decode::{Addr, Mac};

/// Frames that were there but could not be counted. All since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Drops {
    /// Lost by the kernel: its capture ring was full (`ps_drop` of libpcap).
    pub kernel: u64,
    /// Lost by the network card or its driver (`ps_ifdrop` of libpcap).
    pub interface: u64,
    /// Lost between capture and worker thread: our ring was full.
    pub ring: u64,
}

impl Drops {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.kernel + self.interface + self.ring
    }
}

/// The kernel's own counters of an interface, since it came up (`/sys/class/net/*/statistics`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct KernelErrors {
    /// Damaged frames received.
    pub receive_errors: u64,
    /// Received frames that the kernel dropped.
    pub receive_dropped: u64,
    /// Frames that could not be sent.
    pub transmit_errors: u64,
    /// Frames to send that the kernel dropped.
    pub transmit_dropped: u64,
}

/// One host in a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct HostRow {
    /// Its address.
    pub address: Addr,
    /// Its hardware address, if it is local and sent something.
    pub mac: Mac,
    /// Whether it counts as inside.
    pub local: bool,
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
    /// TCP or UDP.
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
#[derive(Clone, Debug)]
pub struct InterfaceRow {
    /// Its name: of the interface, or of the capture file.
    pub name: String,
    /// libpcap's name of its link type, empty if it has not been opened yet.
    pub link_type: String,
    /// Every frame.
    pub total: Volume,
    /// By [`Direction`].
    pub directions: [Volume; 5],
    /// By [`crate::decode::Network`].
    pub ethertypes: [Volume; 4],
    /// Bytes that were captured.
    pub captured_bytes: u64,
    /// By [`ErrorKind`].
    pub errors: [u64; ErrorKind::COUNT],
    /// What was lost.
    pub drops: Drops,
    /// The kernel's error counters.
    pub kernel: KernelErrors,
    /// Whether capture is running.
    pub is_capturing: bool,
}

/// One second of traffic by the packet clock, all interfaces together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// When it began, seconds since 1970 UTC.
    pub start: i64,
    /// By [`Direction`].
    pub directions: [Volume; 5],
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
    /// Counts up with every snapshot.
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
    pub interfaces: Vec<InterfaceRow>,
    /// The hosts, in no order.
    pub hosts: Vec<HostRow>,
    /// Traffic of hosts that had to be folded.
    pub other_hosts: InOut,
    /// How many hosts were folded (one that comes and goes counts each time).
    pub folded_hosts: u64,
    /// The ports, in no order.
    pub ports: Vec<PortRow>,
    /// Frames without a port.
    pub without_port: Volume,
    /// The protocols, by number.
    pub protocols: Vec<ProtocolRow>,
    /// The last closed seconds, oldest first.
    pub seconds: Vec<Second>,
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

    /// What was lost, over all interfaces.
    pub fn drops(&self) -> Drops {
        self.interfaces.iter().fold(Drops::default(), |sum, i| Drops {
            kernel: sum.kernel + i.drops.kernel,
            interface: sum.interface + i.drops.interface,
            ring: sum.ring + i.drops.ring,
        })
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

/// The least and the greatest rate of the finest intervals within an interval, bytes a
/// second. They keep a short spike visible in the history of a year.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rates {
    /// The least, 0 if there was a finest interval without traffic.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
}

/// What an interface did in an interval.
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

/// What a host did in an interval.
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
    /// Of what it received, and of what it sent.
    pub rates: [Rates; 2],
}

/// What a service port saw in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalPort {
    /// TCP or UDP.
    pub transport: Transport,
    /// The service port.
    pub port: u16,
    /// Packets to and from it.
    pub volume: Volume,
    /// Both ways together.
    pub rates: Rates,
}

/// What an IP protocol saw in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalProtocol {
    /// IP protocol number; 256 is "not known".
    pub number: u16,
    /// Its packets.
    pub volume: Volume,
    /// Its rates.
    pub rates: Rates,
}

/// One closed span of time and all that was counted in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedInterval {
    /// When it began, seconds since 1970 UTC, a multiple of its length.
    pub start: i64,
    /// Its length, seconds.
    pub length: u32,
    /// The interfaces.
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

    /// Keeps the busiest rows and folds the rest into "other", so that a busy minute
    /// does not fill the card.
    pub fn keep_busiest(&mut self, hosts: usize, ports: usize) {
        if self.hosts.len() > hosts {
            self.hosts.sort_unstable_by_key(|row| (Reverse(row.traffic.bytes()), row.address));
            for row in self.hosts.drain(hosts..) {
                self.other_hosts += row.traffic;
            }
            self.hosts.shrink_to_fit();
        }
        if self.ports.len() > ports {
            self.ports
                .sort_unstable_by_key(|row| (Reverse(row.volume.bytes), row.transport, row.port));
            for row in self.ports.drain(ports..) {
                self.other_ports += row.volume;
            }
            self.ports.shrink_to_fit();
        }
    }

    /// Whether nothing happened: no frame, no drop.
    pub fn is_empty(&self) -> bool {
        self.total().is_zero() && self.interfaces.iter().all(|i| i.dropped == 0)
    }
}

impl Accounts {
    /// The counters as they stand. The times are the caller's to fill in.
    pub fn snapshot(&self) -> Snapshot {
        let row = |i: &super::Interface| InterfaceRow {
            name: i.name.clone(),
            link_type: i.link_type.clone(),
            total: i.total(),
            directions: i.directions(),
            ethertypes: i.ethertypes(),
            captured_bytes: i.captured_bytes,
            errors: i.errors,
            drops: i.drops,
            kernel: i.kernel,
            is_capturing: i.is_capturing,
        };
        let hosts = self.hosts.iter().map(|(address, host)| HostRow {
            address: *address,
            mac: host.mac,
            local: host.local,
            first: host.first,
            last: host.last,
            traffic: host.traffic.total(),
        });
        let ports = self.ports.iter().map(|(key, split)| PortRow {
            transport: key.transport,
            port: key.port,
            volume: split.total(),
        });
        Snapshot {
            total: self.interfaces.iter().map(super::Interface::total).sum(),
            captured_bytes: self.interfaces.iter().map(|i| i.captured_bytes).sum(),
            span: (self.first != crate::decode::NO_TIME).then_some((self.first, self.last)),
            interfaces: self.interfaces.iter().map(row).collect(),
            hosts: hosts.collect(),
            other_hosts: self.other_hosts.total(),
            folded_hosts: self.hosts.evicted(),
            ports: ports.collect(),
            without_port: self.without_port.total(),
            protocols: protocol_rows(|at| self.protocols[at])
                .map(|(number, volume)| ProtocolRow { number, volume })
                .collect(),
            ..Snapshot::default()
        }
    }

    /// Ends the open interval and returns what it held, as the one that began at `start`.
    pub fn close_interval(&mut self, start: i64, length: u32) -> ClosedInterval {
        let mut interval = ClosedInterval {
            start,
            length,
            other_hosts: self.other_hosts.close(),
            without_port: self.without_port.close(),
            ..ClosedInterval::default()
        };
        for i in &mut self.interfaces {
            let (directions, drops) = i.at_interval;
            let now = i.directions();
            i.at_interval = (now, i.drops);
            interval.interfaces.push(IntervalInterface {
                name: i.name.clone(),
                covered: u64::from(length) * 1_000,
                rates: Default::default(),
                directions: std::array::from_fn(|at| now[at] - directions[at]),
                dropped: i.drops.total().saturating_sub(drops.total()),
            });
        }
        for (address, host) in self.hosts.iter_mut() {
            let traffic = Split::close(&mut host.traffic);
            if !traffic.is_zero() {
                interval.hosts.push(IntervalHost {
                    address: *address,
                    mac: host.mac,
                    local: host.local,
                    traffic,
                    rates: Default::default(),
                });
            }
        }
        for (key, split) in self.ports.iter_mut() {
            let volume = split.close();
            if !volume.is_zero() {
                let (transport, port) = (key.transport, key.port);
                let rates = Rates::default();
                interval.ports.push(IntervalPort { transport, port, volume, rates });
            }
        }
        let (now, then) = (&self.protocols, &self.protocols_at_interval);
        interval.protocols = protocol_rows(|at| now[at] - then[at])
            .map(|(number, volume)| IntervalProtocol { number, volume, rates: Rates::default() })
            .collect();
        self.protocols_at_interval.copy_from_slice(&self.protocols[..]);
        interval
    }

    /// Ends the open second and returns what it held, as the one that began at `start`.
    pub fn close_second(&mut self, start: i64) -> Second {
        let mut second = Second { start, ..Second::default() };
        for i in &mut self.interfaces {
            let now = i.directions();
            for (at, sum) in second.directions.iter_mut().enumerate() {
                *sum += now[at] - i.at_second[at];
            }
            i.at_second = now;
        }
        second
    }
}

/// The protocols that have counted something, by number.
fn protocol_rows(volume: impl Fn(usize) -> Volume) -> impl Iterator<Item = (u16, Volume)> {
    (0..PROTOCOLS).map(move |at| (at as u16, volume(at))).filter(|(_, v)| !v.is_zero())
}
