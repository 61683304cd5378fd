//! Closing intervals: the seconds of the live graph, fine intervals, base intervals.
//!
//! - A **second** of the packet clock holds traffic by direction and class, all interfaces
//!   together. The page's live graph shows seconds.
//! - A **fine interval** belongs to the tier in memory (a second by default) and has all rows.
//! - A **base interval** belongs to the finest tier on the disk (a minute by default). It has all
//!   rows and their rates: the least and the greatest of the fine intervals within it.
//!
//! Theory of operation: a packet is counted once, in the row's open base interval. A row's fine
//! interval is its total now minus its total at the last fine close. A [`super::ledger::Ledger`]
//! holds that total beside the rows, by slot, so fine intervals cost the hot path nothing. When a
//! host's row is folded into "other", its total at the last fine close is added to that of "other".
//! This alone makes every fine interval add up.
//!
//! An example. A host has received 10,000 bytes when the minute begins, 10,600 a second later,
//! 10,600 after the next one and 16,000 when the minute ends. Its row has 10,000 bytes in closed
//! base intervals and, at the end, 6,000 in the open one. The table beside it has 10,000, then
//! 10,600, then 10,600: the fine intervals get 600 and 0 bytes. The base interval gets 6,000 bytes,
//! a least rate of 0 and, if no other second had more than 600, a greatest rate of 600 bytes a
//! second. Had the row been folded in the third second, "other" would have got all 10,600 bytes,
//! all of them reported already, 600 in this minute.

use super::accounts::Accounts;
use super::host::Host;
use super::interface::{Interface, Mark};
use super::interval::{ClosedInterval, IntervalHost, IntervalInterface, IntervalPort};
use super::ports::PortKey;
use super::protocols::{CLASSES, class_of};
use super::rates::Rates;
use super::snapshot::Second;
use super::volume::{InOut, Volume};
use crate::decode::Addr;

impl Interface {
    fn mark(&self) -> Mark {
        Mark { directions: self.directions(), dropped: self.drops.total(), covered: self.covered }
    }

    /// Closes the open fine interval.
    fn close_fine(&mut self, length: u32) -> IntervalInterface {
        let now = self.mark();
        let then = std::mem::replace(&mut self.at_fine, now);
        let mut row = self.between(&then, &now, length);
        if row.covered > 0 || row.has_traffic() {
            self.fine_intervals += 1;
            for (at, range) in self.ranges.iter_mut().enumerate() {
                row.rates[at] = range.take(row.directions[at].bytes, row.covered);
            }
        }
        row
    }

    /// Closes the open base interval.
    fn close_base(&mut self, length: u32) -> IntervalInterface {
        let now = self.mark();
        let then = std::mem::replace(&mut self.at_base, now);
        let mut row = self.between(&then, &now, length);
        let intervals = std::mem::take(&mut self.fine_intervals);
        for (at, range) in self.ranges.iter_mut().enumerate() {
            row.rates[at] = range.close(intervals, row.directions[at].bytes, row.covered);
        }
        row
    }

    /// The counts between two marks, without rates.
    fn between(&self, then: &Mark, now: &Mark, length: u32) -> IntervalInterface {
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

fn host_row(address: Addr, host: &Host, traffic: InOut, rates: [Rates; 2]) -> IntervalHost {
    IntervalHost { address, mac: host.mac, local: host.local, traffic, rates }
}

fn port_row(key: PortKey, volume: Volume, rates: Rates) -> IntervalPort {
    IntervalPort { transport: key.transport, port: key.port, volume, rates }
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
        for (number, volume) in self.protocols.totals(&self.ports).iter().enumerate() {
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
        let mut interval = ClosedInterval { start, length, ..ClosedInterval::default() };
        let rows = self.interfaces.iter_mut().map(|interface| interface.close_fine(length));
        interval.interfaces = rows.filter(IntervalInterface::is_known).collect();
        let covered = interval.covered();
        // Without traffic or coverage nothing was recorded: that is not a quiet interval.
        self.fine_intervals += u32::from(covered > 0 || !interval.total().is_zero());
        interval.other_hosts = self.hosts.close_fine(covered, |address, host, traffic, rates| {
            interval.hosts.push(host_row(*address, host, traffic, rates));
        });
        interval.without_port = self.ports.close_fine(covered, |key, _, volume, [rates]| {
            interval.ports.push(port_row(*key, volume, rates));
        });
        interval.protocols = self.protocols.close_fine(&self.ports, covered);
        interval.services = self.services.close_fine(&self.hosts.rows, &self.ports.rows, covered);
        interval
    }

    /// Closes the open base interval and returns its counts, dated `start` (seconds since 1970 UTC)
    /// and `length` seconds long.
    pub fn close_interval(&mut self, start: i64, length: u32) -> ClosedInterval {
        self.gather();
        let mut interval = ClosedInterval { start, length, ..ClosedInterval::default() };
        let rows = self.interfaces.iter_mut().map(|interface| interface.close_base(length));
        interval.interfaces = rows.filter(IntervalInterface::is_known).collect();
        let covered = interval.covered();
        let fines = std::mem::take(&mut self.fine_intervals);
        interval.other_hosts =
            self.hosts.close_base(covered, fines, |address, host, traffic, rates| {
                interval.hosts.push(host_row(*address, host, traffic, rates));
            });
        interval.without_port = self.ports.close_base(covered, fines, |key, _, volume, [rates]| {
            interval.ports.push(port_row(*key, volume, rates));
        });
        interval.protocols = self.protocols.close_base(&self.ports, covered, fines);
        let (hosts, ports) = (&self.hosts.rows, &self.ports.rows);
        interval.services = self.services.close_base(hosts, ports, covered, fines);
        interval
    }
}
