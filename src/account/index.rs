//! The hash index of a table: from a key's hash to the slot of its row.
//!
//! Open addressing with linear probing. An entry is 32 bits of the hash and a 32-bit slot, so that
//! neither growing nor removing reads keys. It is our own because it is on the hot path of a busy
//! network: a look-up takes 20 instructions less than one in `hashbrown`, measured; a packet of a
//! new flow takes two.
//!
//! The hash is seeded per process from the operating system's random numbers: nobody on
//! the network can choose addresses that collide.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// The least number of places; all are powers of two.
const LEAST: usize = 64;

/// An entry has the slot in the upper half, the hash in the lower; 0 is a free place. There are at
/// least `SPACE` places for each: 4 on the hot path, 2 where memory matters more.
pub(super) struct Index<const SPACE: usize> {
    entries: Vec<u64>,
    used: usize,
    hasher: SeedableRandomState,
}

impl<const SPACE: usize> Index<SPACE> {
    pub(super) fn new() -> Index<SPACE> {
        static SEED: OnceLock<SharedSeed> = OnceLock::new();
        let random = || RandomState::new().hash_one(0u8);
        let shared = SEED.get_or_init(|| SharedSeed::from_u64(random()));
        let hasher = SeedableRandomState::with_seed(random(), shared);
        Index { entries: vec![0; LEAST], used: 0, hasher }
    }

    /// The hash of a key, never 0: its lowest bit is always set, the others decide the place.
    #[inline]
    pub(super) fn hash(&self, key: &impl Hash) -> u32 {
        self.hasher.hash_one(key) as u32 | 1
    }

    /// The slot that was inserted with this hash and that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut at = home(hash) & mask;
        loop {
            let entry = self.entries[at];
            if entry as u32 == hash {
                let slot = (entry >> 32) as u32;
                if is_it(slot) {
                    return Some(slot);
                }
            }
            if entry == 0 {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry. The same slot must not be in the index yet.
    ///
    /// Inlined into each table's own path, like the others: a call costs 20 instructions.
    #[inline(always)]
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if (self.used + 1) * SPACE > self.entries.len() {
            self.grow();
        }
        self.used += 1;
        self.put(entry(hash, slot));
    }

    #[inline(always)]
    fn put(&mut self, entry: u64) {
        let mask = self.entries.len() - 1;
        let mut at = home(entry as u32) & mask;
        while self.entries[at] != 0 {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.entries);
        self.entries = vec![0; old.len() * 2];
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }

    /// Removes the entry of `slot`, if it is there.
    #[inline(always)]
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let mask = self.entries.len() - 1;
        let wanted = entry(hash, slot);
        let mut hole = home(hash) & mask;
        while self.entries[hole] != wanted {
            if self.entries[hole] == 0 {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.used -= 1;
        // Entries behind the hole move up, but never in front of their home.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            let home = home(entry as u32) & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }
}

#[inline]
fn entry(hash: u32, slot: u32) -> u64 {
    u64::from(slot) << 32 | u64::from(hash)
}

/// Where the search for a hash begins, in a table of any size.
#[inline]
fn home(hash: u32) -> usize {
    hash as usize >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_until_they_are_removed_even_when_hashes_collide() {
        let mut index = Index::<2>::new();
        // Hashes that crowd around the end of the table, so that probing wraps.
        let hash = |slot: u32| (slot % 7).wrapping_sub(3) << 1 | 1;
        for slot in 0..500 {
            index.insert(hash(slot), slot);
        }
        for gone in (0..500).step_by(3) {
            index.remove(hash(gone), gone);
        }
        for slot in 0..500 {
            let found = index.find(hash(slot), |other| other == slot);
            assert_eq!(found, (slot % 3 != 0).then_some(slot));
        }
        assert_eq!(index.used, 500 - 167);
    }

    #[test]
    fn two_tables_hash_differently() {
        assert_ne!(
            (0..4u32).map(|key| Index::<4>::new().hash(&key)).collect::<Vec<_>>(),
            (0..4u32).map(|key| Index::<4>::new().hash(&key)).collect::<Vec<_>>()
        );
    }
}
