//! Closing intervals: base intervals, and the fine ones within them.
//!
//! Theory of operation: a packet is counted once, in the row's open base interval. What a
//! row did in a fine interval is the difference of its total to the total at the last fine
//! close, which tables beside the rows hold, by slot; so fine intervals cost the path of a
//! packet nothing. When a host's row is folded into "other", what fine intervals had of it
//! already is taken to have been in "other" at the last fine close: that is all it takes
//! for every fine interval to add up.
//!
//! The rates of a base interval are the least and the greatest of its fine intervals.

use super::snapshot::protocol_rows;
use super::{
    Accounts, ClosedInterval, InOut, Interface, IntervalHost, IntervalInterface, IntervalPort,
    IntervalProtocol, PROTOCOL_ROWS, Rates, Split, Volume,
};

/// The counters of an interface when an interval began.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    directions: [Volume; 5],
    dropped: u64,
    covered: u64,
}

impl Interface {
    /// What happened since `mark`, which is moved to now; without rates.
    fn since(&self, mark: &mut Mark, length: u32) -> IntervalInterface {
        let now = Mark {
            directions: self.directions(),
            dropped: self.drops.total(),
            covered: self.covered,
        };
        let then = std::mem::replace(mark, now);
        IntervalInterface {
            name: self.name.clone(),
            // A clock that is being slowed down stretches its seconds.
            covered: (now.covered - then.covered).min(u64::from(length) * 1_000),
            directions: std::array::from_fn(|at| now.directions[at] - then.directions[at]),
            rates: Default::default(),
            dropped: now.dropped.saturating_sub(then.dropped),
        }
    }
}

impl IntervalInterface {
    fn has_traffic(&self) -> bool {
        self.directions.iter().any(|volume| !volume.is_zero())
    }

    fn is_known(&self) -> bool {
        self.covered > 0 || self.dropped > 0 || self.has_traffic()
    }
}

/// Bytes a second over `covered` milliseconds; see [`Rates::steady`].
fn rate(bytes: u64, covered: u64) -> u64 {
    Rates::steady(bytes, covered).greatest
}

fn steady(rate: u64) -> Rates {
    Rates { least: rate, greatest: rate }
}

/// The rates of fine intervals so far, 32 bits each as there is one per host: 34 Gbit/s.
#[derive(Clone, Copy, Default)]
pub(super) struct Range {
    least: u32,
    greatest: u32,
    count: u32,
}

impl Range {
    pub(super) fn take(&mut self, rate: u64) {
        let rate = u32::try_from(rate).unwrap_or(u32::MAX);
        self.least = if self.count == 0 { rate } else { self.least.min(rate) };
        self.greatest = self.greatest.max(rate);
        self.count += 1;
    }

    /// Ends a base interval that had `intervals` fine ones; `own` is its own rate.
    pub(super) fn close(&mut self, intervals: u32, own: u64) -> Rates {
        let range = std::mem::take(self);
        match (intervals, range.count) {
            (0, _) => steady(own),
            // All of it came after the last fine interval was closed.
            (_, 0) => Rates { least: 0, greatest: own },
            (all, count) => Rates {
                least: if count < all { 0 } else { u64::from(range.least) },
                greatest: u64::from(range.greatest),
            },
        }
    }
}

/// What goes with each row: its total at the last fine close, and its rates since the last
/// base close.
#[derive(Clone, Copy, Default)]
struct Beside<T, R> {
    at_fine: T,
    ranges: R,
}

/// The tables beside the rows. They are empty until the first fine interval is closed.
#[derive(Default)]
pub(super) struct Fine {
    /// Fine intervals closed within the open base interval.
    intervals: u32,
    interfaces: Vec<BesideInterface>,
    hosts: Vec<Beside<InOut, [Range; 2]>>,
    other_hosts: InOut,
    ports: Vec<Beside<Volume, Range>>,
    without_port: Volume,
    protocols: Vec<Beside<Volume, Range>>,
}

#[derive(Clone, Copy, Default)]
struct BesideInterface {
    at_fine: Mark,
    intervals: u32,
    ranges: [Range; 5],
}

impl Fine {
    /// The host in `slot` has been folded into "other".
    #[inline]
    pub(super) fn fold(&mut self, slot: u32) {
        if let Some(row) = self.hosts.get_mut(slot as usize) {
            self.other_hosts += row.at_fine;
            *row = Beside::default();
        }
    }

    fn make_room(&mut self, accounts: (usize, usize, usize)) {
        let (interfaces, hosts, ports) = accounts;
        self.interfaces.resize(interfaces, BesideInterface::default());
        self.hosts.resize(hosts, Beside::default());
        self.ports.resize(ports, Beside::default());
        self.protocols.resize(PROTOCOL_ROWS, Beside::default());
    }
}

/// What was counted since the last fine close.
fn since<T: Copy + std::ops::Sub<Output = T>>(at_fine: &mut T, now: T) -> T {
    now - std::mem::replace(at_fine, now)
}

impl Accounts {
    /// Ends the open fine interval and returns what it held, as the one that began at
    /// `start`, in seconds since 1970 UTC, and is `length` seconds long. A base interval
    /// that ends at the same time is closed after it.
    pub fn close_fine(&mut self, start: i64, length: u32) -> ClosedInterval {
        self.gather();
        let protocols = self.protocols();
        let fine = &mut self.fine;
        fine.make_room((self.interfaces.len(), self.hosts.iter().len(), self.ports.iter().len()));
        let mut interval = ClosedInterval {
            start,
            length,
            other_hosts: since(&mut fine.other_hosts, self.other_hosts.total()),
            without_port: since(&mut fine.without_port, self.without_port.total()),
            ..ClosedInterval::default()
        };
        let mut covered = 0;
        for (interface, beside) in self.interfaces.iter().zip(&mut fine.interfaces) {
            let mut row = interface.since(&mut beside.at_fine, length);
            if !row.is_known() {
                continue;
            }
            covered = row.covered.max(covered);
            if row.covered > 0 || row.has_traffic() {
                beside.intervals += 1;
                for at in 0..row.directions.len() {
                    let rate = rate(row.directions[at].bytes, row.covered);
                    beside.ranges[at].take(rate);
                    row.rates[at] = steady(rate);
                }
            }
            interval.interfaces.push(row);
        }
        // Without traffic or coverage nothing is known of the interval, so it is none that
        // was quiet.
        fine.intervals += u32::from(covered > 0 || !interval.total().is_zero());
        for ((address, host), beside) in self.hosts.iter().zip(&mut fine.hosts) {
            let traffic = since(&mut beside.at_fine, host.traffic.total());
            if traffic.is_zero() {
                continue;
            }
            let bytes = [traffic.received.bytes, traffic.sent.bytes];
            let rates = bytes.map(|bytes| rate(bytes, covered));
            for (range, rate) in beside.ranges.iter_mut().zip(rates) {
                range.take(rate);
            }
            interval.hosts.push(IntervalHost {
                address: *address,
                mac: host.mac,
                local: host.local,
                traffic,
                rates: rates.map(steady),
            });
        }
        for ((key, split), beside) in self.ports.iter().zip(&mut fine.ports) {
            let volume = since(&mut beside.at_fine, split.total());
            if !volume.is_zero() {
                let rate = rate(volume.bytes, covered);
                beside.ranges.take(rate);
                interval.ports.push(IntervalPort {
                    transport: key.transport,
                    port: key.port,
                    volume,
                    rates: steady(rate),
                });
            }
        }
        let besides = &mut fine.protocols;
        let now = protocols;
        interval.protocols = protocol_rows(|at| now[at] - besides[at].at_fine)
            .map(|(number, volume)| {
                let rates = steady(rate(volume.bytes, covered));
                IntervalProtocol { number, volume, rates }
            })
            .collect();
        for row in &interval.protocols {
            let beside = &mut besides[usize::from(row.number)];
            beside.at_fine += row.volume;
            beside.ranges.take(row.rates.greatest);
        }
        interval.services = self.services.close_fine(&self.hosts, &self.ports, covered);
        interval
    }

    /// Ends the open base interval and returns what it held, as the one that began at
    /// `start`, in seconds since 1970 UTC, and is `length` seconds long.
    pub fn close_interval(&mut self, start: i64, length: u32) -> ClosedInterval {
        self.gather();
        let protocols = self.protocols();
        let mut interval = ClosedInterval {
            start,
            length,
            other_hosts: self.other_hosts.close(),
            without_port: self.without_port.close(),
            ..ClosedInterval::default()
        };
        let fine = &mut self.fine;
        fine.interfaces.resize(self.interfaces.len(), BesideInterface::default());
        let mut covered = 0;
        for (interface, beside) in self.interfaces.iter_mut().zip(&mut fine.interfaces) {
            let mut mark = interface.at_interval;
            let mut row = interface.since(&mut mark, length);
            interface.at_interval = mark;
            let intervals = std::mem::take(&mut beside.intervals);
            for at in 0..row.directions.len() {
                let own = rate(row.directions[at].bytes, row.covered);
                row.rates[at] = beside.ranges[at].close(intervals, own);
            }
            covered = row.covered.max(covered);
            if row.is_known() {
                interval.interfaces.push(row);
            }
        }
        let intervals = std::mem::take(&mut fine.intervals);
        let mut nowhere = Beside::default();
        let mut besides = fine.hosts.iter_mut();
        for (address, host) in self.hosts.iter_mut() {
            // Rows since the last fine close, or all if there is none, have nothing beside.
            let beside = besides.next().unwrap_or(&mut nowhere);
            let traffic = Split::close(&mut host.traffic);
            if !traffic.is_zero() {
                let own = [traffic.received.bytes, traffic.sent.bytes];
                let [received, sent] = &mut beside.ranges;
                interval.hosts.push(IntervalHost {
                    address: *address,
                    mac: host.mac,
                    local: host.local,
                    traffic,
                    rates: [
                        received.close(intervals, rate(own[0], covered)),
                        sent.close(intervals, rate(own[1], covered)),
                    ],
                });
            }
            beside.ranges = Default::default();
        }
        let mut nowhere = Beside::default();
        let mut besides = fine.ports.iter_mut();
        for (key, split) in self.ports.iter_mut() {
            let beside = besides.next().unwrap_or(&mut nowhere);
            let volume = split.close();
            if !volume.is_zero() {
                let rates = beside.ranges.close(intervals, rate(volume.bytes, covered));
                let (transport, port) = (key.transport, key.port);
                interval.ports.push(IntervalPort { transport, port, volume, rates });
            }
            beside.ranges = Default::default();
        }
        let (now, then) = (&protocols, &self.protocols_at_interval);
        let besides = &mut fine.protocols;
        interval.protocols = protocol_rows(|at| now[at] - then[at])
            .map(|(number, volume)| {
                let range = besides.get_mut(usize::from(number)).map(|row| &mut row.ranges);
                let own = rate(volume.bytes, covered);
                let rates = range.unwrap_or(&mut Range::default()).close(intervals, own);
                IntervalProtocol { number, volume, rates }
            })
            .collect();
        for beside in besides {
            beside.ranges = Default::default();
        }
        self.protocols_at_interval = protocols;
        let (hosts, ports) = (&self.hosts, &self.ports);
        interval.services = self.services.close_base(hosts, ports, covered, intervals);
        interval
    }
}
