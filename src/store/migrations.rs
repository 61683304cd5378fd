//! The steps from each version of the schema to the next, as [`super::schema::migrate`] does them.
//!
//! A released step never changes: there are databases that it has made. So it uses nothing that a
//! later version may change, such as the kinds of rows.

use rusqlite::{Result, Transaction};

/// Turns one version of the schema into the next.
pub(super) type Migration = fn(&Transaction<'_>) -> Result<()>;

/// One for each version; the first begins with an empty file. A released migration never changes:
/// there are databases that it has made.
pub(super) const MIGRATIONS: [Migration; 5] =
    [make_catalog, grade_events, number_hosts, add_evidence, number_all_hosts];

/// Version 1: the tables that belong to no tier.
fn make_catalog(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "CREATE TABLE tier (
            -- The length of its intervals.
            seconds INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            -- From this time on all rows of the tier are there; -1: it is no longer written.
            kept_since INTEGER NOT NULL
        );
        CREATE TABLE interface_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE device_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL, mac TEXT UNIQUE);
        CREATE TABLE host_mac (
            family INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
            mac TEXT NOT NULL,
            PRIMARY KEY (family, high, low)
        ) WITHOUT ROWID;
        CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            time INTEGER NOT NULL,
            kind TEXT NOT NULL,
            message TEXT NOT NULL
        );
        CREATE VIEW v_tier AS SELECT name AS tier, seconds, kept_since FROM tier;
        CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, kind, message FROM event;",
    )
}

/// Version 2: the severity of an event, so that scripts need not know every kind to come.
fn grade_events(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "ALTER TABLE event ADD COLUMN severity INTEGER NOT NULL DEFAULT 6;
         UPDATE event SET severity = CASE kind
            WHEN 'write_failed' THEN 3 WHEN 'database_damaged' THEN 3
            WHEN 'history_lost' THEN 4 WHEN 'clock_set_back' THEN 5 ELSE 6 END;
         DROP VIEW v_event;
         CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, severity, kind, message
            FROM event;",
    )
}

/// Version 3: numbers for hosts, which keep the row of a host and a service short. Such rows need
/// no new table: the tiers' tables have room for new kinds. SCTP ports, which older views call
/// "udp", need no step: every migration recreates the views.
fn number_hosts(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "CREATE TABLE host (
            id INTEGER PRIMARY KEY,
            -- As in host_mac.
            family INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL,
            UNIQUE (family, high, low)
        );",
    )
}

/// Version 4: whom an event is about, and its evidence. The sentence of an event is its reason now;
/// the view keeps the older name as well, and gets its new columns at the end, for scripts that
/// count them. Older events say all that they know in their sentence.
///
/// The column keeps its older name: to rename one, SQLite reads every view of the file, and fails if
/// an owner's own view is made of ours, which are not there during a migration.
fn add_evidence(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "DROP VIEW v_event;
         ALTER TABLE event ADD COLUMN subject TEXT;
         ALTER TABLE event ADD COLUMN peer TEXT;
         -- An object as JSON.
         ALTER TABLE event ADD COLUMN evidence TEXT;
         CREATE VIEW v_event AS
            SELECT time, datetime(time, 'unixepoch') AS time_utc, severity, kind,
                message, subject, peer, message AS reason, evidence
            FROM event;",
    )
}

/// Version 5: every row of a host holds its number, and a host its hardware address. The rows of
/// each tier are copied in their order, an interval at a time: no sorting, and full pages.
fn number_all_hosts(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute_batch(
        "ALTER TABLE host ADD COLUMN mac TEXT;
         INSERT INTO host (family, high, low, mac)
            SELECT family, high, low, mac FROM host_mac WHERE true
            ON CONFLICT (family, high, low) DO UPDATE SET mac = excluded.mac;
         DROP TABLE host_mac;
         -- Else SQLite would read the owner's own views when a table is renamed, see version 4.
         PRAGMA legacy_alter_table = ON;",
    )?;
    let tiers: Vec<i64> = transaction
        .prepare("SELECT seconds FROM tier ORDER BY seconds")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    tiers.into_iter().try_for_each(|seconds| number_hosts_of(transaction, seconds))?;
    transaction.execute_batch("PRAGMA legacy_alter_table = OFF;")
}

/// The same for one tier.
fn number_hosts_of(transaction: &Transaction<'_>, seconds: i64) -> Result<()> {
    // Only for tiers of this version: the table as it is made here never changes.
    let columns = "packets_in, bytes_in, least_in, greatest_in,
        packets_out, bytes_out, least_out, greatest_out, extra";
    let order = if seconds < 3_600 { "start, kind" } else { "kind, start" };
    transaction.execute_batch(&format!(
        "CREATE TABLE numbered (start INTEGER NOT NULL, kind INTEGER NOT NULL,
            k1 INTEGER NOT NULL DEFAULT 0, k2 INTEGER NOT NULL DEFAULT 0,
            k3 INTEGER NOT NULL DEFAULT 0, {},
            PRIMARY KEY ({order}, k1, k2, k3)) WITHOUT ROWID;",
        columns
            .split(',')
            .map(|column| format!("{} INTEGER NOT NULL DEFAULT 0", column.trim()))
            .collect::<Vec<_>>()
            .join(", ")
    ))?;
    let kinds: Vec<i64> = transaction
        .prepare(&format!("SELECT DISTINCT kind FROM traffic_{seconds} ORDER BY kind"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    // Hosts are kind 1; "other" (0) and "none" (-1) have no number.
    let mut host = transaction.prepare(&format!(
        "INSERT OR IGNORE INTO host (family, high, low)
            SELECT k1, k2, k3 FROM traffic_{seconds} WHERE kind = 1 AND start = ?1 AND k1 > 0"
    ))?;
    let mut hosts = transaction.prepare(&format!(
        "INSERT INTO numbered (start, kind, k1, k2, k3, {columns})
            SELECT start, kind, coalesce(h.id, t.k1), 0, 0, {columns}
            FROM traffic_{seconds} t LEFT JOIN host h
                ON t.k1 > 0 AND h.family = t.k1 AND h.high = t.k2 AND h.low = t.k3
            WHERE kind = 1 AND start = ?1 ORDER BY 3"
    ))?;
    let mut others = transaction.prepare(&format!(
        "INSERT INTO numbered (start, kind, k1, k2, k3, {columns})
            SELECT start, kind, k1, k2, k3, {columns} FROM traffic_{seconds}
            WHERE kind = ?2 AND start = ?1"
    ))?;
    // All kinds of an interval, or all intervals of a kind: as the key is ordered.
    let groups: Vec<Vec<i64>> = match seconds < 3_600 {
        true => vec![kinds],
        false => kinds.into_iter().map(|kind| vec![kind]).collect(),
    };
    for kinds in groups {
        let condition =
            if seconds < 3_600 { String::new() } else { format!("kind = {} AND", kinds[0]) };
        let next = format!("SELECT min(start) FROM traffic_{seconds} WHERE {condition} start > ?1");
        let mut next = transaction.prepare(&next)?;
        let mut start = i64::MIN;
        while let Some(at) = next.query_row([start], |row| row.get::<_, Option<i64>>(0))? {
            for kind in &kinds {
                if *kind == 1 {
                    host.execute([at])?;
                    hosts.execute([at])?;
                } else {
                    others.execute((at, kind))?;
                }
            }
            start = at;
        }
    }
    transaction.execute_batch(&format!(
        "DROP TABLE traffic_{seconds}; ALTER TABLE numbered RENAME TO traffic_{seconds};"
    ))
}
