//! Visits the rows of a question, in the database and in memory. Runs on the thread that asks.

use std::sync::Arc;

use rusqlite::{Connection, Row as SqlRow};

use super::grid::Grid;
use super::hosts;
use super::kind::{INTERFACE, Key, Kind};
use super::recent::Packed;
use super::rows::{Interval, Row};
use super::tiers::read_row;

/// The newest history in memory, in the order of time: shared with the store, not copied, and
/// unpacked an interval at a time.
pub(super) enum Memory {
    /// Intervals that are not in the database yet.
    Pending(Vec<Arc<Interval>>),
    /// The tier that lives in memory.
    Fine(Vec<Packed>),
}

impl Memory {
    fn len(&self) -> usize {
        match self {
            Memory::Pending(intervals) => intervals.len(),
            Memory::Fine(intervals) => intervals.len(),
        }
    }

    fn start(&self, at: usize) -> i64 {
        match self {
            Memory::Pending(intervals) => intervals[at].start,
            Memory::Fine(intervals) => intervals[at].start,
        }
    }

    fn visit(&self, at: usize, kind: &Kind, visit: &mut dyn FnMut(i64, Key, &Row)) {
        let mut each = |interval: &Interval| {
            interval.rows[kind.at].0.iter().for_each(|(key, row)| visit(interval.start, *key, row));
        };
        match self {
            Memory::Pending(intervals) => each(&intervals[at]),
            Memory::Fine(intervals) => each(&intervals[at].unpack()),
        }
    }
}

/// Which rows of a kind.
pub(super) enum Only<'a> {
    /// All.
    All,
    /// These, and the kind's "none".
    Keys(&'a [Key]),
    /// The services of this host, the hosts of this service, or both.
    Services { host: Option<[i64; 3]>, service: Option<i64> },
}

impl Only<'_> {
    fn wants(&self, kind: &Kind, key: &Key) -> bool {
        match self {
            Only::All => true,
            Only::Keys(keys) => keys.contains(key) || Some(*key) == kind.none,
            Only::Services { host, service } => {
                host.is_none_or(|host| host == key[..3])
                    && service.is_none_or(|service| service == key[3])
            }
        }
    }

    /// The statement, which selects start and then `columns`; `None` if no row can exist.
    fn sql(
        &self,
        connection: &Connection,
        kind: &'static Kind,
        seconds: i64,
        columns: &str,
    ) -> rusqlite::Result<Option<String>> {
        let (source, condition) = (kind.source(seconds), kind.condition());
        let all = |more: &str| {
            format!(
                "SELECT start, {columns} FROM {source}
                 WHERE start >= ?1 AND start < ?2 AND {condition}{more} ORDER BY start"
            )
        };
        Ok(Some(match self {
            Only::All | Only::Services { host: None, service: None } => all(""),
            Only::Services { host: None, service: Some(service) } => {
                all(&format!(" AND k2 = {service}"))
            }
            Only::Services { host: Some(host), service } => {
                let Some(id) = hosts::find(connection, *host)? else { return Ok(None) };
                let mut names = vec!["k1"];
                names.extend(service.map(|_| "k2"));
                let values = [Some(id), *service].into_iter().flatten().collect();
                seek(kind, seconds, columns, &names, &[values])
            }
            Only::Keys(keys) => {
                let names = kind.key_columns();
                let wanted: rusqlite::Result<Vec<Vec<i64>>> = keys
                    .iter()
                    .filter(|key| Some(**key) != kind.none)
                    .chain(&kind.none)
                    .map(|key| match kind.is_interned() {
                        // An unknown host becomes 0, which is no row's number.
                        true => {
                            let id = hosts::find(connection, [key[0], key[1], key[2]])?;
                            Ok(vec![id.unwrap_or(0), key[3]])
                        }
                        false => Ok(key[..names.len()].to_vec()),
                    })
                    .collect();
                let wanted = wanted?;
                if wanted.is_empty() {
                    return Ok(None);
                }
                seek(kind, seconds, columns, names, &wanted)
            }
        }))
    }
}

/// The statement for a few keys: one look-up in the index for each key and interval, instead of
/// reading all rows.
fn seek(
    kind: &Kind,
    seconds: i64,
    columns: &str,
    names: &[&str],
    wanted_keys: &[Vec<i64>],
) -> String {
    let values = |key: &Vec<i64>| {
        let values: Vec<String> = key.iter().map(i64::to_string).collect();
        format!("({})", values.join(", "))
    };
    let keys: Vec<String> = wanted_keys.iter().map(values).collect();
    let wanted: Vec<String> = (1..=names.len()).map(|at| format!("wanted_{at}")).collect();
    let equal: Vec<String> =
        names.iter().zip(&wanted).map(|(name, wanted)| format!("{name} = {wanted}")).collect();
    format!(
        "WITH wanted({wanted}) AS (VALUES {keys}),
            interval(at) AS (SELECT DISTINCT start FROM {interfaces}
                WHERE start >= ?1 AND start < ?2 ORDER BY start)
         SELECT start, {columns} FROM interval CROSS JOIN wanted CROSS JOIN {source}
         WHERE start = at AND {condition} AND {equal}",
        wanted = wanted.join(", "),
        keys = keys.join(", "),
        interfaces = INTERFACE.table(seconds),
        source = kind.source(seconds),
        condition = kind.condition(),
        equal = equal.join(" AND "),
    )
}

/// Runs a statement and passes every row to `each`.
fn read(
    connection: &Connection,
    sql: &str,
    (from, to): (i64, i64),
    mut each: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    // Not cached: every question has its own statement.
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((from, to))?;
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}

/// Visits the rows of a kind in the order of time: the source (the length of its tier; 0 for
/// memory), the start of the interval, the key, the row.
pub(super) fn each(
    connection: &Connection,
    grid: &Grid,
    kind: &'static Kind,
    only: &Only<'_>,
    memory: &Memory,
    mut visit: impl FnMut(i64, i64, Key, &Row),
) -> rusqlite::Result<()> {
    let columns = kind.parts().join(", ");
    let mut waiting = 0;
    for (seconds, from, to) in &grid.segments {
        let Some(sql) = only.sql(connection, kind, *seconds, &columns)? else { continue };
        read(connection, &sql, (*from, *to), |row| {
            let start: i64 = row.get(0)?;
            while waiting < memory.len() && memory.start(waiting) < start {
                visit_memory(memory, waiting, kind, only, &mut visit);
                waiting += 1;
            }
            let (key, values) = read_row(kind, row, 1)?;
            visit(*seconds, start, key, &values);
            Ok(())
        })?;
    }
    (waiting..memory.len()).for_each(|at| visit_memory(memory, at, kind, only, &mut visit));
    Ok(())
}

fn visit_memory(
    memory: &Memory,
    at: usize,
    kind: &'static Kind,
    only: &Only<'_>,
    visit: &mut impl FnMut(i64, i64, Key, &Row),
) {
    memory.visit(at, kind, &mut |start, key, row| {
        if only.wants(kind, &key) {
            visit(0, start, key, row);
        }
    });
}

/// Visits the keys and bytes of rows, all ways together, in no order. Reads less than [`each`].
pub(super) fn each_bytes(
    connection: &Connection,
    grid: &Grid,
    kind: &'static Kind,
    only: &Only<'_>,
    memory: &Memory,
    visit: &mut dyn FnMut(Key, u64),
) -> rusqlite::Result<()> {
    let parts = kind.parts();
    let ways: Vec<String> = kind.endings().iter().map(|way| format!("bytes{way}")).collect();
    let columns = format!("{}, {}", parts[..kind.keys.len()].join(", "), ways.join(" + "));
    for (seconds, from, to) in &grid.segments {
        let Some(sql) = only.sql(connection, kind, *seconds, &columns)? else { continue };
        read(connection, &sql, (*from, *to), |row| {
            let mut key: Key = [0; 4];
            for (at, part) in key.iter_mut().take(kind.keys.len()).enumerate() {
                *part = row.get(1 + at)?;
            }
            let bytes: i64 = row.get(1 + kind.keys.len())?;
            visit(key, bytes.cast_unsigned());
            Ok(())
        })?;
    }
    for at in 0..memory.len() {
        memory.visit(at, kind, &mut |start, key, row| {
            if only.wants(kind, &key) && grid.point(start).is_some() {
                visit(key, row.bytes());
            }
        });
    }
    Ok(())
}
