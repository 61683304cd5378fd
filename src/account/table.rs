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
//!
//! The hash is seeded per process from the operating system's random numbers: nobody on
//! the network can choose addresses that collide.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

struct Row<K, V> {
    key: K,
    value: V,
    seen: bool,
}

/// A table of at most `limit` rows. `K` is cheap to copy.
pub struct Table<K, V> {
    index: HashTable<u32>,
    rows: Vec<Row<K, V>>,
    hand: usize,
    limit: usize,
    evicted: u64,
    hasher: SeedableRandomState,
}

/// A hasher seeded once per process, with 128 bits from the operating system.
fn seeded_hasher() -> SeedableRandomState {
    static SEED: OnceLock<SharedSeed> = OnceLock::new();
    let random = || RandomState::new().hash_one(0u8);
    SeedableRandomState::with_seed(random(), SEED.get_or_init(|| SharedSeed::from_u64(random())))
}

impl<K: Hash + Eq + Copy, V> Table<K, V> {
    /// An empty table for at most `limit` rows (at least 2: the two ends of a packet).
    pub fn new(limit: usize) -> Table<K, V> {
        Table {
            index: HashTable::new(),
            rows: Vec::new(),
            hand: 0,
            limit: limit.clamp(2, u32::MAX as usize),
            evicted: 0,
            hasher: seeded_hasher(),
        }
    }

    /// Rows in the table.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the table has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows that had to make room, in all.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The slot of `key`. A new key gets a row made by `make`; should that cost another
    /// row its place, `fold` is given the row that goes. The row in slot `keep` never goes.
    #[inline]
    pub fn slot(
        &mut self,
        key: K,
        keep: Option<u32>,
        make: impl FnOnce() -> V,
        fold: impl FnOnce(&K, &V),
    ) -> u32 {
        let hash = self.hasher.hash_one(key);
        let rows = &mut self.rows;
        if let Some(&slot) = self.index.find(hash, |&slot| rows[slot as usize].key == key) {
            rows[slot as usize].seen = true;
            return slot;
        }
        self.insert(key, hash, keep, make(), fold)
    }

    fn insert(
        &mut self,
        key: K,
        hash: u64,
        keep: Option<u32>,
        value: V,
        fold: impl FnOnce(&K, &V),
    ) -> u32 {
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
        let (rows, hasher) = (&self.rows, &self.hasher);
        self.index.insert_unique(hash, slot, |&slot| hasher.hash_one(rows[slot as usize].key));
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
            let hash = self.hasher.hash_one(row.key);
            if let Entry::Occupied(entry) =
                self.index.entry(hash, |&other| other == slot, |_| hash)
            {
                entry.remove();
            }
            self.evicted += 1;
            return slot;
        }
    }

    /// The row in `slot`, as given by [`Table::slot`].
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
        let slot = table.slot(key, None, || 0, |_, value| *other += value);
        *table.at(slot) += 1;
    }

    #[test]
    fn the_sum_survives_any_number_of_keys() {
        let mut table = Table::new(100);
        let mut other = 0;
        for key in 0..100_000 {
            add(&mut table, key % 7_919, &mut other);
        }
        assert_eq!(table.len(), 100);
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
            let first = table.slot(key, None, || 0, |_, _| ());
            let second = table.slot(key + 1, Some(first), || 0, |_, _| ());
            assert_ne!(first, second);
        }
    }
}
