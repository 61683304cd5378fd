//! The tiers as the database has them.

use rusqlite::{Connection, OptionalExtension, Result, Row as SqlRow, Transaction};

use super::kind::{Key, Kind};
use super::rows::{Cell, Row};
use crate::config::Tier;

/// A tier that is written to disk.
#[derive(Clone, Debug)]
pub(super) struct StoredTier {
    pub(super) id: i64,
    pub(super) name: String,
    /// Length of an interval.
    pub(super) seconds: i64,
    /// How long intervals are kept, seconds.
    pub(super) keep: i64,
    /// From this time on all rows of the tier are there.
    pub(super) kept_since: i64,
}

impl StoredTier {
    pub(super) fn start_of(&self, time: i64) -> i64 {
        time.div_euclid(self.seconds) * self.seconds
    }
}

/// The tiers that are being written, finest first.
pub(super) fn stored(connection: &Connection) -> Result<Vec<StoredTier>> {
    let sql =
        "SELECT id, name, seconds, kept_since FROM tier WHERE kept_since <> ?1 ORDER BY seconds";
    let tier = |row: &SqlRow<'_>| {
        Ok(StoredTier {
            id: row.get(0)?,
            name: row.get(1)?,
            seconds: row.get(2)?,
            keep: i64::MAX,
            kept_since: row.get(3)?,
        })
    };
    connection.prepare_cached(sql)?.query_map([DORMANT], tier)?.collect()
}

/// Makes the table of tiers what the configuration wants; a tier is known by its length.
/// Returns the tiers, and the places of those that are new above a finer one with history.
pub(super) fn sync(
    transaction: &Transaction<'_>,
    wanted: &[Tier],
) -> Result<(Vec<StoredTier>, Vec<usize>)> {
    let mut tiers: Vec<StoredTier> = Vec::new();
    let mut added = Vec::new();
    for tier in wanted.iter().filter(|tier| !tier.in_memory) {
        let seconds = i64::from(tier.seconds);
        let sql = "SELECT id, kept_since FROM tier WHERE seconds = ?1";
        let known = transaction.query_row(sql, [seconds], |row| Ok((row.get(0)?, row.get(1)?)));
        let known: Option<(i64, i64)> = known.optional()?;
        let (id, kept_since) = match known {
            Some((id, kept_since)) if kept_since != DORMANT => (id, kept_since),
            _ => {
                // Before that there may be coarser rows whose finer rows are unknown.
                let kept_since = match tiers.last() {
                    Some(finer) => round_up(finer.kept_since, seconds),
                    None => {
                        any_newest(transaction)?.map_or(0, |newest| round_up(newest + 1, seconds))
                    }
                };
                let sql = "INSERT INTO tier (id, name, seconds, kept_since) VALUES (?1, ?2, ?3, ?4)
                    ON CONFLICT DO UPDATE SET kept_since = excluded.kept_since";
                let id = known.map(|(id, _)| id);
                transaction.execute(sql, (id, &tier.name, seconds, kept_since))?;
                added.push(tiers.len());
                (id.unwrap_or_else(|| transaction.last_insert_rowid()), kept_since)
            }
        };
        let sql = "UPDATE tier SET name = ?2 WHERE id = ?1 AND name <> ?2";
        transaction.execute(sql, (id, &tier.name))?;
        let keep = i64::try_from(tier.keep.as_secs()).unwrap_or(i64::MAX);
        tiers.push(StoredTier { id, name: tier.name.clone(), seconds, keep, kept_since });
    }
    // What is no longer written has a gap should it ever come back.
    let mut all = transaction.prepare("SELECT id FROM tier")?;
    let all: Vec<i64> = all.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
    for id in all.into_iter().filter(|id| tiers.iter().all(|tier| tier.id != *id)) {
        let sql = "UPDATE tier SET kept_since = ?2 WHERE id = ?1 AND kept_since <> ?2";
        transaction.execute(sql, (id, DORMANT))?;
    }
    Ok((tiers, added))
}

/// `kept_since` of a tier that the configuration does not have (any more).
const DORMANT: i64 = -1;

pub(super) fn round_up(time: i64, seconds: i64) -> i64 {
    time.saturating_add(seconds - 1).div_euclid(seconds) * seconds
}

/// The end of what is there in any tier.
fn any_newest(connection: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT max(x.start) FROM traffic_interface x";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Start of the newest interval of a tier.
pub(super) fn newest(connection: &Connection, tier: i64) -> Result<Option<i64>> {
    let sql = "SELECT max(start) FROM traffic_interface WHERE tier = ?1";
    connection.prepare_cached(sql)?.query_row([tier], |row| row.get(0))
}

/// Start of the oldest interval of a tier.
pub(super) fn first(connection: &Connection, tier: i64) -> Result<Option<i64>> {
    let sql = "SELECT min(start) FROM traffic_interface WHERE tier = ?1";
    connection.prepare_cached(sql)?.query_row([tier], |row| row.get(0))
}

/// Starts of the intervals of a tier from `from` on; the newest one only for `i64::MIN`.
pub(super) fn starts(connection: &Connection, tier: i64, from: i64) -> Result<Vec<i64>> {
    if from == i64::MIN {
        return Ok(newest(connection, tier)?.into_iter().collect());
    }
    let sql = "SELECT DISTINCT start FROM traffic_interface WHERE tier = ?1 AND start >= ?2";
    connection.prepare_cached(sql)?.query_map((tier, from), |row| row.get(0))?.collect()
}

/// Reads the columns of a kind, the first of which is at `at`.
pub(super) fn read_row(kind: &Kind, row: &SqlRow<'_>, mut at: usize) -> Result<(Key, Row)> {
    let mut next = || -> Result<i64> {
        at += 1;
        row.get(at - 1)
    };
    let mut key = [0; 3];
    for part in key.iter_mut().take(kind.keys.len()) {
        *part = next()?;
    }
    let mut number = || next().map(i64::cast_unsigned);
    let mut cells = Vec::with_capacity(kind.ways.len());
    for _ in kind.ways {
        let (packets, bytes) = (number()?, number()?);
        cells.push(Cell { packets, bytes, least: number()?, greatest: number()? });
    }
    let extras = kind.extras.iter().map(|_| next()).collect::<Result<_>>()?;
    Ok((key, Row { cells, extras, parts: 1 }))
}
