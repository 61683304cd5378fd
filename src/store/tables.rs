//! Reads, adds and deletes whole intervals in the tables of a tier.

use rusqlite::{Connection, Result, Transaction, params_from_iter};

use super::hosts::Hosts;
use super::kind::{Extra, HOST, INTERFACE, KINDS, Kind};
use super::numbers::stored_key;
use super::rows::{Interval, Rows, int};
use super::tiers::{read_key, read_values};

/// Adds up a tier's intervals from `from` up to `to`, into one that begins at `from`. Returns their
/// number as well.
pub(super) fn read(
    connection: &Connection,
    tier: i64,
    from: i64,
    to: i64,
) -> Result<(Interval, u32)> {
    let mut sum = Interval { start: from, ..Interval::default() };
    for kind in KINDS {
        read_rows(connection, kind, tier, (from, to), &mut sum.rows[kind.at])?;
    }
    let table = INTERFACE.table(tier);
    let sql = format!("SELECT count(DISTINCT start) FROM {table} WHERE start >= ?1 AND start < ?2");
    let parts = connection.prepare_cached(&sql)?.query_row((from, to), |row| row.get(0))?;
    Ok((sum, parts))
}

/// Adds the rows of one kind, of a tier's intervals in a span.
pub(super) fn read_rows(
    connection: &Connection,
    kind: &Kind,
    tier: i64,
    span: (i64, i64),
    sum: &mut Rows,
) -> Result<()> {
    let sql = format!(
        "SELECT {} FROM {} WHERE start >= ?1 AND start < ?2 AND {}",
        kind.parts().join(", "),
        kind.source(tier),
        kind.condition()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(span)?;
    while let Some(row) = rows.next()? {
        let key = read_key(row, 0, kind.keys.len())?;
        sum.add(kind, key, read_values(kind, row, kind.keys.len())?);
    }
    Ok(())
}

/// Adds an interval's rows to those of a tier at `start`. `hosts` assigns the numbers of hosts.
pub(super) fn put(
    transaction: &Transaction<'_>,
    hosts: &mut Hosts,
    tier: i64,
    start: i64,
    interval: &Interval,
) -> Result<()> {
    for kind in KINDS {
        put_rows(transaction, hosts, kind, (tier, start), &interval.rows[kind.at])?;
    }
    Ok(())
}

/// Adds rows of one kind to those of a tier at `start`.
pub(super) fn put_rows(
    transaction: &Transaction<'_>,
    hosts: &mut Hosts,
    kind: &Kind,
    (tier, start): (i64, i64),
    rows: &Rows,
) -> Result<()> {
    if rows.0.is_empty() {
        return Ok(());
    }
    let mut sorted = Vec::with_capacity(rows.0.len());
    for (key, row) in &rows.0 {
        let stored = stored_key(kind, key, |address| hosts.number(transaction, address))?;
        sorted.push((stored, row));
    }
    // In the order of the table: SQLite fills a page that grows at its end, and splits others in
    // halves.
    sorted.sort_unstable_by_key(|(stored, _)| *stored);
    let mut statement = transaction.prepare_cached(&put_statement(kind, tier))?;
    for (stored, row) in sorted {
        let values = [start].into_iter();
        let values = values.chain(stored.into_iter().take(kind.key_columns().len()));
        let values = values.chain(
            row.cells
                .iter()
                .flat_map(|cell| [cell.packets, cell.bytes, cell.least, cell.greatest].map(int)),
        );
        let extras = row.extras.iter().zip(kind.extras);
        let extras = extras.map(|(value, extra)| (*value).min(most(extra, tier)));
        statement.execute(params_from_iter(values.chain(extras)))?;
    }
    Ok(())
}

/// The limit of an extra column. Where a clock that was set has put intervals on top of each other,
/// the time was covered once.
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

/// Deletes a tier's intervals from `from` up to `to`.
pub(super) fn delete(transaction: &Transaction<'_>, tier: i64, from: i64, to: i64) -> Result<()> {
    for kind in [&INTERFACE, &HOST] {
        let (table, any) = (kind.table(tier), kind.any());
        let sql = format!("DELETE FROM {table} WHERE {any} AND start >= ?1 AND start < ?2");
        transaction.prepare_cached(&sql)?.execute((from, to))?;
    }
    Ok(())
}
