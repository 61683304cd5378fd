//! The steps of a commit: adds intervals to the finest tier and recomputes the coarser ones.
//! Deletion is in `retention`. Runs on the store thread, within the transaction.

use std::collections::BTreeSet;

use rusqlite::{Result, Transaction};

use super::batch::SetBack;
use super::hosts::Hosts;
use super::kind::{INTERFACE, KINDS};
use super::rows::{Interval, Limits};
use super::tables::{delete, put, read};
use super::tiers::{self, StoredTier, round_up, starts};

/// A commit in progress.
pub(super) struct Work<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) tiers: Vec<StoredTier>,
    pub(super) limits: Limits,
    pub(super) hosts: &'a mut Hosts,
    pub(super) stale: &'a mut Vec<BTreeSet<i64>>,
    /// By tier: the stale intervals that this commit has recomputed.
    pub(super) fresh: Vec<BTreeSet<i64>>,
}

impl Work<'_> {
    /// Adds an interval to the finest tier, and to coarser ones whose finer rows are gone. Marks
    /// the others as stale.
    pub(super) fn write_interval(&mut self, interval: &Interval) -> Result<()> {
        put(self.transaction, self.hosts, self.tiers[0].seconds, interval.start, interval)?;
        for at in 1..self.tiers.len() {
            let (finer, tier) = (&self.tiers[at - 1], &self.tiers[at]);
            let start = tier.start_of(interval.start);
            if start < finer.kept_since {
                put(self.transaction, self.hosts, tier.seconds, start, interval)?;
            } else {
                self.stale[at].insert(start);
            }
        }
        Ok(())
    }

    /// Moves the rows that are in the future after the clock was set back.
    ///
    /// A coarser row whose finer rows have been deleted cannot be recomputed and stays where it is.
    /// That takes a clock that was wrong for as long as a tier is kept.
    pub(super) fn set_back(&mut self, set_back: SetBack) -> Result<()> {
        let base = &self.tiers[0];
        let mut from = base.start_of(set_back.now);
        for pair in self.tiers.windows(2) {
            let [finer, coarser] = pair else { continue };
            if coarser.start_of(from) < finer.kept_since {
                from = from.max(round_up(finer.kept_since, coarser.seconds));
            }
        }
        let by = (set_back.by + base.seconds / 2).div_euclid(base.seconds) * base.seconds;
        if by <= 0 {
            return Ok(());
        }
        // Tiers that are no longer written cannot be recomputed; the others hold the same.
        let lengths = tiers::all_lengths(self.transaction)?;
        for seconds in lengths.into_iter().filter(|s| self.tiers.iter().all(|t| t.seconds != *s)) {
            delete(self.transaction, seconds, from, i64::MAX)?;
        }
        // In the order of time: an interval that was in the target's place has been moved before.
        let seconds = self.tiers[0].seconds;
        for start in starts(self.transaction, seconds, from)? {
            let (mut interval, _) = read(self.transaction, seconds, start, start + seconds)?;
            delete(self.transaction, seconds, start, start + seconds)?;
            for at in 1..self.tiers.len() {
                self.stale[at].insert(self.tiers[at].start_of(start));
            }
            interval.start = start - by;
            self.write_interval(&interval)?;
        }
        Ok(())
    }

    /// Recomputes stale intervals: those that have ended and, in tiers that are due, the open ones.
    pub(super) fn bring_up_to_date(&mut self, horizon: i64, is_due: &[bool]) -> Result<()> {
        for (at, is_due) in is_due.iter().enumerate().skip(1) {
            let (finer, tier) = (&self.tiers[at - 1], &self.tiers[at]);
            for start in self.stale[at].clone() {
                if *is_due || start + tier.seconds <= horizon {
                    let (mut sum, parts) =
                        read(self.transaction, finer.seconds, start, start + tier.seconds)?;
                    for kind in KINDS.into_iter().filter(|kind| *kind != &INTERFACE) {
                        sum.rows[kind.at].note_absences(parts);
                    }
                    sum.keep_busiest(self.limits);
                    delete(self.transaction, tier.seconds, start, start + tier.seconds)?;
                    put(self.transaction, self.hosts, tier.seconds, start, &sum)?;
                    self.fresh[at].insert(start);
                    // The next tier is computed from this one.
                    if let Some(coarser) = self.tiers.get(at + 1)
                        && coarser.start_of(start) >= tier.kept_since
                    {
                        self.stale[at + 1].insert(coarser.start_of(start));
                    }
                }
            }
        }
        Ok(())
    }
}
