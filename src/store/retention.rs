//! Letting go of what is too old, and of what makes the file too large.

use rusqlite::Result;

use super::tables::delete;
use super::tiers::{self, first, round_up};
use super::work::Work;

/// Intervals that are deleted at once, at most, unless more arrive.
const AT_ONCE: i64 = 120;
/// Times that one commit deletes to make the file smaller, at most.
const MOST_STEPS: usize = 8;

/// How many intervals are deleted at once while so many are arriving.
fn at_once(arriving: usize) -> i64 {
    AT_ONCE.max(2 * i64::try_from(arriving).unwrap_or(AT_ONCE))
}

impl Work<'_> {
    /// Deletes what is too old, some intervals at a time but more than there are arriving.
    pub(super) fn let_go(&mut self, horizon: i64, arriving: usize) -> Result<()> {
        for seconds in tiers::all_lengths(self.transaction)? {
            let at = self.tiers.partition_point(|tier| tier.seconds < seconds);
            // Of a tier that is not configured any more nobody says how long; the next one
            // has the same in it. The coarsest there was goes only to make room.
            if let Some(tier) = self.tiers.get(at) {
                let cutoff = horizon.saturating_sub(tier.keep);
                self.let_go_until(seconds, cutoff, horizon, at_once(arriving))?;
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
            while self.let_go_until(seconds, horizon, horizon, at_once(arriving))? {
                if steps.next().is_none() || self.used()? <= max_size {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Deletes the oldest intervals of a tier, `at_once` at most, none from `cutoff` on
    /// and none of which an open interval of the next tier is made. Returns whether there
    /// were any.
    fn let_go_until(
        &mut self,
        seconds: i64,
        cutoff: i64,
        horizon: i64,
        at_once: i64,
    ) -> Result<bool> {
        let Some(first) = first(self.transaction, seconds)? else { return Ok(false) };
        let mut end = (cutoff.div_euclid(seconds) * seconds).min(first + at_once * seconds);
        let at = self.tiers.iter().position(|tier| tier.seconds == seconds);
        let next = at.map(|at| self.tiers.get(at + 1).unwrap_or(&self.tiers[at]));
        if let (Some(at), Some(next)) = (at, next) {
            let stale = self.stale.get(at + 1).zip(self.fresh.get(at + 1));
            let stale = stale.and_then(|(stale, fresh)| stale.difference(fresh).next().copied());
            end = end.min(next.start_of(horizon - 1)).min(stale.unwrap_or(i64::MAX));
        }
        if end <= first {
            return Ok(false);
        }
        delete(self.transaction, seconds, i64::MIN, end)?;
        // What is a part of an interval of the next tier is read there from now on; to say
        // so once for each of those is enough.
        if let (Some(at), Some(next)) = (at, next) {
            let kept_since = round_up(end, next.seconds);
            if kept_since > self.tiers[at].kept_since {
                let sql = "UPDATE tier SET kept_since = ?2 WHERE seconds = ?1";
                self.transaction.execute(sql, (seconds, kept_since))?;
                self.tiers[at].kept_since = kept_since;
            }
        }
        Ok(true)
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
