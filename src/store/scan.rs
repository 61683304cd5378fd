//! Visits the rows that a question is about, wherever they lie.

use rusqlite::Connection;

use super::grid::Grid;
use super::kind::{INTERFACE, Key, Kind};
use super::rows::{Interval, Row};
use super::tiers::read_row;

/// The statement for one key, and for frames that have no such thing: a look into the index
/// for each interval there is, instead of reading all rows.
fn seek(kind: &Kind, seconds: i64, key: Key, columns: &str) -> String {
    let names = kind.key_columns();
    let values = |key: Key| {
        let values: Vec<String> = key.iter().take(names.len()).map(i64::to_string).collect();
        format!("({})", values.join(", "))
    };
    let keys: Vec<String> = [Some(key), kind.none].into_iter().flatten().map(values).collect();
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

/// Visits the rows of a kind in the segments, then those in memory, in the order of time:
/// the source, the start of the interval, the key, the row.
pub(super) fn each(
    connection: &Connection,
    grid: &Grid,
    kind: &'static Kind,
    only: Option<Key>,
    memory: &[Interval],
    mut visit: impl FnMut(i64, i64, Key, Row),
) -> rusqlite::Result<()> {
    // With the row of frames that have no such thing, in the same pass.
    let is_wanted = |key: &Key| only.is_none_or(|only| only == *key) || Some(*key) == kind.none;
    let columns = kind.columns().join(", ");
    for (seconds, from, to) in &grid.segments {
        let table = kind.table(*seconds);
        let sql = match only {
            Some(key) => seek(kind, *seconds, key, &columns),
            None => format!(
                "SELECT start, {columns} FROM {table} WHERE start >= ?1 AND start < ?2 AND {}",
                kind.condition()
            ),
        };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((from, to))?;
        while let Some(row) = rows.next()? {
            let (key, values) = read_row(kind, row, 1)?;
            visit(*seconds, row.get(0)?, key, values);
        }
    }
    for interval in memory {
        for (key, row) in &interval.rows[kind.at].0 {
            if is_wanted(key) {
                visit(0, interval.start, *key, row.clone());
            }
        }
    }
    Ok(())
}
