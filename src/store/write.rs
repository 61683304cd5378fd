//! Writing intervals: one transaction that adds them to the finest tier, brings the
//! coarser tiers up to date, and lets go of what is too old.
//!
//! Theory of operation. An interval of a coarser tier is always made anew from the rows
//! of the next finer one, so that it is their sum by construction, however often intervals
//! arrive late or in parts. That happens when it ends, some times while it is open
//! ([`REFRESH`]), and before the daemon stops. Where finer rows have been
//! deleted already, what arrives late is added instead. A transaction holds all of it: a
//! reader sees tiers that agree, whenever it looks and whatever was cut off.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, Result, Transaction, params_from_iter};

use super::kind::{Extra, HOST, INTERFACE, KINDS, Key, Kind};
use super::rows::{Interval, Limits, int};
use super::tiers::{self, StoredTier, first, newest, read_row, round_up, starts};
use crate::account::ClosedInterval;
use crate::config::Tier;
use crate::decode::Mac;

/// Open intervals of coarser tiers are brought up to date at multiples of this time,
/// seconds, or of a quarter of their length if that is more: at the end of an hour, when
/// there is much to write anyway. Each time costs page writes.
const REFRESH: i64 = 3_600;
/// MACs of hosts that are remembered, so as not to write them again.
const MACS: usize = 4_096;

/// What a person should know, to be written with the next commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Seconds since 1970 UTC.
    pub(super) time: i64,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// The clock was set back: rows from `now` on belong `by` earlier. Seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetBack {
    pub(super) now: i64,
    pub(super) by: i64,
}

/// The names and numbers of interfaces, and the MACs of hosts, as far as known.
#[derive(Default)]
struct Catalog {
    interfaces: HashMap<String, i64>,
    macs: HashMap<Key, Mac>,
    new_interfaces: Vec<(i64, String)>,
    new_macs: BTreeMap<Key, Mac>,
}

/// All that one commit writes.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) intervals: Vec<&'a Interval>,
    pub(super) set_backs: &'a [SetBack],
    pub(super) events: &'a [Event],
    /// Whether open intervals of coarser tiers are brought up to date in any case.
    pub(super) is_last: bool,
}

/// Writes to the database; knows what is stale in it.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Finest first.
    pub(super) tiers: Vec<StoredTier>,
    limits: Limits,
    /// Bytes that the file may grow to.
    max_size: u64,
    catalog: Catalog,
    /// By tier: starts of intervals that are older than the finer rows under them.
    pub(super) stale: Vec<BTreeSet<i64>>,
    /// When open intervals of each tier were last brought up to date, by the intervals' own
    /// time.
    refreshed: Vec<Option<i64>>,
}

impl Writer {
    /// Takes over a database: makes the tiers what the configuration wants, and finds out
    /// what a crash has left stale.
    pub(super) fn new(
        mut connection: Connection,
        tiers: &[Tier],
        limits: Limits,
        max_size: u64,
    ) -> Result<Writer> {
        connection.set_prepared_statement_cache_capacity(64);
        let transaction = connection.transaction()?;
        let (tiers, added) = tiers::sync(&transaction, tiers)?;
        let interfaces = transaction
            .prepare("SELECT name, id FROM interface_name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_>>()?;
        let catalog = Catalog { interfaces, ..Catalog::default() };
        let mut stale = vec![BTreeSet::new(); tiers.len()];
        for at in 1..tiers.len() {
            let (finer, tier) = (&tiers[at - 1], &tiers[at]);
            let first = if added.contains(&at) { tier.kept_since } else { i64::MIN };
            let mut finer_starts = starts(&transaction, finer.seconds, first)?;
            // What is about to be made anew below is news here.
            finer_starts.extend(&stale[at - 1]);
            let starts = finer_starts.into_iter().map(|start| tier.start_of(start));
            stale[at] = starts.filter(|start| *start >= finer.kept_since).collect();
        }
        if !added.is_empty() {
            // In the same transaction: a tier that says since when it is kept must be.
            let fresh = vec![BTreeSet::new(); tiers.len()];
            let (tiers, stale) = (tiers.clone(), &mut stale);
            let mut work = Work { transaction: &transaction, tiers, limits, stale, fresh };
            let all = vec![true; work.tiers.len()];
            work.bring_up_to_date(i64::MAX, &all)?;
            stale.iter_mut().for_each(BTreeSet::clear);
        }
        transaction.commit()?;
        let refreshed = vec![None; tiers.len()];
        Ok(Writer { connection, tiers, limits, max_size, catalog, stale, refreshed })
    }

    /// An interval as rows; names of interfaces become numbers.
    pub(super) fn interval(&mut self, closed: &ClosedInterval) -> Interval {
        let catalog = &mut self.catalog;
        for host in closed.hosts.iter().filter(|host| host.mac.is_known()) {
            let key = super::kind::addr_key(&host.address);
            if catalog.macs.get(&key) != Some(&host.mac) {
                if catalog.macs.len() >= MACS {
                    catalog.macs.clear();
                }
                catalog.macs.insert(key, host.mac);
                catalog.new_macs.insert(key, host.mac);
            }
        }
        Interval::new(closed, |name| {
            if let Some(id) = catalog.interfaces.get(name) {
                return *id;
            }
            let id = catalog.interfaces.values().max().map_or(1, |id| id + 1);
            catalog.interfaces.insert(name.to_owned(), id);
            catalog.new_interfaces.push((id, name.to_owned()));
            id
        })
    }

    /// Writes the names of new interfaces at once: answers from memory are about numbers.
    /// What cannot be written is written with the next commit.
    pub(super) fn write_names(&mut self) {
        if !self.catalog.new_interfaces.is_empty()
            && write_interfaces(&self.connection, &self.catalog.new_interfaces).is_ok()
        {
            self.catalog.new_interfaces.clear();
        }
    }

    /// Start of the newest interval in the finest tier.
    pub(super) fn newest(&self) -> Result<Option<i64>> {
        newest(&self.connection, self.tiers[0].seconds)
    }

    /// Takes over another writer's database; the names known so far are written to it.
    pub(super) fn take_over(&mut self, other: Writer) {
        let known = std::mem::take(&mut self.catalog);
        *self = other;
        self.catalog.new_interfaces =
            known.interfaces.iter().map(|(n, id)| (*id, n.clone())).collect();
        self.catalog.new_macs = known.macs.iter().map(|(key, mac)| (*key, *mac)).collect();
        self.catalog.interfaces = known.interfaces;
        self.catalog.macs = known.macs;
    }

    /// Writes a batch in one transaction, which `seal` commits.
    ///
    /// # Errors
    /// Whatever SQLite says; nothing has been written then.
    pub(super) fn commit(
        &mut self,
        batch: &Batch<'_>,
        seal: impl FnOnce(Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        let Writer { connection, tiers, limits, max_size, catalog, stale, refreshed } = self;
        let transaction = connection.transaction()?;
        let (tiers_now, limits) = (tiers.clone(), *limits);
        let fresh = vec![BTreeSet::new(); tiers.len()];
        let mut work = Work { transaction: &transaction, tiers: tiers_now, limits, stale, fresh };
        work.write_catalog(catalog)?;
        work.write_events(batch.events)?;
        for set_back in batch.set_backs {
            work.set_back(*set_back)?;
        }
        let written = newest(work.transaction, work.tiers[0].seconds)?;
        let waiting = batch.intervals.iter().map(|interval| interval.start).max();
        let waiting_first = batch.intervals.iter().map(|interval| interval.start).min();
        let Some(newest) = written.max(waiting) else { return seal(transaction) };
        let horizon = newest + work.tiers[0].seconds;
        // First, so that the new rows take the pages of the old ones: each is written once.
        work.let_go(horizon, batch.intervals.len())?;
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
                is_moved || refreshed.is_none_or(|time| period(time) != period(horizon))
            })
            .collect();
        work.bring_up_to_date(horizon, &is_due)?;
        if waiting_first.is_some_and(|first| first < work.tiers[0].kept_since) {
            // Some came late, or were many.
            work.let_go(horizon, batch.intervals.len())?;
        }
        work.make_room(horizon, *max_size)?;
        let Work { tiers: tiers_now, fresh, .. } = work;
        seal(transaction)?;
        // Only now is it certain.
        *tiers = tiers_now;
        for (stale, fresh) in stale.iter_mut().zip(fresh) {
            stale.retain(|start| !fresh.contains(start));
        }
        for (refreshed, _) in refreshed.iter_mut().zip(is_due).filter(|(_, is_due)| *is_due) {
            *refreshed = Some(horizon);
        }
        catalog.new_interfaces.clear();
        catalog.new_macs.clear();
        Ok(())
    }
}

fn write_interfaces(connection: &Connection, interfaces: &[(i64, String)]) -> Result<()> {
    for (id, name) in interfaces {
        let sql = "INSERT OR IGNORE INTO interface_name (id, name) VALUES (?1, ?2)";
        connection.execute(sql, (id, name))?;
    }
    Ok(())
}

/// A commit in the making.
struct Work<'a> {
    transaction: &'a Transaction<'a>,
    tiers: Vec<StoredTier>,
    limits: Limits,
    stale: &'a mut Vec<BTreeSet<i64>>,
    /// Of those, by tier, what this commit has made anew.
    fresh: Vec<BTreeSet<i64>>,
}

impl Work<'_> {
    fn write_catalog(&self, catalog: &Catalog) -> Result<()> {
        write_interfaces(self.transaction, &catalog.new_interfaces)?;
        let mut put = self.transaction.prepare_cached(
            "INSERT INTO host_mac VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET mac = excluded.mac WHERE mac <> excluded.mac",
        )?;
        for (key, mac) in &catalog.new_macs {
            put.execute((key[0], key[1], key[2], mac.to_string()))?;
        }
        Ok(())
    }

    fn write_events(&self, events: &[Event]) -> Result<()> {
        let mut put = self
            .transaction
            .prepare_cached("INSERT INTO event (time, kind, message) VALUES (?1, ?2, ?3)")?;
        for event in events {
            put.execute((event.time, event.kind, &event.message))?;
        }
        Ok(())
    }

    /// Adds an interval to the finest tier, and notes what that makes stale.
    fn write_interval(&mut self, interval: &Interval) -> Result<()> {
        put(self.transaction, self.tiers[0].seconds, interval.start, interval)?;
        for at in 1..self.tiers.len() {
            let (finer, tier) = (&self.tiers[at - 1], &self.tiers[at]);
            let start = tier.start_of(interval.start);
            if start < finer.kept_since {
                put(self.transaction, tier.seconds, start, interval)?;
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
    fn set_back(&mut self, set_back: SetBack) -> Result<()> {
        let base = &self.tiers[0];
        let mut from = base.start_of(set_back.now);
        for pair in self.tiers.windows(2) {
            let [finer, coarser] = pair else { continue };
            if coarser.start_of(from) < finer.kept_since {
                from = from.max(round_up(finer.kept_since, coarser.seconds));
            }
        }
        let by = (set_back.by + base.seconds / 2).div_euclid(base.seconds) * base.seconds;
        let mut moved = Vec::new();
        for start in starts(self.transaction, base.seconds, from)? {
            moved.push(read(self.transaction, base.seconds, start, start + base.seconds)?.0);
            if let Some(interval) = moved.last_mut() {
                interval.start = start;
            }
        }
        // Tiers that are no longer written cannot be made anew; the others hold the same.
        let lengths = tiers::all_lengths(self.transaction)?;
        for seconds in
            lengths.into_iter().filter(|s| self.tiers[1..].iter().all(|t| t.seconds != *s))
        {
            delete(self.transaction, seconds, from, i64::MAX)?;
        }
        for interval in &mut moved {
            for at in 1..self.tiers.len() {
                self.stale[at].insert(self.tiers[at].start_of(interval.start));
            }
            interval.start -= by;
            self.write_interval(interval)?;
        }
        Ok(())
    }

    /// Makes stale intervals anew: those that have ended, and of the tiers that are due the
    /// open ones too.
    fn bring_up_to_date(&mut self, horizon: i64, is_due: &[bool]) -> Result<()> {
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
                    put(self.transaction, tier.seconds, start, &sum)?;
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

    /// Deletes what is too old, some intervals at a time but more than there are arriving.
    fn let_go(&mut self, horizon: i64, arriving: usize) -> Result<()> {
        let at_once = AT_ONCE.max(2 * i64::try_from(arriving).unwrap_or(AT_ONCE));
        for at in 0..self.tiers.len() {
            let cutoff = horizon.saturating_sub(self.tiers[at].keep);
            self.let_go_until(at, cutoff, horizon, at_once)?;
        }
        Ok(())
    }

    /// Deletes the oldest intervals while the file is too large. Finest first: years are
    /// worth more than minutes.
    fn make_room(&mut self, horizon: i64, max_size: u64) -> Result<()> {
        let mut at = 0;
        for _ in 0..MOST_STEPS {
            if at >= self.tiers.len() || self.used()? <= max_size {
                break;
            }
            if !self.let_go_until(at, horizon, horizon, AT_ONCE)? {
                at += 1;
            }
        }
        Ok(())
    }

    /// Deletes the oldest intervals of a tier, `at_once` at most, none from `cutoff` on
    /// and none of which an open interval of the next tier is made. Returns whether there
    /// were any.
    fn let_go_until(&mut self, at: usize, cutoff: i64, horizon: i64, at_once: i64) -> Result<bool> {
        let tier = &self.tiers[at];
        let Some(first) = first(self.transaction, tier.seconds)? else { return Ok(false) };
        let next = self.tiers.get(at + 1).unwrap_or(tier);
        let stale = self.stale.get(at + 1).zip(self.fresh.get(at + 1));
        let stale = stale.and_then(|(stale, fresh)| stale.difference(fresh).next().copied());
        let end = tier
            .start_of(cutoff)
            .min(next.start_of(horizon - 1))
            .min(stale.unwrap_or(i64::MAX))
            .min(first + at_once * tier.seconds);
        if end <= first {
            return Ok(false);
        }
        delete(self.transaction, tier.seconds, i64::MIN, end)?;
        // What is a part of an interval of the next tier is read there from now on; to say
        // so once for each of those is enough.
        let kept_since = round_up(end, next.seconds);
        if kept_since > tier.kept_since {
            let sql = "UPDATE tier SET kept_since = ?2 WHERE seconds = ?1";
            self.transaction.execute(sql, (tier.seconds, kept_since))?;
            self.tiers[at].kept_since = kept_since;
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

/// Intervals that are deleted at once, at most, unless more arrive.
const AT_ONCE: i64 = 120;
/// Times that one commit deletes to make the file smaller, at most.
const MOST_STEPS: usize = 8;

/// The sum of a tier's intervals from `from` up to `to`, as one that began at `from`, and
/// how many they were.
pub(super) fn read(
    connection: &Connection,
    tier: i64,
    from: i64,
    to: i64,
) -> Result<(Interval, u32)> {
    let mut sum = Interval { start: from, ..Interval::default() };
    for kind in KINDS {
        let sql = format!(
            "SELECT {} FROM {} WHERE start >= ?1 AND start < ?2 AND {}",
            kind.columns().join(", "),
            kind.table(tier),
            kind.condition()
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((from, to))?;
        while let Some(row) = rows.next()? {
            let (key, row) = read_row(kind, row, 0)?;
            sum.rows[kind.at].add(kind, key, row);
        }
    }
    let table = INTERFACE.table(tier);
    let sql = format!("SELECT count(DISTINCT start) FROM {table} WHERE start >= ?1 AND start < ?2");
    let parts = connection.prepare_cached(&sql)?.query_row((from, to), |row| row.get(0))?;
    Ok((sum, parts))
}

/// Adds an interval's rows to those of a tier at `start`.
fn put(transaction: &Transaction<'_>, tier: i64, start: i64, interval: &Interval) -> Result<()> {
    for kind in KINDS {
        let rows = &interval.rows[kind.at].0;
        if rows.is_empty() {
            continue;
        }
        let mut statement = transaction.prepare_cached(&put_statement(kind, tier))?;
        for (key, row) in rows {
            let values = [start].into_iter();
            let values = values.chain(key.iter().take(kind.keys.len()).copied());
            let values =
                values.chain(row.cells.iter().flat_map(|cell| {
                    [cell.packets, cell.bytes, cell.least, cell.greatest].map(int)
                }));
            let extras = row.extras.iter().zip(kind.extras);
            let extras = extras.map(|(value, extra)| (*value).min(most(extra, tier)));
            statement.execute(params_from_iter(values.chain(extras)))?;
        }
    }
    Ok(())
}

/// What an extra column holds at most. Intervals that a clock which was set has put on top
/// of each other were covered once.
fn most(extra: &Extra, seconds: i64) -> i64 {
    if extra.name == "covered" { seconds * 1_000 } else { i64::MAX }
}

fn put_statement(kind: &Kind, tier: i64) -> String {
    let columns = kind.columns();
    let marks = vec!["?"; columns.len() + 1].join(", ");
    let (also, its) = match kind == &INTERFACE {
        true => ("", String::new()),
        false => (", kind", format!(", {}", kind.at)),
    };
    let mut updates = Vec::new();
    for way in kind.endings() {
        updates.extend([
            format!("packets{way} = packets{way} + excluded.packets{way}"),
            format!("bytes{way} = bytes{way} + excluded.bytes{way}"),
            format!("least{way} = min(least{way}, excluded.least{way})"),
            format!("greatest{way} = max(greatest{way}, excluded.greatest{way})"),
        ]);
    }
    for (extra, name) in kind.extras.iter().zip(kind.extra_columns()) {
        updates.push(match extra.is_sum {
            true => format!("{name} = min({name} + excluded.{name}, {})", most(extra, tier)),
            false => format!("{name} = max({name}, excluded.{name})"),
        });
    }
    format!(
        "INSERT INTO {} (start, {}{also}) VALUES ({marks}{its}) ON CONFLICT DO UPDATE SET {}",
        kind.table(tier),
        columns.join(", "),
        updates.join(", ")
    )
}

fn delete(transaction: &Transaction<'_>, tier: i64, from: i64, to: i64) -> Result<()> {
    for kind in [&INTERFACE, &HOST] {
        let (table, any) = (kind.table(tier), kind.any());
        let sql = format!("DELETE FROM {table} WHERE {any} AND start >= ?1 AND start < ?2");
        transaction.prepare_cached(&sql)?.execute((from, to))?;
    }
    Ok(())
}
