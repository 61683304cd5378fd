//! Moves rows aside that lie in the future, when the clock that wrote them turns out to have been
//! ahead. Runs on the store thread, in steps.
//!
//! A row in the future would be added to when its time comes, would pass for the newest history
//! until then, and would stay for years. But it was counted, and its true time is unknown: so it is
//! kept in a database of its own beside the other one, which `brightstat query --database` shows.
//! Where the true time is known ([`super::Message::SetBack`]), rows are moved there instead.
//!
//! The present may be wrong instead, on a machine that starts with an old time and has not yet
//! heard the right one. So nothing is moved before the present has lasted, nor are rows that are a
//! few hours ahead. A step moves an hour of rows, the newest first: each coarser row remains the
//! sum of its finer ones throughout.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior};

use super::error::Error;
use super::kind::INTERFACE;
use super::open;
use super::pulse::Pulse;
use super::rows::Interval;
use super::tables::{delete, put, read};
use super::tiers::{self, StoredTier, newest, round_up, starts};
use super::write::{Writer, make_anew};
use crate::config::Tier;

/// Seconds that must be recorded before the present is believed.
const LASTING: i64 = 600;
/// Rows less than this ahead, seconds, stay: a clock that is restored from a file may be behind by
/// that much.
const TOLERATED: i64 = 12 * 3_600;
/// A step moves this many seconds of history, or an interval of the coarsest tier if that is
/// shorter.
const PIECE: i64 = 3_600;

/// The progress of the search for rows in the future.
#[derive(Default)]
pub(super) struct Ahead {
    /// Seconds that have been recorded.
    arrived: i64,
    is_over: bool,
    /// The database for such rows, once there are any.
    aside: Option<Writer>,
    moved: u64,
    newest: Option<i64>,
}

/// What was moved, for the event.
pub(super) struct Moved {
    pub(super) intervals: u64,
    /// Start of the newest of them, seconds since 1970 UTC.
    pub(super) newest: i64,
    pub(super) file: PathBuf,
}

/// The path of the database for rows in the future, beside this one.
pub(super) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".ahead");
    PathBuf::from(name)
}

/// The result of a step.
pub(super) enum Step {
    More,
    Done(Option<Moved>),
}

impl Ahead {
    /// Counts recorded seconds, which tell how long the present has lasted. The lengths of
    /// intervals would not: one of 15 minutes may hold a single second.
    pub(super) fn note_arrival(&mut self, seconds: i64) {
        self.arrived = self.arrived.saturating_add(seconds);
    }

    /// The clock was set back or the file replaced: rows may be in the future again.
    pub(super) fn begin_again(&mut self) {
        *self = Ahead::default();
    }

    /// Does a step, if the present has lasted.
    ///
    /// # Errors
    /// A database cannot be written. Rows that were not moved are where they were.
    pub(super) fn step(
        &mut self,
        writer: &mut Writer,
        path: &Path,
        pulse: &Arc<Pulse>,
        present: i64,
    ) -> std::result::Result<Step, Error> {
        if self.is_over || self.arrived < LASTING {
            return Ok(Step::Done(None));
        }
        let failed = |e: rusqlite::Error| open::failure(path, e);
        let newest = writer.newest_of_all().map_err(failed)?;
        let piece = writer.tiers.last().map_or(PIECE, |tier| tier.seconds.min(PIECE));
        let from = round_up(present, piece);
        // Once begun, rows that are less far ahead are moved, too.
        let bound = if self.aside.is_some() { from } else { from.saturating_add(TOLERATED) };
        let Some(newest) = newest.filter(|newest| *newest >= bound) else {
            return Ok(Step::Done(self.finish(writer, path, present).map_err(failed)?));
        };
        let aside = match &mut self.aside {
            Some(aside) => aside,
            place => place.insert(make(&aside(path), writer, pulse)?),
        };
        let start = (newest.div_euclid(piece) * piece).max(from);
        self.moved += writer.move_to(aside, start).map_err(failed)?;
        self.newest = self.newest.max(Some(newest));
        Ok(Step::More)
    }

    fn finish(&mut self, writer: &mut Writer, path: &Path, present: i64) -> Result<Option<Moved>> {
        if let Some(Writer { connection, tiers, limits, hosts, stale, .. }) = &mut self.aside {
            writer.keep_from(present)?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            hosts.begin_commit();
            make_anew(&transaction, hosts, tiers, *limits, stale)?;
            transaction.commit()?;
            hosts.note_committed();
        }
        self.is_over = true;
        self.aside = None;
        let (intervals, file) = (self.moved, aside(path));
        Ok(self.newest.map(|newest| Moved { intervals, newest, file }))
    }
}

/// Opens or creates the database for rows in the future, with the tiers of this one.
fn make(path: &Path, writer: &Writer, pulse: &Arc<Pulse>) -> std::result::Result<Writer, Error> {
    let tier = |tier: &StoredTier| Tier {
        name: tier.name.clone(),
        seconds: u32::try_from(tier.seconds).unwrap_or(u32::MAX),
        keep: Duration::MAX,
        in_memory: false,
    };
    let tiers: Vec<Tier> = writer.tiers.iter().map(tier).collect();
    let (connection, _) = open::open_under(path, pulse)?;
    Writer::new(connection, &tiers, writer.limits, u64::MAX).map_err(|e| open::failure(path, e))
}

impl Writer {
    /// Start of the newest interval of any tier.
    fn newest_of_all(&self) -> Result<Option<i64>> {
        let mut all = None;
        for tier in &self.tiers {
            all = all.max(newest(&self.connection, tier.seconds)?);
        }
        Ok(all)
    }

    /// Moves intervals that begin at `start` or later to another database. Returns their number, in
    /// all tiers.
    ///
    /// A crash between the two transactions leaves them in both; the next step moves them again.
    fn move_to(&mut self, aside: &mut Writer, start: i64) -> Result<u64> {
        let Writer { connection, tiers, limits, hosts, stale, .. } = self;
        let copy = aside.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        aside.hosts.begin_commit();
        let mut count = 0;
        for seconds in tiers.iter().map(|tier| tier.seconds) {
            for at in starts(connection, seconds, start)? {
                let (interval, _) = read(connection, seconds, at, at + seconds)?;
                let interval = renumber(interval, connection, &copy)?;
                delete(&copy, seconds, at, at + seconds)?;
                put(&copy, &mut aside.hosts, seconds, at, &interval)?;
                count += 1;
            }
        }
        copy.commit()?;
        aside.hosts.note_committed();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A tier that is no longer written, and is finer than another, holds nothing else.
        let coarsest = tiers.last().map_or(0, |tier| tier.seconds);
        for seconds in tiers::all_lengths(&transaction)?.into_iter().filter(|s| *s <= coarsest) {
            delete(&transaction, seconds, start, i64::MAX)?;
        }
        // An interval that is cut at `start` is recomputed, if all its finer rows are there; its
        // other part is recomputed in the end.
        for at in 1..tiers.len() {
            stale[at].retain(|open| *open < start);
            let cut = tiers[at].start_of(start);
            if cut < start && cut >= tiers[at - 1].kept_since {
                stale[at].insert(cut);
                aside.stale[at].insert(cut);
            }
        }
        hosts.begin_commit();
        make_anew(&transaction, hosts, tiers, *limits, stale)?;
        transaction.commit()?;
        hosts.note_committed();
        stale.iter_mut().for_each(BTreeSet::clear);
        Ok(count)
    }

    /// Sets `kept_since` back to the present, where deletion under the wrong clock has moved it
    /// beyond.
    fn keep_from(&mut self, present: i64) -> Result<()> {
        for at in 0..self.tiers.len() {
            let next = self.tiers.get(at + 1).unwrap_or(&self.tiers[at]).seconds;
            let tier = &mut self.tiers[at];
            let kept_since = round_up(present, next);
            if tier.kept_since > kept_since {
                let sql = "UPDATE tier SET kept_since = ?2 WHERE seconds = ?1";
                self.connection.execute(sql, (tier.seconds, kept_since))?;
                tier.kept_since = kept_since;
            }
        }
        Ok(())
    }
}

/// Translates the numbers of interfaces, which differ between databases.
fn renumber(mut interval: Interval, from: &Connection, to: &Connection) -> Result<Interval> {
    let rows = std::mem::take(&mut interval.rows[INTERFACE.at]);
    for (mut key, row) in rows.0 {
        let sql = "SELECT name FROM interface_name WHERE id = ?1";
        let name: String = from.prepare_cached(sql)?.query_row([key[0]], |row| row.get(0))?;
        let sql = "INSERT OR IGNORE INTO interface_name (name) VALUES (?1)";
        to.prepare_cached(sql)?.execute([&name])?;
        let sql = "SELECT id FROM interface_name WHERE name = ?1";
        key[0] = to.prepare_cached(sql)?.query_row([&name], |row| row.get(0))?;
        interval.rows[INTERFACE.at].add(&INTERFACE, key, row);
    }
    Ok(interval)
}
