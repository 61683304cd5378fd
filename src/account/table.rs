//! A bounded hash table that folds what it forgets.
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
    seen: bool,
}

/// A table of at most `limit` rows. `K` is cheap to copy.
pub struct Table<K, V> {
    index: Index,
    rows: Vec<Row<K, V>>,
    hand: usize,
    limit: usize,
    evicted: u64,
}

impl<K: Hash + Eq + Copy, V> Table<K, V> {
    /// An empty table for at most `limit` rows (at least 2: the two ends of a packet).
    pub fn new(limit: usize) -> Table<K, V> {
        Table {
            index: Index::new(),
            rows: Vec::new(),
            hand: 0,
            limit: limit.clamp(2, u32::MAX as usize),
            evicted: 0,
        }
    }

    /// Rows that had to make room, in all.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The slot of `key`, if it has a row. Marks the row as seen.
    #[inline]
    pub fn find(&mut self, key: &K) -> Option<u32> {
        let hash = self.index.hash(key);
        let rows = &mut self.rows;
        self.index.find(hash, |slot| match rows.get_mut(slot as usize) {
            Some(row) if row.key == *key => {
                row.seen = true;
                true
            }
            _ => false,
        })
    }

    /// The rows in two slots, if they are still those of these keys (and two, not one).
    /// Marks them as seen.
    #[inline(always)]
    pub fn pair(&mut self, slots: (u32, u32), keys: (&K, &K)) -> Option<(&mut V, &mut V)> {
        let slots = [slots.0 as usize, slots.1 as usize];
        match self.rows.get_disjoint_mut(slots) {
            Ok([first, second]) if first.key == *keys.0 && second.key == *keys.1 => {
                (first.seen, second.seen) = (true, true);
                Some((&mut first.value, &mut second.value))
            }
            _ => None,
        }
    }

    /// The row in `slot`, whosever it is; `None` if there is no such slot.
    #[inline]
    pub fn get(&mut self, slot: u32) -> Option<&mut V> {
        self.rows.get_mut(slot as usize).map(|row| &mut row.value)
    }

    /// Adds a row for `key`, which has none, and returns its slot. Should that cost
    /// another row its place, `fold` is given the row that goes. The row in slot `keep`
    /// never goes.
    #[cold]
    #[inline(never)]
    pub fn insert(
        &mut self,
        key: K,
        value: V,
        keep: Option<u32>,
        fold: impl FnOnce(&K, &V),
    ) -> u32 {
        let hash = self.index.hash(&key);
        let row = Row { key, value, seen: false };
        let slot = if self.rows.len() < self.limit {
            self.rows.push(row);
            self.rows.len() as u32 - 1
        } else {
            let slot = self.make_room(keep);
            let place = &mut self.rows[slot as usize];
            fold(&place.key, &place.value);
            *place = row;
            slot
        };
        self.index.insert(hash, slot);
        slot
    }

    /// Picks the row that goes and takes it out of the index.
    fn make_room(&mut self, keep: Option<u32>) -> u32 {
        loop {
            let slot = self.hand as u32;
            self.hand = (self.hand + 1) % self.rows.len();
            let row = &mut self.rows[slot as usize];
            if row.seen || Some(slot) == keep {
                row.seen = false;
                continue;
            }
            self.index.remove(self.index.hash(&row.key), slot);
            self.evicted += 1;
            return slot;
        }
    }

    /// The row in `slot`, as given by [`Table::find`] or [`Table::insert`].
    #[inline]
    pub fn at(&mut self, slot: u32) -> &mut V {
        &mut self.rows[slot as usize].value
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
        let slot = slot(table, key, None, other);
        *table.at(slot) += 1;
    }

    fn slot(table: &mut Table<u32, u64>, key: u32, keep: Option<u32>, other: &mut u64) -> u32 {
        match table.find(&key) {
            Some(slot) => slot,
            None => table.insert(key, 0, keep, |_, value| *other += value),
        }
    }

    #[test]
    fn the_sum_survives_any_number_of_keys() {
        let mut table = Table::new(100);
        let mut other = 0;
        for key in 0..100_000 {
            add(&mut table, key % 7_919, &mut other);
        }
        assert_eq!(table.iter().len(), 100);
        assert_eq!(table.iter().map(|(_, v)| v).sum::<u64>() + other, 100_000);
    }

    #[test]
    fn a_row_that_is_seen_again_outlives_a_flood() {
        let mut table = Table::new(64);
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
        let mut table = Table::new(3);
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
        let mut table: Table<u32, u64> = Table::new(2);
        for key in (0..1_000).step_by(2) {
            let first = slot(&mut table, key, None, &mut 0);
            let second = slot(&mut table, key + 1, Some(first), &mut 0);
            assert_ne!(first, second);
            assert!(table.pair((first, second), (&key, &(key + 1))).is_some());
            assert!(table.pair((second, first), (&key, &(key + 1))).is_none());
        }
    }
}
