//! Visits the rows of a question, in the database and in memory. Runs on the thread that asks.

use std::borrow::Cow;
use std::sync::Arc;

use rusqlite::{Connection, Row as SqlRow};

use super::grid::Grid;
use super::kind::{INTERFACE, Key, Kind, NONE, Stored};
use super::numbers::Numbers;
use super::recent::Packed;
use super::rows::{Interval, Row};
use super::tiers::{read_key, read_values};

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

    fn visit(&self, at: usize, kind: &Kind, visit: &mut dyn FnMut(i64, &Key, &Row)) {
        let mut each = |interval: &Interval| {
            interval.rows[kind.at].0.iter().for_each(|(key, row)| visit(interval.start, key, row));
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
    Keys(Cow<'a, [Stored]>),
    /// The services of the host with this number, the hosts of this service, or both.
    Services { host: Option<i64>, service: Option<i64> },
}

impl Only<'_> {
    fn wants(&self, kind: &Kind, key: &Stored) -> bool {
        match self {
            Only::All => true,
            Only::Keys(keys) => keys.contains(key) || kind.is_none(key[0]),
            Only::Services { host, service } => {
                host.is_none_or(|host| host == key[0])
                    && service.is_none_or(|service| service == key[1])
            }
        }
    }

    /// The statement, which selects start and then `columns`; `None` if no row can exist.
    fn sql(&self, kind: &'static Kind, seconds: i64, columns: &str) -> Option<String> {
        let (table, condition) = (kind.table(seconds), kind.condition());
        let all = |more: &str| {
            format!(
                "SELECT start, {columns} FROM {table}
                 WHERE start >= ?1 AND start < ?2 AND {condition}{more} ORDER BY start"
            )
        };
        let names = kind.key_columns();
        Some(match self {
            Only::All | Only::Services { host: None, service: None } => all(""),
            Only::Services { host: None, service: Some(service) } => {
                all(&format!(" AND k2 = {service}"))
            }
            Only::Services { host: Some(host), service } => {
                let values: Vec<i64> = [*host].into_iter().chain(*service).collect();
                seek(kind, seconds, columns, &names[..values.len()], &[values])
            }
            Only::Keys(keys) => {
                let none: &[Stored] = if kind.has_none { &[[NONE, 0, 0]] } else { &[] };
                let other_keys = keys.iter().filter(|key| !kind.is_none(key[0]));
                let wanted: Vec<Vec<i64>> =
                    other_keys.chain(none).map(|key| key[..names.len()].to_vec()).collect();
                if wanted.is_empty() {
                    return None;
                }
                seek(kind, seconds, columns, names, &wanted)
            }
        })
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
         SELECT start, {columns} FROM interval CROSS JOIN wanted CROSS JOIN {table}
         WHERE start = at AND {condition} AND {equal}",
        wanted = wanted.join(", "),
        keys = keys.join(", "),
        interfaces = INTERFACE.table(seconds),
        table = kind.table(seconds),
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

/// The history that a question reads.
pub(super) struct Scan<'a> {
    pub(super) connection: &'a Connection,
    pub(super) grid: &'a Grid,
    pub(super) memory: &'a Memory,
    pub(super) numbers: Numbers<'a>,
}

impl Scan<'_> {
    /// Visits the rows of a kind in the order of time: the source (the length of its tier; 0 for
    /// memory), the start of the interval, the key, the row.
    pub(super) fn each(
        &self,
        kind: &'static Kind,
        only: &Only<'_>,
        mut visit: impl FnMut(i64, i64, Stored, &Row),
    ) -> rusqlite::Result<()> {
        let columns = kind.columns().join(", ");
        let keys = kind.key_columns().len();
        let mut waiting = 0;
        for (seconds, from, to) in &self.grid.segments {
            let Some(sql) = only.sql(kind, *seconds, &columns) else { continue };
            read(self.connection, &sql, (*from, *to), |row| {
                let start: i64 = row.get(0)?;
                while waiting < self.memory.len() && self.memory.start(waiting) < start {
                    self.each_in_memory(waiting, kind, only, &mut visit)?;
                    waiting += 1;
                }
                let values = read_values(kind, row, 1 + keys)?;
                visit(*seconds, start, read_key(row, 1, keys)?, &values);
                Ok(())
            })?;
        }
        (waiting..self.memory.len())
            .try_for_each(|at| self.each_in_memory(at, kind, only, &mut visit))
    }

    fn each_in_memory(
        &self,
        at: usize,
        kind: &'static Kind,
        only: &Only<'_>,
        visit: &mut impl FnMut(i64, i64, Stored, &Row),
    ) -> rusqlite::Result<()> {
        let mut result = Ok(());
        self.memory.visit(at, kind, &mut |start, key, row| match self.numbers.stored(kind, key) {
            Ok(key) if only.wants(kind, &key) => visit(0, start, key, row),
            Ok(_) => {}
            Err(error) => result = Err(error),
        });
        result
    }

    /// Visits the keys and bytes of rows, all ways together, in no order. Reads less than
    /// [`Scan::each`].
    pub(super) fn each_bytes(
        &self,
        kind: &'static Kind,
        only: &Only<'_>,
        visit: &mut dyn FnMut(Stored, u64),
    ) -> rusqlite::Result<()> {
        let keys = kind.key_columns();
        let ways: Vec<String> = kind.endings().iter().map(|way| format!("bytes{way}")).collect();
        let columns = format!("{}, {}", keys.join(", "), ways.join(" + "));
        for (seconds, from, to) in &self.grid.segments {
            let Some(sql) = only.sql(kind, *seconds, &columns) else { continue };
            read(self.connection, &sql, (*from, *to), |row| {
                let bytes: i64 = row.get(1 + keys.len())?;
                visit(read_key(row, 1, keys.len())?, bytes.cast_unsigned());
                Ok(())
            })?;
        }
        (0..self.memory.len()).try_for_each(|at| {
            self.each_in_memory(at, kind, only, &mut |_, start, key, row| {
                if self.grid.point(start).is_some() {
                    visit(key, row.bytes());
                }
            })
        })
    }
}
