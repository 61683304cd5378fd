//! The writer: one transaction adds intervals to the finest tier, recomputes the coarser tiers, and
//! deletes what is too old. Runs on the store thread.
//!
//! Theory of operation. An interval of a coarser tier is always recomputed from the rows of the
//! next finer one: it is their sum by construction, however often intervals arrive late or in
//! parts. That happens when it ends, some times while it is open ([`REFRESH`]), and before the
//! daemon stops. Where finer rows have been deleted, late intervals are added instead. One
//! transaction holds all of it: a reader sees tiers that agree at any time, also after a crash.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};

use super::batch::Batch;
use super::catalog::Catalog;
use super::events;
use super::hosts::Hosts;
use super::recent::Probe;
use super::retention::{Allowances, too_old};
use super::rows::{Interval, Limits};
use super::tables::delete;
use super::tiers::{self, StoredTier, newest, starts};
use super::work::Work;
use crate::account::ClosedInterval;
use crate::config::Tier;

/// Open intervals of coarser tiers are recomputed at multiples of this time, seconds, or of a
/// quarter of their length if that is more: at the end of an hour, when there is much to write
/// anyway. Each time costs page writes.
const REFRESH: i64 = 3_600;
/// Rows further ahead of the clock than this, seconds, were written by a wrong one.
const FAR_AHEAD: i64 = 86_400;

/// Writes to the database, and knows which of its intervals are stale.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Finest first.
    pub(super) tiers: Vec<StoredTier>,
    pub(super) limits: Limits,
    /// Bytes that the file may grow to.
    max_size: u64,
    pub(super) catalog: Catalog,
    pub(super) hosts: Hosts,
    /// By tier: starts of intervals that are behind their finer rows.
    pub(super) stale: Vec<BTreeSet<i64>>,
    /// When open intervals of each tier were last recomputed, in the intervals' own time.
    refreshed: Vec<Option<i64>>,
    allowances: Allowances,
}

impl Writer {
    /// Takes over a database: updates its tiers to the configuration, and recomputes or lists what
    /// a crash has left stale.
    pub(super) fn new(
        mut connection: Connection,
        tiers: &[Tier],
        limits: Limits,
        max_size: u64,
    ) -> Result<Writer> {
        connection.set_prepared_statement_cache_capacity(64);
        let mut hosts = Hosts::default();
        let transaction = connection.transaction()?;
        let before = tiers::stored(&transaction)?;
        if before.iter().map(|tier| tier.seconds).ne(wanted_lengths(tiers)) {
            // Recompute what a crash has left stale with the tiers that it was written with. New
            // ones may be made of tiers that do not reach back as far.
            let mut stale = left_behind(&transaction, &before, &[])?;
            make_anew(&transaction, &mut hosts, &before, limits, &mut stale)?;
        }
        let (tiers, added) = tiers::sync(&transaction, tiers)?;
        // A clock that was set back may have moved rows since a tier was last written. An interval
        // without finer rows is not recomputed, so delete first what the finer rows can restore.
        for tier in added.iter().filter(|at| **at > 0).map(|at| &tiers[*at]) {
            delete(&transaction, tier.seconds, tier.kept_since, i64::MAX)?;
        }
        let mut stale = left_behind(&transaction, &tiers, &added)?;
        if !added.is_empty() {
            // In the same transaction: `kept_since` of a tier must be true.
            make_anew(&transaction, &mut hosts, &tiers, limits, &mut stale)?;
            stale.iter_mut().for_each(BTreeSet::clear);
        }
        let catalog = Catalog::read(&transaction)?;
        let allowances = Allowances::new(&transaction, &tiers)?;
        transaction.commit()?;
        let refreshed = vec![None; tiers.len()];
        Ok(Writer {
            connection,
            tiers,
            limits,
            max_size,
            catalog,
            hosts,
            stale,
            refreshed,
            allowances,
        })
    }

    /// Converts an interval to rows; names of interfaces become numbers.
    pub(super) fn interval(&mut self, closed: &ClosedInterval) -> Interval {
        self.catalog.note_macs(&closed.hosts);
        Interval::new(closed, |name| self.catalog.interface(name))
    }

    /// Writes the names of new interfaces.
    pub(super) fn write_names(&mut self) {
        self.catalog.write_names(&self.connection);
    }

    /// Start of the newest interval in the finest tier.
    pub(super) fn newest(&self) -> Result<Option<i64>> {
        newest(&self.connection, self.tiers[0].seconds)
    }

    /// The tiers that hold rows which are too old at `present`, by name.
    pub(super) fn too_old(&self, present: i64) -> Result<Vec<String>> {
        too_old(&self.connection, &self.tiers, present)
    }

    /// Takes over another writer's database, to which the known names will be written. Returns the
    /// numbers of interfaces that have changed: from old to new.
    pub(super) fn take_over(&mut self, other: Writer) -> HashMap<i64, i64> {
        let known = std::mem::replace(self, other).catalog;
        self.catalog.inherit(known)
    }

    /// Writes a batch in one transaction, which `seal` commits. It gets the probe, if there is one,
    /// which tells whether that has happened.
    ///
    /// # Errors
    /// An error of SQLite; nothing has been written then.
    pub(super) fn commit(
        &mut self,
        batch: &Batch<'_>,
        seal: impl FnOnce(Transaction<'_>, Option<Probe>) -> Result<()>,
    ) -> Result<()> {
        let Writer {
            connection, tiers, limits, max_size, catalog, hosts, stale, refreshed, ..
        } = self;
        // Immediate: a transaction that begins with reading fails if another connection writes
        // before it does.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (tiers_now, limits) = (tiers.clone(), *limits);
        let fresh = vec![BTreeSet::new(); tiers.len()];
        hosts.begin_commit();
        let mut work =
            Work { transaction: &transaction, tiers: tiers_now, limits, hosts, stale, fresh };
        let probe = Probe::new(&transaction, tiers[0].seconds, &batch.intervals)?;
        catalog.write(&transaction)?;
        events::write(&transaction, batch.events)?;
        for set_back in batch.set_backs {
            work.set_back(*set_back)?;
        }
        let base = work.tiers[0].seconds;
        let written = newest(work.transaction, base)?;
        let waiting = batch.intervals.iter().map(|interval| interval.start).max();
        let waiting_first = batch.intervals.iter().map(|interval| interval.start).min();
        let Some(newest) = written.max(waiting) else {
            seal(transaction, None)?;
            hosts.note_committed();
            return Ok(());
        };
        let horizon = batch.present.unwrap_or(newest + base);
        // A coarser interval has also ended if there are later rows: after a crash only the last
        // one is assumed to be behind. Rows that are far ahead were written by a wrong clock.
        let end = newest + base;
        let ended = if end - horizon > FAR_AHEAD { horizon } else { horizon.max(end) };
        let arriving = batch.intervals.len();
        let mut allowances = self.allowances.clone();
        allowances.earn(base.saturating_mul(i64::try_from(arriving).unwrap_or(i64::MAX)));
        // First, so that the new rows reuse the pages of the old ones: each is written once.
        if let Some(present) = batch.present {
            work.let_go(present, arriving, &mut allowances)?;
        }
        for interval in &batch.intervals {
            work.write_interval(interval)?;
        }
        let is_due: Vec<bool> = work
            .tiers
            .iter()
            .zip(refreshed.iter())
            .map(|(tier, refreshed)| {
                let is_moved = batch.is_last || !batch.set_backs.is_empty();
                let period = |time: i64| time.div_euclid(REFRESH.max(tier.seconds / 4));
                is_moved || refreshed.is_none_or(|time| period(time) != period(ended))
            })
            .collect();
        work.bring_up_to_date(ended, &is_due)?;
        if let Some(present) = batch.present
            && waiting_first.is_some_and(|first| first < work.tiers[0].kept_since)
        {
            // Some arrived late, or were many.
            work.let_go(present, arriving, &mut allowances)?;
        }
        work.make_room(horizon, *max_size, arriving)?;
        work.hosts.sweep(&transaction)?;
        let Work { tiers: tiers_now, fresh, .. } = work;
        let probe = match probe {
            Some(probe) if probe.is_there(&transaction)? => Some(probe),
            _ => None,
        };
        seal(transaction, probe)?;
        // Only now it is certain that all is written.
        hosts.note_committed();
        *tiers = tiers_now;
        self.allowances = allowances;
        for (stale, fresh) in stale.iter_mut().zip(fresh) {
            stale.retain(|start| !fresh.contains(start));
        }
        for (refreshed, _) in refreshed.iter_mut().zip(is_due).filter(|(_, is_due)| *is_due) {
            *refreshed = Some(ended);
        }
        catalog.note_written();
        if !batch.set_backs.is_empty() {
            catalog.give_up_sweep();
        }
        Ok(())
    }

    /// Does a step of deferred work. Returns whether there is more to do. A sweep begins only if
    /// `may_begin`: if no interval waits.
    ///
    /// # Errors
    /// An error of SQLite; nothing is lost, and the next call repeats the step.
    pub(super) fn tidy_up(&mut self, may_begin: bool) -> Result<bool> {
        self.catalog.sweep(&mut self.connection, may_begin)
    }
}

/// The lengths of the tiers that are to be written, finest first.
fn wanted_lengths(tiers: &[Tier]) -> impl Iterator<Item = i64> {
    tiers.iter().filter(|tier| !tier.in_memory).map(|tier| i64::from(tier.seconds))
}

/// By tier: starts of intervals that may be behind their finer rows. These are the ones that were
/// open at a crash, and all of a tier that was `added`.
///
/// The end of the finest tier tells which are open, as in the commits before. A coarser tier may
/// end later: rows that could not be moved when the clock was set back are still there.
fn left_behind(
    connection: &Connection,
    tiers: &[StoredTier],
    added: &[usize],
) -> Result<Vec<BTreeSet<i64>>> {
    let mut stale = vec![BTreeSet::new(); tiers.len()];
    let open = tiers.first().map(|base| newest(connection, base.seconds)).transpose()?.flatten();
    for at in 1..tiers.len() {
        let (finer, tier) = (&tiers[at - 1], &tiers[at]);
        let mut finer_starts: Vec<i64> = open.into_iter().collect();
        if added.contains(&at) {
            finer_starts.extend(starts(connection, finer.seconds, tier.kept_since)?);
        }
        // What is to be recomputed in the finer tier changes this one, too.
        finer_starts.extend(&stale[at - 1]);
        let starts = finer_starts.into_iter().map(|start| tier.start_of(start));
        stale[at] = starts.filter(|start| *start >= finer.kept_since).collect();
    }
    Ok(stale)
}

/// Recomputes all stale intervals.
pub(super) fn make_anew(
    transaction: &Transaction<'_>,
    hosts: &mut Hosts,
    tiers: &[StoredTier],
    limits: Limits,
    stale: &mut Vec<BTreeSet<i64>>,
) -> Result<()> {
    let fresh = vec![BTreeSet::new(); tiers.len()];
    let mut work = Work { transaction, tiers: tiers.to_vec(), limits, hosts, stale, fresh };
    work.bring_up_to_date(i64::MAX, &vec![true; tiers.len()])
}
