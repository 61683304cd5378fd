//! A bounded hash table that evicts rows; the caller folds them.
//!
//! Rows lie in one vector (a row keeps its slot until it is evicted); a hash index maps
//! keys to slots. When the table is full, a new key takes the slot of a row that has not
//! been seen for long, and the caller folds that row into its "other".
//!
//! Theory of operation: which row goes is decided by the second-chance ("clock")
//! approximation of least-recently-seen. A look-up sets the row's `seen` mark, one store.
//! To evict, a hand walks the slots: a marked row loses its mark and is passed, the first
//! unmarked row goes. So a row that is seen once per turn of the hand stays, whatever
//! flood goes by. Exact recency would cost a list move per packet.

use std::hash::Hash;

use super::index::Index;

struct Row<K, V> {
    key: K,
    value: V,
    /// The hash of the key, so that eviction need not compute it again.
    hash: u32,
    seen: bool,
}

/// A table of at most `limit` rows. `K` is cheap to copy. `SPACE` is that of [`Index`].
pub struct Table<K, V, const SPACE: usize = 4> {
    index: Index<SPACE>,
    rows: Vec<Row<K, V>>,
    hand: usize,
    limit: usize,
    evicted: u64,
}

impl<K: Hash + Eq + Copy, V, const SPACE: usize> Table<K, V, SPACE> {
    /// An empty table for at most `limit` rows (at least 2: the two ends of a packet).
    pub fn new(limit: usize) -> Table<K, V, SPACE> {
        Table {
            index: Index::new(),
            rows: Vec::new(),
            hand: 0,
            limit: limit.clamp(2, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// As [`Table::new`], but allocated in full: unused rows are not resident, and rows that never
    /// move do not fragment the heap.
    pub fn with_room(limit: usize) -> Table<K, V, SPACE> {
        let table = Table::new(limit);
        Table { rows: Vec::with_capacity(table.limit), ..table }
    }

    /// Rows evicted so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Pretends that so many rows were evicted.
    #[cfg(test)]
    pub fn set_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }

    /// [`Table::evicted`], as it will be after the next insertion.
    #[inline]
    pub fn evicted_by_next(&self) -> u64 {
        self.evicted + u64::from(self.rows.len() >= self.limit)
    }

    /// Finds the row of `key`, marks it as seen, passes it to `then` and returns its slot as well.
    /// If there is none, returns the hash, for [`Table::insert`].
    #[inline(always)]
    pub fn find<R>(&mut self, key: &K, then: impl FnOnce(&mut V) -> R) -> Result<(u32, R), u32> {
        let hash = self.index.hash(key);
        let rows = self.rows.as_mut_slice();
        let is_it = |slot: u32| rows.get(slot as usize).is_some_and(|row| row.key == *key);
        let Some(slot) = self.index.find(hash, is_it) else {
            return Err(hash);
        };
        let row = &mut rows[slot as usize];
        row.seen = true;
        Ok((slot, then(&mut row.value)))
    }

    /// If these two slots still hold the rows of these keys, marks them as seen, passes them to
    /// `first` and `second` and returns `true`.
    #[inline(always)]
    pub fn both(
        &mut self,
        slots: (u32, u32),
        keys: (&K, &K),
        first: impl FnOnce(&mut V),
        second: impl FnOnce(&mut V),
    ) -> bool {
        let rows = self.rows.as_mut_slice();
        let (one, other) = (slots.0 as usize, slots.1 as usize);
        // One comparison and one jump instead of two each.
        if one.max(other) >= rows.len() {
            return false;
        }
        if rows[one].key != *keys.0 || rows[other].key != *keys.1 {
            return false;
        }
        rows[one].seen = true;
        first(&mut rows[one].value);
        rows[other].seen = true;
        second(&mut rows[other].value);
        true
    }

    /// Adds a row for `key`, which has none, and returns its slot. `hash` is what [`Table::find`]
    /// returned. In a full table this evicts a row, which is passed to `fold` with its slot. The
    /// row in slot `keep` is never evicted.
    #[inline(always)]
    pub fn insert(
        &mut self,
        hash: u32,
        key: K,
        value: V,
        keep: Option<u32>,
        fold: impl FnOnce(u32, &V),
    ) -> u32 {
        let slot = if self.rows.len() < self.limit {
            self.rows.push(Row { key, value, hash, seen: false });
            self.rows.len() as u32 - 1
        } else {
            let slot = self.make_room(keep);
            let place = &mut self.rows[slot as usize];
            fold(slot, &place.value);
            *place = Row { key, value, hash, seen: false };
            slot
        };
        self.index.insert(hash, slot);
        slot
    }

    /// Picks the row to evict and removes it from the index.
    #[inline(always)]
    fn make_room(&mut self, keep: Option<u32>) -> u32 {
        loop {
            let slot = self.hand as u32;
            self.hand = if self.hand + 1 < self.rows.len() { self.hand + 1 } else { 0 };
            let row = &mut self.rows[slot as usize];
            if row.seen || Some(slot) == keep {
                row.seen = false;
                continue;
            }
            self.index.remove(row.hash, slot);
            self.evicted += 1;
            return slot;
        }
    }

    /// The row in a slot.
    pub fn at(&self, slot: u32) -> Option<(&K, &V)> {
        self.rows.get(slot as usize).map(|row| (&row.key, &row.value))
    }

    /// All rows, in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.rows.iter().map(|row| (&row.key, &row.value))
    }

    /// All rows, to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&K, &mut V)> {
        self.rows.iter_mut().map(|row| (&row.key, &mut row.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(table: &mut Table<u32, u64>, key: u32, other: &mut u64) {
        slot(table, key, 1, None, other);
    }

    fn slot(
        table: &mut Table<u32, u64>,
        key: u32,
        more: u64,
        keep: Option<u32>,
        other: &mut u64,
    ) -> u32 {
        match table.find(&key, |value| *value += more) {
            Ok((slot, ())) => slot,
            Err(hash) => table.insert(hash, key, more, keep, |_, value| *other += value),
        }
    }

    #[test]
    fn the_sum_survives_any_number_of_keys() {
        let mut table = Table::<_, _>::new(100);
        let mut other = 0;
        for key in 0..100_000 {
            add(&mut table, key % 7_919, &mut other);
        }
        assert_eq!(table.iter().len(), 100);
        assert_eq!(table.iter().map(|(_, v)| v).sum::<u64>() + other, 100_000);
    }

    #[test]
    fn a_row_that_is_seen_again_outlives_a_flood() {
        let mut table = Table::<_, _>::new(64);
        let mut other = 0;
        for key in 1_000..50_000 {
            add(&mut table, 7, &mut other);
            add(&mut table, key, &mut other);
        }
        let kept = table.iter().find(|(key, _)| **key == 7).unwrap();
        assert_eq!(*kept.1, 49_000);
    }

    #[test]
    fn the_least_recently_seen_row_goes_first() {
        let mut table = Table::<_, _>::new(3);
        let mut other = 0;
        for key in [1, 2, 3, 1, 4] {
            add(&mut table, key, &mut other);
        }
        let mut keys: Vec<u32> = table.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3, 4]);
    }

    #[test]
    fn the_row_to_keep_is_kept_even_in_the_smallest_table() {
        let mut table: Table<u32, u64> = Table::<_, _>::new(2);
        for key in (0..1_000).step_by(2) {
            let first = slot(&mut table, key, 0, None, &mut 0);
            let second = slot(&mut table, key + 1, 0, Some(first), &mut 0);
            assert_ne!(first, second);
            let keys = (&key, &(key + 1));
            let mut seen = Vec::new();
            assert!(table.both((first, second), keys, |value| *value = 1, |value| *value = 2));
            assert!(table.both((second, first), (keys.1, keys.0), |v| seen.push(*v), |_| ()));
            assert!(!table.both((second, first), keys, |_| unreachable!(), |_| unreachable!()));
            assert_eq!(seen, [2]);
        }
    }
}
