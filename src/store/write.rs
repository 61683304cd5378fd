//! Writing closed intervals.

use std::collections::VecDeque;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Result, Transaction, params};

use super::schema::{NONE, OTHER};
use crate::account::{ClosedInterval, InOut, Volume};
use crate::decode::Mac;

/// The id of the minute tier.
const MINUTE: i64 = 1;
/// Seconds of history that one commit deletes at most, so that none takes long.
const DELETED_AT_ONCE: i64 = 3_600;

const PUT_INTERFACE: &str = "
    INSERT INTO traffic_interface VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT DO UPDATE SET
        packets_in = packets_in + excluded.packets_in,
        bytes_in = bytes_in + excluded.bytes_in,
        packets_out = packets_out + excluded.packets_out,
        bytes_out = bytes_out + excluded.bytes_out,
        packets_internal = packets_internal + excluded.packets_internal,
        bytes_internal = bytes_internal + excluded.bytes_internal,
        packets_transit = packets_transit + excluded.packets_transit,
        bytes_transit = bytes_transit + excluded.bytes_transit,
        packets_none = packets_none + excluded.packets_none,
        bytes_none = bytes_none + excluded.bytes_none,
        dropped = dropped + excluded.dropped";

const PUT_HOST: &str = "
    INSERT INTO traffic_host VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT DO UPDATE SET
        packets_in = packets_in + excluded.packets_in,
        bytes_in = bytes_in + excluded.bytes_in,
        packets_out = packets_out + excluded.packets_out,
        bytes_out = bytes_out + excluded.bytes_out";

const PUT_PORT: &str = "
    INSERT INTO traffic_port VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes";

const PUT_PROTOCOL: &str = "
    INSERT INTO traffic_protocol VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET packets = packets + excluded.packets, bytes = bytes + excluded.bytes";

/// SQLite's integers are signed; 2^63 bytes are 29 years at 100 Gbit/s.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes intervals in one transaction, and deletes minutes older than `keep`.
///
/// # Errors
/// Whatever SQLite says; nothing has been written then.
pub(super) fn write(
    connection: &mut Connection,
    intervals: &VecDeque<ClosedInterval>,
    keep: Duration,
) -> Result<()> {
    let Some(newest) = intervals.iter().map(|interval| interval.start).max() else {
        return Ok(());
    };
    connection.set_prepared_statement_cache_capacity(32);
    let transaction = connection.transaction()?;
    for interval in intervals {
        write_interval(&transaction, interval)?;
    }
    let keep = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    delete_old(&transaction, newest.saturating_sub(keep))?;
    transaction.commit()?;
    // Gives freed pages back to the file system, a few at a time.
    connection.query_row("PRAGMA incremental_vacuum(64)", [], |_| Ok(())).optional()?;
    Ok(())
}

fn write_interval(transaction: &Transaction<'_>, interval: &ClosedInterval) -> Result<()> {
    let start = interval.start;
    let mut put = transaction.prepare_cached(PUT_INTERFACE)?;
    for row in &interval.interfaces {
        let id = interface_id(transaction, &row.name)?;
        let [inward, outward, internal, transit, none] =
            row.directions.map(|volume| (int(volume.packets), int(volume.bytes)));
        put.execute(params![
            MINUTE,
            start,
            id,
            inward.0,
            inward.1,
            outward.0,
            outward.1,
            internal.0,
            internal.1,
            transit.0,
            transit.1,
            none.0,
            none.1,
            int(row.dropped)
        ])?;
    }
    let mut put = transaction.prepare_cached(PUT_HOST)?;
    for row in &interval.hosts {
        let id = host_id(transaction, &row.address.to_string(), row.mac)?;
        put_host(&mut put, start, id, row.traffic)?;
    }
    let not_ip = interval.not_ip();
    put_host(&mut put, start, OTHER, interval.other_hosts)?;
    put_host(&mut put, start, NONE, InOut { received: not_ip, sent: not_ip })?;

    let mut put = transaction.prepare_cached(PUT_PORT)?;
    for row in &interval.ports {
        let key = i64::from(row.transport.number()) << 16 | i64::from(row.port);
        put_volume(&mut put, start, key, row.volume)?;
    }
    put_volume(&mut put, start, OTHER, interval.other_ports)?;
    put_volume(&mut put, start, NONE, interval.without_port)?;

    let mut put = transaction.prepare_cached(PUT_PROTOCOL)?;
    for row in &interval.protocols {
        put_volume(&mut put, start, i64::from(row.number), row.volume)?;
    }
    put_volume(&mut put, start, NONE, not_ip)
}

fn put_host(put: &mut CachedStatement<'_>, start: i64, id: i64, traffic: InOut) -> Result<()> {
    if traffic.is_zero() {
        return Ok(());
    }
    let (received, sent) = (traffic.received, traffic.sent);
    put.execute(params![
        MINUTE,
        start,
        id,
        int(received.packets),
        int(received.bytes),
        int(sent.packets),
        int(sent.bytes)
    ])?;
    Ok(())
}

fn put_volume(put: &mut CachedStatement<'_>, start: i64, key: i64, volume: Volume) -> Result<()> {
    if !volume.is_zero() {
        put.execute(params![MINUTE, start, key, int(volume.packets), int(volume.bytes)])?;
    }
    Ok(())
}

fn interface_id(transaction: &Transaction<'_>, name: &str) -> Result<i64> {
    let mut find = transaction.prepare_cached("SELECT id FROM interface WHERE name = ?1")?;
    if let Some(id) = find.query_row([name], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    transaction.execute("INSERT INTO interface (name) VALUES (?1)", [name])?;
    Ok(transaction.last_insert_rowid())
}

/// Finds or makes the host, and notes its hardware address if that is news.
fn host_id(transaction: &Transaction<'_>, address: &str, mac: Mac) -> Result<i64> {
    let mac = mac.is_known().then(|| mac.to_string());
    let mut find = transaction.prepare_cached("SELECT id, mac FROM host WHERE address = ?1")?;
    let found: Option<(i64, Option<String>)> =
        find.query_row([address], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        Some((id, known)) => {
            if mac.is_some() && mac != known {
                let mut set =
                    transaction.prepare_cached("UPDATE host SET mac = ?2 WHERE id = ?1")?;
                set.execute(params![id, mac])?;
            }
            Ok(id)
        }
        None => {
            let mut add =
                transaction.prepare_cached("INSERT INTO host (address, mac) VALUES (?1, ?2)")?;
            add.execute(params![address, mac])?;
            Ok(transaction.last_insert_rowid())
        }
    }
}

/// Deletes rows from before `oldest`, at most an hour of them.
fn delete_old(transaction: &Transaction<'_>, oldest: i64) -> Result<()> {
    for table in ["traffic_interface", "traffic_host", "traffic_port", "traffic_protocol"] {
        let sql = format!("SELECT min(start) FROM {table} WHERE tier = ?1");
        let first: Option<i64> = transaction.query_row(&sql, [MINUTE], |row| row.get(0))?;
        let Some(first) = first.filter(|first| *first < oldest) else {
            continue;
        };
        let end = oldest.min(first + DELETED_AT_ONCE);
        let sql = format!("DELETE FROM {table} WHERE tier = ?1 AND start < ?2");
        transaction.execute(&sql, [MINUTE, end])?;
    }
    Ok(())
}
