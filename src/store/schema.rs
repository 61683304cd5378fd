//! The tables and views of the database, and the migrations that lead to them.
//!
//! Every column of a traffic table is an integer. Each tier has its own tables. The keys of fine
//! tiers start with time: a commit appends at the end, and an old hour is one run of pages. The
//! views combine the tiers; they are the contract for scripts.

use rusqlite::{Connection, Result, Transaction};

use super::kind::{HOST, INTERFACE, KINDS, Kind, SERVICE, SHARED_KEYS};
use crate::account::{Transport, protocol_name};

/// `PRAGMA application_id`: "bsta", so that file(1) and we know our own files.
pub const APPLICATION_ID: i32 = 0x6273_7461;

/// `PRAGMA user_version`: counts up with every migration.
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// The oldest schema that can be read as it is: a copy that was made before an upgrade. It has all
/// kinds of rows; only its events are shorter, see [`super::events`].
pub(super) const OLDEST_READ: i32 = 3;

/// Turns one version of the schema into the next.
type Migration = fn(&Transaction<'_>) -> Result<()>;

/// One for each version; the first begins with an empty file. A released migration never changes:
/// there are databases that it has made.
pub(super) const MIGRATIONS: [Migration; 4] =
    [make_catalog, grade_events, number_hosts, add_evidence];

/// Migrates the database from `version` to [`VERSION`] in one transaction.
///
/// # Errors
/// An error of SQLite; the database is then unchanged.
pub fn migrate(connection: &mut Connection, version: i32) -> Result<()> {
    migrate_by(connection, version, &MIGRATIONS)
}

pub(super) fn migrate_by(
    connection: &mut Connection,
    version: i32,
    migrations: &[Migration],
) -> Result<()> {
    let transaction = connection.transaction()?;
    let steps = migrations.iter().skip(usize::try_from(version).unwrap_or(0));
    // The views name every column and would block a step that changes one.
    drop_views(&transaction)?;
    for step in steps {
        step(&transaction)?;
    }
    if version > 0 {
        make_views(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", migrations.len() as i32)?;
    transaction.commit()
}

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

/// Tiers of this length or longer, seconds, sort rows by kind before time.
const COARSE: i64 = 3_600;

/// Creates the tables of a tier.
pub(super) fn make_tables(transaction: &Transaction<'_>, seconds: i64) -> Result<()> {
    let columns = |names: Vec<String>, default: &str| -> String {
        let columns: Vec<String> =
            names.iter().map(|column| format!("{column} INTEGER NOT NULL{default}")).collect();
        columns.join(", ")
    };
    // Hosts have every column but the keys of others; kinds with fewer leave the others 0.
    let keys = SHARED_KEYS.iter().map(|&key| key.to_owned());
    let all = keys.chain(HOST.values()).collect();
    let [interface, shared] = Kind::tables(seconds);
    // A table that grows at one end costs the fewest page writes, which matters in fine tiers: they
    // have many commits. Coarse tiers are asked for long spans of one kind.
    let order = if seconds < COARSE { "start, kind" } else { "kind, start" };
    transaction.execute_batch(&format!(
        "CREATE TABLE {interface} (start INTEGER NOT NULL, {}, PRIMARY KEY (start, interface))
            WITHOUT ROWID;
         CREATE TABLE {shared} (start INTEGER NOT NULL, kind INTEGER NOT NULL, {},
            PRIMARY KEY ({order}, k1, k2, k3)) WITHOUT ROWID;",
        columns(INTERFACE.columns(), ""),
        columns(all, " DEFAULT 0")
    ))
}

/// Recreates the views, over all tiers there are.
pub(super) fn make_views(transaction: &Transaction<'_>) -> Result<()> {
    drop_views(transaction)?;
    let mut tiers = transaction.prepare("SELECT seconds, name FROM tier ORDER BY seconds")?;
    let tiers: Vec<(i64, String)> =
        tiers.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    if tiers.is_empty() {
        // Without a tier there is no table to view. The first tier brings the views.
        return Ok(());
    }
    for kind in KINDS {
        let sql = format!("CREATE VIEW v_{} AS {}", kind.name, view(kind, &tiers));
        transaction.execute_batch(&sql)?;
    }
    Ok(())
}

fn drop_views(transaction: &Transaction<'_>) -> Result<()> {
    KINDS.iter().try_for_each(|kind| {
        transaction.execute_batch(&format!("DROP VIEW IF EXISTS v_{}", kind.name))
    })
}

/// The view of a kind over these tiers. Keys are turned into names once, around the rows of all
/// tiers: each connection keeps the text of its views in memory.
fn view(kind: &Kind, tiers: &[(i64, String)]) -> String {
    let parts: Vec<String> = tiers
        .iter()
        .map(|(seconds, name)| match kind == &SERVICE {
            true => services(*seconds, name),
            false => part_of_view(kind, *seconds, name),
        })
        .collect();
    format!("SELECT {} FROM ({}) x", names(kind).join(", "), parts.join(" UNION ALL "))
}

/// The columns of a kind's view, over the rows `x` of all its tiers.
fn names(kind: &Kind) -> Vec<String> {
    let mut columns: Vec<String> =
        ["tier", "seconds", "start", "datetime(start, 'unixepoch') AS start_utc"]
            .map(str::to_owned)
            .into();
    let transports = Transport::ALL
        .map(|transport| format!("WHEN {} THEN '{}'", transport.number(), transport.name()))
        .join(" ");
    match kind.name {
        "interface" => columns.push("name AS interface".to_owned()),
        "host" => {
            columns.push(format!("{ADDRESS} AS address, mac"));
            columns.push("CASE WHEN k1 > 0 THEN extra END AS local".to_owned());
        }
        "device" => columns.push(
            "CASE k1 WHEN 0 THEN 'other' WHEN -1 THEN 'none' ELSE name END AS device, mac"
                .to_owned(),
        ),
        "port" => columns.push(format!(
            "CASE WHEN k1 = 0 THEN 'other' WHEN k1 < 0 THEN 'none' \
             ELSE CASE k1 >> 16 {transports} END END AS protocol, \
             CASE WHEN k1 > 0 THEN k1 & 65535 END AS port"
        )),
        "service" => {
            columns.push(format!("{ADDRESS} AS address, mac"));
            columns.push("CASE WHEN k1 > 0 THEN extra END AS local".to_owned());
            columns.push(format!(
                "CASE WHEN service IS NULL THEN CASE WHEN k1 < 0 THEN 'none' ELSE 'other' END \
                 WHEN service < 0 THEN CASE -1 - service {} ELSE CAST(-1 - service AS TEXT) END \
                 ELSE CASE service >> 16 {transports} END END AS protocol, \
                 CASE WHEN service >= 0 THEN service & 65535 END AS port",
                protocols()
            ));
        }
        _ => columns.push(format!(
            "CASE k1 WHEN -1 THEN 'none' {} ELSE CAST(k1 AS TEXT) END AS protocol, \
             CASE WHEN k1 BETWEEN 0 AND 255 THEN k1 END AS number",
            protocols()
        )),
    }
    if kind.name == "interface" {
        for what in ["packets", "bytes"] {
            let all: Vec<String> = kind.ways.iter().map(|way| format!("{what}{way}")).collect();
            columns.push(format!("{} AS {what}", all.join(" + ")));
        }
    }
    for way in kind.ways {
        columns.push(format!("packets{way}, bytes{way}"));
        columns.push(format!("least{way} * 8 AS bits_per_second_min{way}"));
        columns.push(format!("greatest{way} * 8 AS bits_per_second_max{way}"));
    }
    if kind.name == "interface" {
        columns.push("dropped, covered / 1000.0 AS covered_seconds".to_owned());
    }
    columns
}

/// The names of the protocols, for a CASE. The others are shown by number.
fn protocols() -> String {
    let all = (0..=256).map(|number| (number, protocol_name(number)));
    let named = all.filter(|(number, name)| *name != number.to_string());
    let cases: Vec<String> =
        named.map(|(number, name)| format!("WHEN {number} THEN '{name}'")).collect();
    cases.join(" ")
}

/// One tier's part of the view of a kind.
fn part_of_view(kind: &Kind, seconds: i64, name: &str) -> String {
    let (keys, join) = match kind.name {
        "interface" => ("n.name, dropped, covered", " JOIN interface_name n ON n.id = x.interface"),
        "host" => (
            "x.k1, x.k2, x.k3, x.extra, n.mac",
            " LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3",
        ),
        "device" => ("x.k1, n.name, n.mac", " LEFT JOIN device_name n ON n.id = x.k1"),
        _ => ("x.k1", ""),
    };
    let (table, condition) = (kind.table(seconds), kind.condition());
    let cells: Vec<String> =
        kind.ways.iter().zip(kind.endings()).map(|(way, ending)| cells(way, ending)).collect();
    // The configuration allows letters, digits, '_' and '-' in names.
    format!(
        "SELECT '{name}' AS tier, {seconds} AS seconds, x.start, {keys}, {} \
         FROM {table} x{join} WHERE {condition}",
        cells.join(", ")
    )
}

/// The cells of one way, from the columns with this suffix.
fn cells(way: &str, ending: &str) -> String {
    let of = |what: &str| format!("x.{what}{ending} AS {what}{way}");
    ["packets", "bytes", "least", "greatest"].map(of).join(", ")
}

/// One tier's part of `v_service`: its rows, and the remainder of each row of `v_host`, so that
/// both views add up to the same.
fn services(seconds: i64, name: &str) -> String {
    let table = SERVICE.table(seconds);
    let own: Vec<String> = SERVICE
        .ways
        .iter()
        .zip(SERVICE.endings())
        .map(|(way, ending)| cells(way, ending))
        .collect();
    let rows = format!(
        "SELECT '{name}' AS tier, {seconds} AS seconds, x.start,
            h.family AS k1, h.high AS k2, h.low AS k3, x.extra, n.mac, x.k2 AS service, {own}
         FROM {table} x CROSS JOIN host h ON h.id = x.k1
            LEFT JOIN host_mac n ON n.family = h.family AND n.high = h.high AND n.low = h.low
         WHERE x.kind = {service}",
        own = own.join(", "),
        service = SERVICE.at,
    );
    let left = |column: &str| {
        format!(
            "x.{column} - coalesce((SELECT sum(s.{column}) FROM host h CROSS JOIN {table} s
                WHERE h.family = x.k1 AND h.high = x.k2 AND h.low = x.k3
                    AND s.start = x.start AND s.kind = {service} AND s.k1 = h.id), 0)",
            service = SERVICE.at
        )
    };
    let rest: Vec<String> = SERVICE
        .endings()
        .iter()
        .map(|way| {
            let (packets, bytes) = (left(&format!("packets{way}")), left(&format!("bytes{way}")));
            format!(
                "{packets} AS packets{way}, {bytes} AS bytes{way}, \
                 NULL AS least{way}, NULL AS greatest{way}"
            )
        })
        .collect();
    format!(
        "{rows} UNION ALL SELECT * FROM (
            SELECT '{name}' AS tier, {seconds} AS seconds, x.start,
                x.k1, x.k2, x.k3, x.extra, n.mac, NULL AS service, {rest}
            FROM {table} x
                LEFT JOIN host_mac n ON n.family = x.k1 AND n.high = x.k2 AND n.low = x.k3
            WHERE x.kind = {host})
         WHERE packets_in <> 0 OR packets_out <> 0",
        rest = rest.join(", "),
        host = HOST.at,
    )
}

/// A host's address as text, from its key: dotted for IPv4, after RFC 5952 for IPv6 (lower
/// case, the first of the longest runs of zero groups written as "::").
const ADDRESS: &str = "(WITH g(s) AS (SELECT printf(':%x:%x:%x:%x:%x:%x:%x:%x:',
        (x.k2 >> 48) & 65535, (x.k2 >> 32) & 65535, (x.k2 >> 16) & 65535, x.k2 & 65535,
        (x.k3 >> 48) & 65535, (x.k3 >> 32) & 65535, (x.k3 >> 16) & 65535, x.k3 & 65535)),
    r(run) AS (VALUES (':0:0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:0:'), (':0:0:0:0:0:0:'),
        (':0:0:0:0:0:'), (':0:0:0:0:'), (':0:0:0:'), (':0:0:'))
    SELECT CASE
        WHEN x.k1 = 0 THEN 'other'
        WHEN x.k1 < 0 THEN 'none'
        WHEN x.k1 = 4 THEN printf('%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        WHEN x.k2 = 0 AND x.k3 >> 32 = 65535 THEN printf('::ffff:%d.%d.%d.%d',
            (x.k3 >> 24) & 255, (x.k3 >> 16) & 255, (x.k3 >> 8) & 255, x.k3 & 255)
        ELSE coalesce(
            (SELECT ltrim(substr(s, 1, instr(s, run) - 1), ':') || '::'
                || rtrim(substr(s, instr(s, run) + length(run)), ':')
             FROM r WHERE instr(s, run) > 0 LIMIT 1),
            trim(s, ':'))
        END FROM g)";
