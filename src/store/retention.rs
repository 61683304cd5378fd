//! Retention: deletes what is too old, and what makes the file too large. Runs on the store thread,
//! within the transaction of a commit.
//!
//! The present comes from arriving intervals, never from a row. Even so, a wrong clock must not
//! cost the history: what is too old by the clock is deleted no faster than [`PACE`] times what
//! arrives. Only a tier's surplus goes faster: what it holds beyond its length, as when the owner
//! has shortened that, is too much by any clock.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use super::kind::INTERFACE;
use super::tables::delete;
use super::tiers::{self, StoredTier, first, round_up};
use super::work::Work;

/// Limit of seconds of history that are deleted for each one that arrives. More than one, so that a
/// tier is back at its length some time after an outage.
pub(super) const PACE: i64 = 8;
/// Limit of intervals that are deleted at once, unless more arrive.
const AT_ONCE: i64 = 120;
/// Limit of deletions in one commit to make the file smaller.
const MOST_STEPS: usize = 8;

/// The limit of intervals that are deleted at once while so many arrive.
fn at_once(arriving: usize) -> i64 {
    AT_ONCE.max(2 * i64::try_from(arriving).unwrap_or(AT_ONCE))
}

/// How much of each tier may be deleted, in seconds of its history.
#[derive(Clone, Default)]
pub(super) struct Allowances(BTreeMap<i64, Allowance>);

#[derive(Clone, Copy, Default)]
struct Allowance {
    /// Earned by what has arrived.
    earned: i64,
    /// The tier's surplus when the database was opened.
    surplus: i64,
}

impl Allowances {
    /// Computes the surplus of each tier.
    pub(super) fn new(connection: &Connection, tiers: &[StoredTier]) -> Result<Allowances> {
        let mut all = BTreeMap::new();
        for seconds in tiers::all_lengths(connection)? {
            let Some(keep) = keep(tiers, seconds) else { continue };
            let sql = format!("SELECT count(DISTINCT start) FROM {}", INTERFACE.table(seconds));
            let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            let surplus = count.saturating_mul(seconds).saturating_sub(keep).max(0);
            all.insert(seconds, Allowance { earned: 0, surplus });
        }
        Ok(Allowances(all))
    }

    /// Adds the allowance for `arrived` seconds. At most one interval of the tier is carried over
    /// unused: a clock that is right needs no more.
    pub(super) fn earn(&mut self, arrived: i64) {
        for (seconds, allowance) in &mut self.0 {
            let saved = allowance.earned.min(*seconds);
            allowance.earned = saved.saturating_add(arrived.saturating_mul(PACE));
        }
    }

    fn of(&self, seconds: i64) -> i64 {
        let Allowance { earned, surplus } = self.0.get(&seconds).copied().unwrap_or_default();
        earned.saturating_add(surplus) / seconds * seconds
    }

    fn use_up(&mut self, seconds: i64, used: i64) {
        if let Some(allowance) = self.0.get_mut(&seconds) {
            let earned = used.min(allowance.earned);
            allowance.earned -= earned;
            allowance.surplus = (allowance.surplus - (used - earned)).max(0);
        }
    }
}

/// How long a tier is kept. One that is no longer configured is kept as long as the next coarser
/// one, which holds the same. Without such a one it is deleted only to make room.
fn keep(tiers: &[StoredTier], seconds: i64) -> Option<i64> {
    let at = tiers.partition_point(|tier| tier.seconds < seconds);
    tiers.get(at).map(|tier| tier.keep)
}

/// The names of the tiers that hold rows which are too old at `present`, finest first.
pub(super) fn too_old(
    connection: &Connection,
    tiers: &[StoredTier],
    present: i64,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for tier in tiers {
        let cutoff = present.saturating_sub(tier.keep);
        if first(connection, tier.seconds)?.is_some_and(|first| first + tier.seconds <= cutoff) {
            names.push(tier.name.clone());
        }
    }
    Ok(names)
}

impl Work<'_> {
    /// Deletes what is too old at `present`, within the allowances and not all at once.
    pub(super) fn let_go(
        &mut self,
        present: i64,
        arriving: usize,
        allowances: &mut Allowances,
    ) -> Result<()> {
        for seconds in tiers::all_lengths(self.transaction)? {
            if let Some(keep) = keep(&self.tiers, seconds) {
                let cutoff = present.saturating_sub(keep);
                let most = allowances.of(seconds).min(at_once(arriving) * seconds);
                let gone = self.let_go_until(seconds, cutoff, present, most)?;
                allowances.use_up(seconds, gone);
            }
        }
        Ok(())
    }

    /// Deletes the oldest intervals while the file is too large. Finest first: years are
    /// worth more than minutes.
    pub(super) fn make_room(&mut self, horizon: i64, max_size: u64, arriving: usize) -> Result<()> {
        if self.used()? <= max_size {
            return Ok(());
        }
        let mut steps = 0..MOST_STEPS;
        for seconds in tiers::all_lengths(self.transaction)? {
            let most = at_once(arriving) * seconds;
            while self.let_go_until(seconds, horizon, horizon, most)? > 0 {
                if steps.next().is_none() || self.used()? <= max_size {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Deletes up to `most` seconds of a tier's oldest intervals: none from `cutoff` on, and none
    /// that an open or stale interval of the next tier is made of. Returns the seconds.
    fn let_go_until(&mut self, seconds: i64, cutoff: i64, horizon: i64, most: i64) -> Result<i64> {
        let Some(first) = first(self.transaction, seconds)? else { return Ok(0) };
        let mut end = (cutoff.div_euclid(seconds) * seconds).min(first.saturating_add(most));
        let at = self.tiers.iter().position(|tier| tier.seconds == seconds);
        let next = at.map(|at| self.tiers.get(at + 1).unwrap_or(&self.tiers[at]));
        if let (Some(at), Some(next)) = (at, next) {
            let stale = self.stale.get(at + 1).zip(self.fresh.get(at + 1));
            let stale = stale.and_then(|(stale, fresh)| stale.difference(fresh).next().copied());
            end = end.min(next.start_of(horizon - 1)).min(stale.unwrap_or(i64::MAX));
        }
        if end <= first {
            return Ok(0);
        }
        delete(self.transaction, seconds, i64::MIN, end)?;
        // Rows within an interval of the next tier are read from there from now on: one update of
        // `kept_since` for each of those is enough.
        if let (Some(at), Some(next)) = (at, next) {
            let kept_since = round_up(end, next.seconds);
            if kept_since > self.tiers[at].kept_since {
                let sql = "UPDATE tier SET kept_since = ?2 WHERE seconds = ?1";
                self.transaction.execute(sql, (seconds, kept_since))?;
                self.tiers[at].kept_since = kept_since;
            }
        }
        Ok(end - first)
    }

    /// Bytes in use in the file.
    fn used(&self) -> Result<u64> {
        let number = |pragma: &str| -> Result<i64> {
            self.transaction.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
        };
        let used = number("page_count")? - number("freelist_count")?;
        Ok((used * number("page_size")?).cast_unsigned())
    }
}
