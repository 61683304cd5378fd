//! The tiers in the database: which are written, and which spans they hold.

use rusqlite::{Connection, OptionalExtension, Result, Row as SqlRow, Transaction};

use super::kind::{INTERFACE, Kind};
use super::rows::{Cell, Row};
use super::schema;
use crate::config::Tier;

/// A tier that is written to disk.
#[derive(Clone, Debug)]
pub(super) struct StoredTier {
    pub(super) name: String,
    /// Length of an interval.
    pub(super) seconds: i64,
    /// How long intervals are kept, seconds.
    pub(super) keep: i64,
    /// All rows of the tier since this time are there; older ones may be. A multiple of the next
    /// tier's length.
    pub(super) kept_since: i64,
}

impl StoredTier {
    pub(super) fn start_of(&self, time: i64) -> i64 {
        time.div_euclid(self.seconds) * self.seconds
    }
}

/// The tiers that are being written, finest first.
pub(super) fn stored(connection: &Connection) -> Result<Vec<StoredTier>> {
    let sql = "SELECT name, seconds, kept_since FROM tier WHERE kept_since <> ?1 ORDER BY seconds";
    let tier = |row: &SqlRow<'_>| {
        Ok(StoredTier {
            name: row.get(0)?,
            seconds: row.get(1)?,
            keep: i64::MAX,
            kept_since: row.get(2)?,
        })
    };
    connection.prepare_cached(sql)?.query_map([DORMANT], tier)?.collect()
}

/// Updates the table of tiers to the configuration; a tier is identified by its length. Returns the
/// tiers, and the indices of those that are new or come back.
pub(super) fn sync(
    transaction: &Transaction<'_>,
    wanted: &[Tier],
) -> Result<(Vec<StoredTier>, Vec<usize>)> {
    let mut tiers: Vec<StoredTier> = Vec::new();
    let mut added = Vec::new();
    let mut is_changed = false;
    for tier in wanted.iter().filter(|tier| !tier.in_memory) {
        let seconds = i64::from(tier.seconds);
        let sql = "SELECT name, kept_since FROM tier WHERE seconds = ?1";
        let known = transaction.query_row(sql, [seconds], |row| Ok((row.get(0)?, row.get(1)?)));
        let known: Option<(String, i64)> = known.optional()?;
        let kept_since = match &known {
            Some((_, kept_since)) if *kept_since != DORMANT => *kept_since,
            _ => {
                added.push(tiers.len());
                // Before this there may be coarser rows without finer ones.
                match tiers.last() {
                    Some(finer) => round_up(finer.kept_since, seconds),
                    None => any_newest(transaction)?.map_or(0, |end| round_up(end, seconds)),
                }
            }
        };
        if known.is_none() {
            schema::make_tables(transaction, seconds)?;
        }
        if known != Some((tier.name.clone(), kept_since)) {
            is_changed = true;
            let sql = "INSERT INTO tier (seconds, name, kept_since) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET name = excluded.name, kept_since = excluded.kept_since";
            transaction.execute(sql, (seconds, &tier.name, kept_since))?;
        }
        let keep = i64::try_from(tier.keep.as_secs()).unwrap_or(i64::MAX);
        tiers.push(StoredTier { name: tier.name.clone(), seconds, keep, kept_since });
    }
    // A tier that is no longer written will have a gap if it ever comes back. Names are unique: a
    // query for `hour` must not get two tiers from the views, each with the whole traffic.
    let all = all_lengths(transaction)?;
    for seconds in all.into_iter().filter(|s| tiers.iter().all(|tier| tier.seconds != *s)) {
        let sql = "UPDATE tier SET kept_since = ?2 WHERE seconds = ?1 AND kept_since <> ?2";
        transaction.execute(sql, (seconds, DORMANT))?;
        let sql = "UPDATE tier SET name = name || '-' || seconds WHERE seconds = ?1
            AND EXISTS (SELECT 1 FROM tier other WHERE other.name = tier.name
                AND other.seconds <> ?1)";
        // Lengthen the name until it is unique.
        while transaction.execute(sql, [seconds])? > 0 {
            is_changed = true;
        }
    }
    if is_changed {
        schema::make_views(transaction)?;
    }
    Ok((tiers, added))
}

/// `kept_since` of a tier that the configuration does not have (any more).
const DORMANT: i64 = -1;

pub(super) fn round_up(time: i64, seconds: i64) -> i64 {
    time.saturating_add(seconds - 1).div_euclid(seconds) * seconds
}

/// The lengths of all tiers that have tables, in seconds.
pub(super) fn all_lengths(connection: &Connection) -> Result<Vec<i64>> {
    let mut all = connection.prepare("SELECT seconds FROM tier ORDER BY seconds")?;
    all.query_map([], |row| row.get(0))?.collect()
}

/// The end of the second in which the newest interval of any tier begins: what arrives later is in
/// later intervals of a new tier.
fn any_newest(connection: &Connection) -> Result<Option<i64>> {
    let mut end = None;
    for seconds in all_lengths(connection)? {
        end = end.max(newest(connection, seconds)?.map(|start| start + 1));
    }
    Ok(end)
}

/// Start of the newest interval of a tier.
pub(super) fn newest(connection: &Connection, seconds: i64) -> Result<Option<i64>> {
    let sql = format!("SELECT max(start) FROM {}", INTERFACE.table(seconds));
    connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))
}

/// Start of the oldest interval of a tier.
pub(super) fn first(connection: &Connection, seconds: i64) -> Result<Option<i64>> {
    let sql = format!("SELECT min(start) FROM {}", INTERFACE.table(seconds));
    connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))
}

/// Starts of the intervals of a tier from `from` on.
pub(super) fn starts(connection: &Connection, seconds: i64, from: i64) -> Result<Vec<i64>> {
    let table = INTERFACE.table(seconds);
    let sql = format!("SELECT DISTINCT start FROM {table} WHERE start >= ?1 ORDER BY start");
    connection.prepare_cached(&sql)?.query_map([from], |row| row.get(0))?.collect()
}

/// Reads the parts of a key, which begin at column `at`; further ones stay 0.
pub(super) fn read_key<const N: usize>(
    row: &SqlRow<'_>,
    at: usize,
    parts: usize,
) -> Result<[i64; N]> {
    let mut key = [0; N];
    for (n, part) in key.iter_mut().take(parts).enumerate() {
        *part = row.get(at + n)?;
    }
    Ok(key)
}

/// Reads the columns of [`Kind::values`], which begin at column `at`.
pub(super) fn read_values(kind: &Kind, row: &SqlRow<'_>, mut at: usize) -> Result<Row> {
    let mut next = || -> Result<i64> {
        at += 1;
        row.get(at - 1)
    };
    let mut number = || next().map(i64::cast_unsigned);
    let mut cells = Vec::with_capacity(kind.ways.len());
    for _ in kind.ways {
        let (packets, bytes) = (number()?, number()?);
        cells.push(Cell { packets, bytes, least: number()?, greatest: number()? });
    }
    let extras = kind.extras.iter().map(|_| next()).collect::<Result<_>>()?;
    Ok(Row { cells, extras, parts: 1 })
}
