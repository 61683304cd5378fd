//! Moves rows of the future aside, when the clock that wrote them turns out to have been ahead.
//!
//! What lies in the future would be added to when its time comes, would pass for the newest
//! history until then, and would stay for years. It was counted, though, and nobody knows when:
//! so it is kept, in a database of its own beside the other one. `brightstat query --database`
//! shows it. Where the right time is known ([`super::Message::SetBack`]), rows go there instead.
//!
//! It may be the present that is wrong, as on a machine that starts with an old time and has
//! not heard of the right one. So nothing is moved before the present has lasted, nor for rows
//! that are a few hours ahead. A step moves an hour of rows, the newest first, so that each
//! coarser row is the sum of its finer ones all the time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior};

use super::kind::INTERFACE;
use super::open;
use super::pulse::Pulse;
use super::rows::Interval;
use super::tables::{delete, put, read};
use super::tiers::{self, StoredTier, newest, round_up, starts};
use super::write::{Writer, make_anew};
use crate::config::Tier;
use crate::failure::Failure;

/// How many seconds must have been recorded before the present is believed.
const LASTING: i64 = 600;
/// Rows that are less ahead than this stay: a clock that is restored from a file may be behind
/// by so much.
const TOLERATED: i64 = 12 * 3_600;
/// Rows are moved by intervals of this length, or by those of the coarsest tier if that is
/// finer, seconds.
const PIECE: i64 = 3_600;

/// How far the search for rows of the future has got.
#[derive(Default)]
pub(super) struct Ahead {
    /// Seconds that have been recorded.
    arrived: i64,
    is_over: bool,
    /// Where rows go to, once there are any.
    aside: Option<Writer>,
    moved: u64,
    newest: Option<i64>,
}

/// What has been moved, to be told.
pub(super) struct Moved {
    pub(super) intervals: u64,
    /// Start of the newest of them, seconds since 1970 UTC.
    pub(super) newest: i64,
    pub(super) file: PathBuf,
}

/// The database beside this one that holds rows of the future.
pub(super) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".ahead");
    PathBuf::from(name)
}

/// What a step has come to.
pub(super) enum Step {
    More,
    Done(Option<Moved>),
}

impl Ahead {
    /// So many seconds have been recorded: how long the present has lasted. The lengths of the
    /// intervals would not tell, as one of 15 minutes may hold a single second.
    pub(super) fn note_arrival(&mut self, seconds: i64) {
        self.arrived = self.arrived.saturating_add(seconds);
    }

    /// The clock was set back: some rows may not have been moved with it.
    pub(super) fn begin_again(&mut self) {
        *self = Ahead::default();
    }

    /// Goes on for a step, if the present has lasted.
    ///
    /// # Errors
    /// The other database cannot be written. What has not been moved is where it was.
    pub(super) fn step(
        &mut self,
        writer: &mut Writer,
        path: &Path,
        pulse: &Arc<Pulse>,
        present: i64,
    ) -> std::result::Result<Step, Failure> {
        if self.is_over || self.arrived < LASTING {
            return Ok(Step::Done(None));
        }
        let failed = |e: rusqlite::Error| open::failure(path, &e);
        let newest = writer.newest_of_all().map_err(failed)?;
        let piece = writer.tiers.last().map_or(PIECE, |tier| tier.seconds.min(PIECE));
        let from = round_up(present, piece);
        // Once begun it goes to the end.
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
        }
        self.is_over = true;
        self.aside = None;
        let (intervals, file) = (self.moved, aside(path));
        Ok(self.newest.map(|newest| Moved { intervals, newest, file }))
    }
}

/// Opens or makes the database for rows of the future, with the tiers that this one has.
fn make(path: &Path, writer: &Writer, pulse: &Arc<Pulse>) -> std::result::Result<Writer, Failure> {
    let tier = |tier: &StoredTier| Tier {
        name: tier.name.clone(),
        seconds: u32::try_from(tier.seconds).unwrap_or(u32::MAX),
        keep: Duration::MAX,
        in_memory: false,
    };
    let tiers: Vec<Tier> = writer.tiers.iter().map(tier).collect();
    let (connection, _) = open::open_under(path, pulse)?;
    Writer::new(connection, &tiers, writer.limits, u64::MAX).map_err(|e| open::failure(path, &e))
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

    /// Moves what begins at `start` or later to another database. Returns how many intervals
    /// of all tiers that are.
    ///
    /// What is cut off between the two transactions is in both, and moved again.
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
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Tiers that are no longer written and finer than others hold nothing else.
        let coarsest = tiers.last().map_or(0, |tier| tier.seconds);
        for seconds in tiers::all_lengths(&transaction)?.into_iter().filter(|s| *s <= coarsest) {
            delete(&transaction, seconds, start, i64::MAX)?;
        }
        // What began before and has lost a part is made anew, where all finer rows are there,
        // and so is the other part in the end.
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
        stale.iter_mut().for_each(BTreeSet::clear);
        Ok(count)
    }

    /// From the present on every row of each tier will be there, whatever was let go while the
    /// clock was ahead.
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

/// Interfaces have their own numbers in each database.
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
