//! Gives hosts numbers, which the rows of services hold in place of an address, and later those of
//! conversations ([`Stored`](super::kind::Stored) says why not all rows do). The store thread
//! assigns them, within a transaction.
//!
//! Theory of operation. Outside the tables a host is its address. Its number is assigned when a row
//! is written. A reader finds rows by number, within one transaction, and looks up the addresses of
//! those that it shows ([`super::numbers`]): nobody ever holds the number of a deleted host.
//!
//! Numbers of hosts without rows are deleted: invented addresses must not make the file grow for
//! good. No index leads from a number to its rows; it would cost as much as the rows do. So when
//! there are many hosts, a sweep reads the rows and marks the numbers in them, one bit each, then
//! deletes the hosts that are not marked. It takes many commits, with a bounded number of rows or
//! hosts in each. Rows that are written in the meantime are marked as well: it does not matter
//! where a row was moved to.

use rusqlite::{Connection, OptionalExtension, Result, Transaction};

use super::kind::{HOST_PARTS, KINDS};
use super::tiers;

/// With this many hosts, those without any row are searched for.
const MANY: i64 = 20_000;
/// Limit of intervals that a commit reads: 600 rows by default.
const INTERVALS_AT_ONCE: i64 = 60;
/// Hosts that a commit checks and deletes, or twice as many as were added since the last time: a
/// sweep must end before as many have come again.
const HOSTS_AT_ONCE: i64 = 1_000;
/// Numbers that a sweep marks at most, one bit each: the next sweep goes on with those after them.
const WINDOW: i64 = if cfg!(test) { 4_096 } else { 8 << 20 };

/// Assigns numbers to hosts, and deletes those of hosts without rows.
#[derive(Default)]
pub(super) struct Hosts {
    /// The host that was last looked up: rows come sorted by host.
    last: Option<([i64; HOST_PARTS], i64)>,
    sweep: Option<Sweep>,
    /// The number of hosts from which on a sweep is due.
    many: Option<i64>,
    /// Hosts that were added since the last count.
    new: i64,
    /// Hosts that were added since the last step of a sweep.
    added: i64,
    counted: Option<i64>,
    /// A sweep is about the numbers after this one.
    base: i64,
    /// Whether a commit has begun and is not known to have succeeded.
    is_open: bool,
}

/// A sweep in progress.
struct Sweep {
    /// The numbers after `base` that were seen, one bit each.
    marks: Vec<u64>,
    base: i64,
    /// The highest number when the sweep began, or the last of its window; later ones are left alone.
    until: i64,
    /// The tiers yet to be read, by the length of their intervals, and where to go on.
    tiers: Vec<i64>,
    from: i64,
    /// All hosts up to this number have been checked.
    done: i64,
}

impl Sweep {
    fn mark(&mut self, id: i64) {
        if let Ok(at) = usize::try_from(id.wrapping_sub(self.base))
            && let Some(word) = self.marks.get_mut(at / 64)
        {
            *word |= 1 << (at % 64);
        }
    }

    fn is_marked(&self, id: i64) -> bool {
        let at = usize::try_from(id.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        self.marks.get(at / 64).is_none_or(|word| word >> (at % 64) & 1 == 1)
    }
}

impl Hosts {
    /// The number of a host, given by its address as in a key; a new one if it has none.
    pub(super) fn number(
        &mut self,
        transaction: &Transaction<'_>,
        address: [i64; HOST_PARTS],
    ) -> Result<i64> {
        if let Some((_, id)) = self.last.filter(|(last, _)| *last == address) {
            return Ok(id);
        }
        let id = match find(transaction, address)? {
            Some(id) => id,
            None => {
                let sql = "INSERT INTO host (family, high, low) VALUES (?1, ?2, ?3)";
                transaction.prepare_cached(sql)?.execute(address)?;
                self.new += 1;
                self.added += 1;
                transaction.last_insert_rowid()
            }
        };
        if let Some(sweep) = &mut self.sweep {
            sweep.mark(id);
        }
        self.last = Some((address, id));
        Ok(id)
    }

    /// A commit begins. If the one before failed, its numbers were rolled back, and what a sweep has
    /// seen in it may be wrong: a later one begins anew.
    pub(super) fn begin_commit(&mut self) {
        self.last = None;
        if self.is_open {
            (self.sweep, self.counted, self.new) = (None, None, 0);
        }
        self.is_open = true;
    }

    /// The commit has succeeded.
    pub(super) fn note_committed(&mut self) {
        self.is_open = false;
    }

    /// Does a step of a sweep at the end of a commit, if there are many hosts.
    ///
    /// # Errors
    /// An error of SQLite.
    pub(super) fn sweep(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let Some(mut sweep) = self.sweep.take() else { return self.begin_sweep(transaction) };
        let most = HOSTS_AT_ONCE.max(2 * std::mem::take(&mut self.added));
        // A step that fails discards the sweep: the next commit begins a new one.
        match sweep.tiers.last().copied() {
            Some(seconds) => sweep.look_through(transaction, seconds)?,
            None if sweep.delete_some(transaction, most)? => {
                let left = count(transaction)?;
                let is_all = sweep.until < sweep.base.saturating_add(WINDOW);
                self.base = if is_all { 0 } else { sweep.until };
                // Sweep again only after the table has grown by as many hosts.
                self.many = Some(if is_all { MANY.max(2 * left) } else { 0 });
                (self.counted, self.new) = (Some(left), 0);
                return Ok(());
            }
            None => {}
        }
        self.sweep = Some(sweep);
        Ok(())
    }

    fn begin_sweep(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let known = match self.counted {
            Some(known) => known,
            None => *self.counted.insert(count(transaction)?),
        };
        if known + self.new < self.many.unwrap_or(MANY) {
            return Ok(());
        }
        let base = self.base;
        let sql = "SELECT coalesce(max(id), 0) FROM host";
        let greatest: i64 = transaction.query_row(sql, [], |row| row.get(0))?;
        let until = greatest.clamp(base, base.saturating_add(WINDOW));
        self.sweep = Some(Sweep {
            marks: vec![0; usize::try_from(until - base).unwrap_or(0) / 64 + 1],
            base,
            until,
            tiers: tiers::all_lengths(transaction)?,
            from: i64::MIN,
            done: base,
        });
        Ok(())
    }

    /// Sets the number of hosts from which on a sweep is due: for tests.
    #[cfg(test)]
    pub(super) fn set_many(&mut self, many: i64) {
        self.many = Some(many);
    }

    #[cfg(test)]
    pub(super) fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// Whether all rows have been read, and hosts are about to be deleted.
    #[cfg(test)]
    pub(super) fn is_deleting(&self) -> bool {
        self.sweep.as_ref().is_some_and(|sweep| sweep.tiers.is_empty())
    }
}

impl Sweep {
    /// Marks the hosts of the next intervals of a tier.
    fn look_through(&mut self, transaction: &Transaction<'_>, seconds: i64) -> Result<()> {
        let next = format!(
            "SELECT min(start), max(start), count(*) FROM (SELECT start FROM {} WHERE start >= ?1
                GROUP BY start ORDER BY start LIMIT ?2)",
            super::kind::INTERFACE.table(seconds)
        );
        let found = transaction
            .prepare_cached(&next)?
            .query_row((self.from, INTERVALS_AT_ONCE), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let (first, last, count): (Option<i64>, Option<i64>, i64) = found;
        for kind in KINDS.into_iter().filter(|kind| kind.hosts > 0) {
            let sql = format!(
                "SELECT {} FROM {} WHERE {} AND start >= ?1 AND start <= ?2",
                kind.key_columns()[..kind.hosts].join(", "),
                kind.table(seconds),
                kind.condition()
            );
            let mut rows = transaction.prepare_cached(&sql)?;
            let mut rows = rows.query((first, last))?;
            while let Some(row) = rows.next()? {
                for at in 0..kind.hosts {
                    self.mark(row.get(at)?);
                }
            }
        }
        self.from = last.map_or(i64::MIN, |last| last + 1);
        if count < INTERVALS_AT_ONCE {
            // Rows that are added from now on are marked when they are written.
            self.tiers.pop();
            self.from = i64::MIN;
        }
        Ok(())
    }

    /// Deletes the unmarked ones of the next `most` hosts. Returns whether all have been checked.
    fn delete_some(&mut self, transaction: &Transaction<'_>, most: i64) -> Result<bool> {
        let sql = "SELECT id FROM host WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
        let ids: Vec<i64> = transaction
            .prepare_cached(sql)?
            .query_map((self.done, self.until, most), |row| row.get(0))?
            .collect::<Result<_>>()?;
        let Some(last) = ids.last() else { return Ok(true) };
        let mut delete = transaction.prepare_cached("DELETE FROM host WHERE id = ?1")?;
        for id in ids.iter().filter(|id| !self.is_marked(**id)) {
            delete.execute([id])?;
        }
        self.done = *last;
        Ok(false)
    }
}

/// The number of a host, given by its address as in a key, if it has one.
pub(super) fn find(connection: &Connection, address: [i64; HOST_PARTS]) -> Result<Option<i64>> {
    let sql = "SELECT id FROM host WHERE family = ?1 AND high = ?2 AND low = ?3";
    connection.prepare_cached(sql)?.query_row(address, |row| row.get(0)).optional()
}

fn count(connection: &Connection) -> Result<i64> {
    connection.query_row("SELECT count(*) FROM host", [], |row| row.get(0))
}
