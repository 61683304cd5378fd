//! The tables beside the rows: the source of fine intervals and of the rates of base intervals; see
//! `close`.

use super::interface::Mark;
use super::interval::Rates;
use super::protocols::PROTOCOL_ROWS;
use super::volume::{InOut, Volume};

/// Rates with least and greatest equal.
pub(super) fn steady(rate: u64) -> Rates {
    Rates { least: rate, greatest: rate }
}

/// The rates of fine intervals so far. 32 bits each, as each host has one: up to 34 Gbit/s.
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

    /// Closes a base interval that had `intervals` fine ones; `own` is its own rate.
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

/// A row's total at the last fine close, and its rates since the last base close.
#[derive(Clone, Copy, Default)]
pub(super) struct TotalsAtClose<T, R> {
    pub(super) at_fine: T,
    pub(super) ranges: R,
}

/// The tables beside the rows, empty until the first fine close.
#[derive(Default)]
pub(super) struct Fine {
    /// Fine intervals closed within the open base interval.
    pub(super) intervals: u32,
    pub(super) interfaces: Vec<InterfaceAtClose>,
    pub(super) hosts: Vec<TotalsAtClose<InOut, [Range; 2]>>,
    pub(super) other_hosts: InOut,
    pub(super) ports: Vec<TotalsAtClose<Volume, Range>>,
    pub(super) without_port: Volume,
    pub(super) protocols: Vec<TotalsAtClose<Volume, Range>>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct InterfaceAtClose {
    pub(super) at_fine: Mark,
    pub(super) intervals: u32,
    pub(super) ranges: [Range; 5],
}

impl Fine {
    /// Folds the host in `slot` into "other".
    #[inline]
    pub(super) fn fold(&mut self, slot: u32) {
        if let Some(row) = self.hosts.get_mut(slot as usize) {
            self.other_hosts += row.at_fine;
            *row = TotalsAtClose::default();
        }
    }

    /// Resizes the tables to the numbers of interfaces, hosts and ports.
    pub(super) fn make_room(&mut self, accounts: (usize, usize, usize)) {
        let (interfaces, hosts, ports) = accounts;
        self.interfaces.resize(interfaces, InterfaceAtClose::default());
        self.hosts.resize(hosts, TotalsAtClose::default());
        self.ports.resize(ports, TotalsAtClose::default());
        self.protocols.resize(PROTOCOL_ROWS, TotalsAtClose::default());
    }
}
