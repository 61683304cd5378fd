//! Closing intervals: the seconds of the live graph, fine intervals, base intervals.
//!
//! - A **second** of the packet clock holds traffic by direction and class, all interfaces
//!   together. The page's live graph shows seconds.
//! - A **fine interval** belongs to the tier in memory (a second by default) and has all rows.
//! - A **base interval** belongs to the finest tier on the disk (a minute by default). It has all
//!   rows and their rates: the least and the greatest of the fine intervals within it.
//!
//! Theory of operation: a packet is counted once, in the row's open base interval. A row's fine
//! interval is its total now less its total at the last fine close. Tables beside the rows hold
//! that total, by slot, so fine intervals cost the hot path nothing. When a host's row is folded
//! into "other", its total at the last fine close is added to that of "other". This alone makes
//! every fine interval add up.
//!
//! An example. A host has received 10,000 bytes when the minute begins, 10,600 a second later,
//! 10,600 after the next one and 16,000 when the minute ends. Its row has 10,000 bytes in closed
//! base intervals and, at the end, 6,000 in the open one. The table beside it has 10,000, then
//! 10,600, then 10,600: the fine intervals get 600 and 0 bytes. The base interval gets 6,000 bytes,
//! a least rate of 0 and, if no other second had more than 600, a greatest rate of 600 bytes a
//! second. Had the row been folded in the third second, "other" would have got all 10,600 bytes,
//! all of them reported already, 600 in this minute.

use super::accounts::Accounts;
use super::fine::{InterfaceAtClose, Range, TotalsAtClose, steady};
use super::interface::{Interface, Mark};
use super::interval::{
    ClosedInterval, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol, Rates,
};
use super::protocols::{CLASSES, class_of, protocol_rows};
use super::snapshot::Second;
use super::volume::Split;

impl Interface {
    /// The counts since `mark`, without rates; updates `mark`.
    fn since(&self, mark: &mut Mark, length: u32) -> IntervalInterface {
        let now = Mark {
            directions: self.directions(),
            dropped: self.drops.total(),
            covered: self.covered,
        };
        let then = std::mem::replace(mark, now);
        IntervalInterface {
            name: self.name.clone(),
            // A clock that is slowed down has longer seconds.
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

/// The count since the last fine close; updates `at_fine`.
fn since<T: Copy + std::ops::Sub<Output = T>>(at_fine: &mut T, now: T) -> T {
    now - std::mem::replace(at_fine, now)
}

impl Accounts {
    /// Closes the open second and returns its counts, dated `start`.
    pub fn close_second(&mut self, start: i64) -> Second {
        let mut second = Second { start, ..Second::default() };
        for i in &mut self.interfaces {
            let now = i.directions();
            for (at, sum) in second.directions.iter_mut().enumerate() {
                *sum += now[at] - i.at_second[at];
            }
            i.at_second = now;
        }
        let mut now = [0; CLASSES];
        for (number, volume) in self.protocols().iter().enumerate() {
            now[class_of(number as u16)] += volume.packets;
        }
        let then = std::mem::replace(&mut self.classes_at_second, now);
        second.classes = std::array::from_fn(|at| now[at] - then[at]);
        second
    }

    /// Closes the open fine interval and returns its counts, dated `start` (seconds since 1970 UTC)
    /// and `length` seconds long. A base interval that ends at the same time is closed after it.
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
        // Without traffic or coverage nothing was recorded: that is not a quiet interval.
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

    /// Closes the open base interval and returns its counts, dated `start` (seconds since 1970 UTC)
    /// and `length` seconds long.
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
        fine.interfaces.resize(self.interfaces.len(), InterfaceAtClose::default());
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
        let mut nowhere = TotalsAtClose::default();
        let mut besides = fine.hosts.iter_mut();
        for (address, host) in self.hosts.iter_mut() {
            // Rows added since the last fine close (all, if there was none) have no entry.
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
        let mut nowhere = TotalsAtClose::default();
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
