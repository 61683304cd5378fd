//! What a commit does: adds intervals to the finest tier and brings the coarser ones up to
//! date. What it lets go is in `retention`.

use std::collections::BTreeSet;

use rusqlite::{Result, Transaction};

use super::batch::{Event, SetBack};
use super::hosts::Hosts;
use super::kind::{INTERFACE, KINDS};
use super::rows::{Interval, Limits};
use super::tables::{delete, put, read};
use super::tiers::{self, StoredTier, round_up, starts};

/// Events that are kept, the newest: a megabyte or so.
pub(super) const EVENTS_KEPT: i64 = 10_000;

/// How grave an event of this kind is, as syslog has it (RFC 5424, 6.2.1): 3 error, 4
/// warning, 5 notice, 6 information.
fn severity(kind: &str) -> i64 {
    match kind {
        "write_failed" | "database_damaged" | "database_gone" => 3,
        "history_lost" => 4,
        "clock_set_back" | "clock_jumped" | "history_ahead" => 5,
        _ => 6,
    }
}

/// A commit in the making.
pub(super) struct Work<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) tiers: Vec<StoredTier>,
    pub(super) limits: Limits,
    pub(super) hosts: &'a mut Hosts,
    pub(super) stale: &'a mut Vec<BTreeSet<i64>>,
    /// Of those, by tier, what this commit has made anew.
    pub(super) fresh: Vec<BTreeSet<i64>>,
}

impl Work<'_> {
    /// Writes events, of which the newest are kept.
    pub(super) fn write_events(&self, events: &[Event]) -> Result<()> {
        let mut put = self.transaction.prepare_cached(
            "INSERT INTO event (time, severity, kind, message) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for event in events {
            put.execute((event.time, severity(event.kind), event.kind, &event.message))?;
        }
        if !events.is_empty() {
            let sql = "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1";
            self.transaction.prepare_cached(sql)?.execute([EVENTS_KEPT])?;
        }
        Ok(())
    }

    /// Adds an interval to the finest tier, and notes what that makes stale.
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

    /// Moves what lies in the future of a clock that was set back.
    ///
    /// Where finer rows have been deleted already, coarser ones cannot be made anew; what
    /// they were made of stays where it is. That takes a clock that was wrong for as long
    /// as a tier is kept.
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
        // Tiers that are no longer written cannot be made anew; the others hold the same.
        let lengths = tiers::all_lengths(self.transaction)?;
        for seconds in lengths.into_iter().filter(|s| self.tiers.iter().all(|t| t.seconds != *s)) {
            delete(self.transaction, seconds, from, i64::MAX)?;
        }
        // In the order of time, one after the other: where one goes, the one that was there has
        // gone before.
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

    /// Makes stale intervals anew: those that have ended, and of the tiers that are due the
    /// open ones too.
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
                    // The next tier is made of this one.
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
