//! Deletes the hardware addresses of hosts without history: invented source addresses must not make
//! the file grow for good. Runs on the store thread, in steps.
//!
//! Theory of operation. First the hosts of all tiers are read, finest first, and entered in a Bloom
//! filter; then the hardware addresses of all others are deleted. Both go in steps of bounded
//! length, with commits in between. Hosts that arrive meanwhile are entered as well. A coarser row
//! that is recomputed meanwhile has only hosts of finer rows, which were read first. The filter has
//! the same size whatever the history holds. It never misses a host with history. It may accept one
//! without, whose address then stays until the next sweep.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use rusqlite::{Connection, Result, TransactionBehavior};

use super::kind::{HOST, Key, key_of};
use super::tiers;

/// Rows of history that a step reads.
const READ: usize = 5_000;
/// Hardware addresses that a step checks.
const LOOKED_AT: usize = 1_000;
/// Bits of the filter. Its false positives: 1 in 1,000 with 100,000 hosts, 1 in 25 with 300,000.
const BITS: usize = 1 << 21;
/// Bits that a host sets.
const MARKS: u64 = 4;

/// A sweep under way.
pub(super) struct Sweep {
    hosts: Filter,
    phase: Phase,
    /// Hardware addresses that stay.
    kept: usize,
}

enum Phase {
    /// The lengths of the tiers yet to be read, the current one last, and the last row read.
    Reading { tiers: Vec<i64>, start: i64, key: Key },
    /// The last host checked.
    Deleting { key: Key },
}

/// The result of a step.
pub(super) enum Step {
    /// There is more to do; these were deleted.
    More(BTreeSet<Key>),
    /// All is done; this many hardware addresses are left.
    Done(usize),
}

const BEFORE_ALL: Key = [i64::MIN, i64::MIN, i64::MIN, 0, 0, 0, 0];

impl Sweep {
    /// Begins a sweep. No interval may be waiting.
    pub(super) fn new(connection: &Connection) -> Result<Sweep> {
        let mut tiers = tiers::all_lengths(connection)?;
        tiers.reverse();
        let phase = Phase::Reading { tiers, start: i64::MIN, key: BEFORE_ALL };
        Ok(Sweep { hosts: Filter::new(), phase, kept: 0 })
    }

    /// Enters a host that is about to get history.
    pub(super) fn add(&mut self, host: &Key) {
        self.hosts.insert(host);
    }

    /// Does a step.
    ///
    /// # Errors
    /// An error of SQLite; the step can be repeated.
    pub(super) fn step(&mut self, connection: &mut Connection) -> Result<Step> {
        match &mut self.phase {
            Phase::Reading { tiers, start, key } => {
                let Some(seconds) = tiers.last() else {
                    self.phase = Phase::Deleting { key: BEFORE_ALL };
                    return Ok(Step::More(BTreeSet::new()));
                };
                let sql = format!(
                    "SELECT start, k1, k2, k3 FROM {} WHERE {} AND start >= ?1
                        AND (start, k1, k2, k3) > (?1, ?2, ?3, ?4)
                     ORDER BY start, k1, k2, k3 LIMIT {READ}",
                    HOST.table(*seconds),
                    HOST.condition()
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query((*start, key[0], key[1], key[2]))?;
                let mut count = 0;
                while let Some(row) = rows.next()? {
                    (*start, *key) = (row.get(0)?, key_of([row.get(1)?, row.get(2)?, row.get(3)?]));
                    self.hosts.insert(key);
                    count += 1;
                }
                if count < READ {
                    tiers.pop();
                    (*start, *key) = (i64::MIN, BEFORE_ALL);
                }
                Ok(Step::More(BTreeSet::new()))
            }
            Phase::Deleting { key } => {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let sql = format!(
                    "SELECT family, high, low FROM host_mac
                     WHERE (family, high, low) > (?1, ?2, ?3)
                     ORDER BY family, high, low LIMIT {LOOKED_AT}"
                );
                let found: Vec<Key> = transaction
                    .prepare_cached(&sql)?
                    .query_map([key[0], key[1], key[2]], |row| {
                        Ok(key_of([row.get(0)?, row.get(1)?, row.get(2)?]))
                    })?
                    .collect::<Result<_>>()?;
                let gone: BTreeSet<Key> =
                    found.iter().filter(|key| !self.hosts.contains(key)).copied().collect();
                let sql = "DELETE FROM host_mac WHERE family = ?1 AND high = ?2 AND low = ?3";
                for key in &gone {
                    transaction.prepare_cached(sql)?.execute([key[0], key[1], key[2]])?;
                }
                transaction.commit()?;
                self.kept += found.len() - gone.len();
                match found.last() {
                    Some(last) => *key = *last,
                    None => return Ok(Step::Done(self.kept)),
                }
                Ok(Step::More(gone))
            }
        }
    }
}

/// A Bloom filter of hosts, with a new random key each time: nobody can aim at a place in it.
struct Filter {
    bits: Vec<u64>,
    seed: RandomState,
}

impl Filter {
    fn new() -> Filter {
        Filter { bits: vec![0; BITS / 64], seed: RandomState::new() }
    }

    /// The places of a host's bits: word and mask.
    fn places(&self, key: &Key) -> impl Iterator<Item = (usize, u64)> + use<> {
        // Two hashes make as many as are wanted (Kirsch and Mitzenmacher, 2006).
        let hash = self.seed.hash_one(key);
        let (first, second) = (hash >> 32, hash & 0xffff_ffff | 1);
        (0..MARKS).map(move |n| {
            let bit = (first + n * second) as usize % BITS;
            (bit / 64, 1 << (bit % 64))
        })
    }

    fn insert(&mut self, key: &Key) {
        for (word, mask) in self.places(key) {
            self.bits[word] |= mask;
        }
    }

    fn contains(&self, key: &Key) -> bool {
        self.places(key).all(|(word, mask)| self.bits[word] & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_knows_every_host_it_was_given_and_few_others() {
        let mut filter = Filter::new();
        let key = |n: i64| key_of([4, 0, n]);
        (0..100_000).for_each(|n| filter.insert(&key(n)));
        assert!((0..100_000).all(|n| filter.contains(&key(n))));
        let confused = (100_000..200_000).filter(|n| filter.contains(&key(*n))).count();
        assert!(confused < 1_000, "{confused}");
    }
}
