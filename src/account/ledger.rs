//! The generic table of counters. A [`Ledger`] keeps one kind of row (hosts, ports), "other", which
//! counts what no row holds, and of both the totals at the last fine close.
//!
//! To add a kind of row, implement [`Row`], which says where its counter is, and keep the rows in a
//! bounded [`Table`], or in an array if there can be only so many.

use std::hash::Hash;
use std::ops::{Add, AddAssign, Sub};

use super::rates::{Range, Rates};
use super::table::Table;
use super::volume::{InOut, Split, Volume};

/// What a row counts. It has `WAYS` rates: a port has one, a host one for each direction.
pub(super) trait Count<const WAYS: usize>:
    Copy + Default + PartialEq + Add<Output = Self> + AddAssign + Sub<Output = Self>
{
    /// Bytes by way.
    fn bytes_by_way(&self) -> [u64; WAYS];
}

impl Count<1> for Volume {
    fn bytes_by_way(&self) -> [u64; 1] {
        [self.bytes]
    }
}

impl Count<2> for InOut {
    fn bytes_by_way(&self) -> [u64; 2] {
        [self.received.bytes, self.sent.bytes]
    }
}

/// A row: a counter, and what else belongs to it.
pub(super) trait Row {
    /// What it counts.
    type Count;
    /// Its counter.
    fn counter(&self) -> &Split<Self::Count>;
    /// Its counter, to be changed.
    fn counter_mut(&mut self) -> &mut Split<Self::Count>;
}

impl<T> Row for Split<T> {
    type Count = T;

    fn counter(&self) -> &Split<T> {
        self
    }

    fn counter_mut(&mut self) -> &mut Split<T> {
        self
    }
}

/// Rows in slots: a row keeps its slot for as long as it exists.
pub(super) trait Rows {
    /// What tells rows apart.
    type Key;
    /// A row.
    type Row: Row;
    /// All rows, in the order of their slots.
    fn iter(&self) -> impl ExactSizeIterator<Item = (&Self::Key, &Self::Row)>;
    /// All rows, to be changed, in the order of their slots.
    fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Self::Key, &mut Self::Row)>;
}

impl<K: Hash + Eq + Copy, V: Row, const SPACE: usize> Rows for Table<K, V, SPACE> {
    type Key = K;
    type Row = V;

    fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        Table::iter(self)
    }

    fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&K, &mut V)> {
        Table::iter_mut(self)
    }
}

/// A counter's total at the last fine close, and the rates of the fine intervals since the last
/// base close.
#[derive(Clone, Copy)]
pub(super) struct AtClose<T, const WAYS: usize> {
    total: T,
    ranges: [Range; WAYS],
}

impl<T: Default, const WAYS: usize> Default for AtClose<T, WAYS> {
    fn default() -> Self {
        AtClose { total: T::default(), ranges: [Range::default(); WAYS] }
    }
}

impl<T: Count<WAYS>, const WAYS: usize> AtClose<T, WAYS> {
    /// Closes the fine interval of a counter that is at `total` now: its count in it, captured for
    /// `covered` milliseconds, and its rates. `None` if it counted nothing.
    pub(super) fn close_fine(&mut self, total: T, covered: u64) -> Option<(T, [Rates; WAYS])> {
        let count = total - std::mem::replace(&mut self.total, total);
        if count == T::default() {
            return None;
        }
        let bytes = count.bytes_by_way();
        Some((count, std::array::from_fn(|way| self.ranges[way].take(bytes[way], covered))))
    }

    /// Closes the base interval of a counter that counted `count` in it: its rates. The interval
    /// was captured for `covered` milliseconds and had `intervals` fine ones.
    pub(super) fn close_base(&mut self, count: T, covered: u64, intervals: u32) -> [Rates; WAYS] {
        let bytes = count.bytes_by_way();
        std::array::from_fn(|way| self.ranges[way].close(intervals, bytes[way], covered))
    }
}

/// A split of the traffic: rows + other = all that it splits.
pub(super) struct Ledger<R, T, const WAYS: usize> {
    pub(super) rows: R,
    /// What no row holds: folded rows (hosts), or frames that have no row (without a port).
    pub(super) other: Split<T>,
    /// By slot; empty until the first fine close. Not in the rows: the hot path does not need it,
    /// and a small row is one that stays in the processor's cache.
    at_close: Vec<AtClose<T, WAYS>>,
    other_at_fine: T,
}

impl<R: Rows, T: Count<WAYS>, const WAYS: usize> Ledger<R, T, WAYS>
where
    R::Row: Row<Count = T>,
{
    /// No traffic yet.
    pub(super) fn new(rows: R) -> Ledger<R, T, WAYS> {
        Ledger { rows, other: Split::default(), at_close: Vec::new(), other_at_fine: T::default() }
    }

    /// Closes the open fine interval, which was captured for `covered` milliseconds. Passes the
    /// rows with traffic to `each`, with their counts and rates; returns the count of "other".
    pub(super) fn close_fine(
        &mut self,
        covered: u64,
        mut each: impl FnMut(&R::Key, &R::Row, T, [Rates; WAYS]),
    ) -> T {
        self.at_close.resize(self.rows.iter().len(), AtClose::default());
        for ((key, row), at_close) in self.rows.iter().zip(&mut self.at_close) {
            if let Some((count, rates)) = at_close.close_fine(row.counter().total(), covered) {
                each(key, row, count, rates);
            }
        }
        let other = self.other.total();
        other - std::mem::replace(&mut self.other_at_fine, other)
    }

    /// Closes the open base interval, which was captured for `covered` milliseconds and had
    /// `intervals` fine ones. Otherwise as [`Ledger::close_fine`].
    pub(super) fn close_base(
        &mut self,
        covered: u64,
        intervals: u32,
        mut each: impl FnMut(&R::Key, &R::Row, T, [Rates; WAYS]),
    ) -> T {
        let mut at_closes = self.at_close.iter_mut();
        for (key, row) in self.rows.iter_mut() {
            // Rows added since the last fine close (all, if there was none) have no entry.
            let mut added_since = AtClose::default();
            let at_close = at_closes.next().unwrap_or(&mut added_since);
            let count = row.counter_mut().close();
            let rates = at_close.close_base(count, covered, intervals);
            if count != T::default() {
                each(key, row, count, rates);
            }
        }
        self.other.close()
    }
}

impl<K: Hash + Eq + Copy, V: Row<Count = T>, T: Count<WAYS>, const WAYS: usize, const SPACE: usize>
    Ledger<Table<K, V, SPACE>, T, WAYS>
{
    /// Adds a row, as [`Table::insert`]; a row that is evicted for it is folded into "other", and
    /// with it its total at the last fine close.
    #[inline(always)]
    pub(super) fn insert(&mut self, hash: u32, key: K, row: V, keep: Option<u32>) -> u32 {
        let Ledger { rows, other, at_close, other_at_fine } = self;
        rows.insert(hash, key, row, keep, |slot, evicted| {
            other.fold(evicted.counter());
            if let Some(at_close) = at_close.get_mut(slot as usize) {
                *other_at_fine += std::mem::take(at_close).total;
            }
        })
    }
}
