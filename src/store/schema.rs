//! The database: its tables, its views and how a file is opened.
//!
//! Everything a table holds is an integer or a short text; keys start with tier and time,
//! so that a commit appends to the end of each table and an old hour is one run of pages.

use std::path::{Path, PathBuf};
use std::time::Duration;

use log::{info, warn};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::account::protocol_name;
use crate::failure::{Exit, Failure};

/// `PRAGMA application_id`: "bsta", so that file(1) and we know our own files.
pub const APPLICATION_ID: i32 = 0x6273_7461;

/// `PRAGMA user_version`: counts up with every migration.
pub const VERSION: i32 = 1;

/// The row of hosts, ports and protocols that holds what was not named.
pub const OTHER: i64 = 0;
/// The row that holds frames which have no host (not IP), no port or no IP protocol.
pub const NONE: i64 = -1;

/// What makes version 1 out of an empty file. Ids 0 and -1 mean [`OTHER`] and [`NONE`].
const VERSION_1: &str = "
CREATE TABLE tier (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seconds INTEGER NOT NULL
);
INSERT INTO tier VALUES (1, 'minute', 60);
CREATE TABLE interface (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE host (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    mac TEXT
);
INSERT INTO host VALUES (0, 'other', NULL), (-1, 'none', NULL);
CREATE TABLE traffic_interface (
    tier INTEGER NOT NULL,
    start INTEGER NOT NULL,
    interface INTEGER NOT NULL,
    packets_in INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    packets_out INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    packets_internal INTEGER NOT NULL, bytes_internal INTEGER NOT NULL,
    packets_transit INTEGER NOT NULL, bytes_transit INTEGER NOT NULL,
    packets_none INTEGER NOT NULL, bytes_none INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (tier, start, interface)
) WITHOUT ROWID;
CREATE TABLE traffic_host (
    tier INTEGER NOT NULL,
    start INTEGER NOT NULL,
    host INTEGER NOT NULL,
    packets_in INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    packets_out INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    PRIMARY KEY (tier, start, host)
) WITHOUT ROWID;
CREATE TABLE traffic_port (
    tier INTEGER NOT NULL,
    start INTEGER NOT NULL,
    port INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (tier, start, port)
) WITHOUT ROWID;
CREATE TABLE traffic_protocol (
    tier INTEGER NOT NULL,
    start INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (tier, start, protocol)
) WITHOUT ROWID;
CREATE VIEW v_interface AS
    SELECT t.name AS tier, t.seconds, x.start, i.name AS interface,
        packets_in + packets_out + packets_internal + packets_transit + packets_none AS packets,
        bytes_in + bytes_out + bytes_internal + bytes_transit + bytes_none AS bytes,
        packets_in, bytes_in, packets_out, bytes_out, packets_internal, bytes_internal,
        packets_transit, bytes_transit, packets_none, bytes_none, dropped
    FROM traffic_interface x JOIN tier t ON t.id = x.tier JOIN interface i ON i.id = x.interface;
CREATE VIEW v_host AS
    SELECT t.name AS tier, t.seconds, x.start, h.address, h.mac,
        packets_in, bytes_in, packets_out, bytes_out
    FROM traffic_host x JOIN tier t ON t.id = x.tier JOIN host h ON h.id = x.host;
CREATE VIEW v_port AS
    SELECT t.name AS tier, t.seconds, x.start,
        CASE WHEN port = 0 THEN 'other' WHEN port < 0 THEN 'none'
             WHEN port >> 16 = 6 THEN 'tcp' ELSE 'udp' END AS protocol,
        CASE WHEN port > 0 THEN port & 65535 END AS port, packets, bytes
    FROM traffic_port x JOIN tier t ON t.id = x.tier;
CREATE VIEW v_protocol AS
    SELECT t.name AS tier, t.seconds, x.start,
        CASE WHEN protocol >= 0 AND protocol < 256 THEN protocol END AS number,
        CASE protocol WHEN -1 THEN 'none' {names} ELSE CAST(protocol AS TEXT) END AS protocol,
        packets, bytes
    FROM traffic_protocol x JOIN tier t ON t.id = x.tier;
";

/// [`VERSION_1`] with the names of the IP protocols filled in.
fn version_1() -> String {
    let names: Vec<String> = (0..=256)
        .map(|number| (number, protocol_name(number)))
        .filter(|(number, name)| *name != number.to_string())
        .map(|(number, name)| format!("WHEN {number} THEN '{name}'"))
        .collect();
    VERSION_1.replace("{names}", &names.join(" "))
}

/// Opens the database for writing, making or upgrading it as needed. A damaged file is
/// moved aside, never deleted, and a new one is begun.
///
/// # Errors
/// A directory or file that cannot be written, a file that is another program's, or one
/// that a newer brightstat has made.
pub fn open(path: &Path) -> Result<Connection, Failure> {
    match open_once(path) {
        Ok(connection) => Ok(connection),
        Err(Trouble::Failure(failure)) => Err(failure),
        Err(Trouble::Damaged(what)) => {
            let aside = move_aside(path)?;
            warn!(
                "{}: the database is damaged ({what}); kept as {} and begun anew",
                path.display(),
                aside.display()
            );
            open_once(path).map_err(|trouble| match trouble {
                Trouble::Failure(failure) => failure,
                Trouble::Damaged(what) => {
                    Failure::new(Exit::Io, format!("{}: {what}", path.display()))
                }
            })
        }
    }
}

enum Trouble {
    Failure(Failure),
    Damaged(String),
}

fn open_once(path: &Path) -> Result<Connection, Trouble> {
    let judge = |error: rusqlite::Error| judge(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(judge)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(judge)?;
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0))
    };
    let (id, version) =
        (pragma("application_id").map_err(judge)?, pragma("user_version").map_err(judge)?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(judge)?;
    let foreign = |text: String| Err(Trouble::Failure(Failure::new(Exit::Config, text)));
    if id != APPLICATION_ID && tables > 0 {
        return foreign(format!(
            "{}: this database belongs to another program; set history.database to another file",
            path.display()
        ));
    }
    if version > VERSION {
        return foreign(format!(
            "{}: made by a newer brightstat (schema {version}, this one knows {VERSION}); \
             upgrade brightstat or set history.database to another file",
            path.display()
        ));
    }
    if version == 0 {
        // Both must be set before the first table is made.
        connection
            .execute_batch(&format!(
                "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {APPLICATION_ID};"
            ))
            .map_err(judge)?;
    }
    // WAL with NORMAL survives a power cut: the last commit may be lost, never the file.
    // A small cache: the store appends, it does not search.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;
             PRAGMA journal_size_limit = 1048576;",
        )
        .map_err(judge)?;
    if version == 0 {
        let transaction = connection.transaction().map_err(judge)?;
        transaction
            .execute_batch(&format!("{} PRAGMA user_version = {VERSION};", version_1()))
            .map_err(judge)?;
        transaction.commit().map_err(judge)?;
        info!("{}: new database", path.display());
    }
    Ok(connection)
}

fn judge(path: &Path, error: &rusqlite::Error) -> Trouble {
    let shown = path.display();
    let failure = |exit, text: String| Trouble::Failure(Failure::new(exit, text));
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Trouble::Damaged(error.to_string())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => failure(
            Exit::Permission,
            format!(
                "{shown}: cannot write the database as user {}; give it and its directory to that \
                 user (chown) or set history.database",
                nix::unistd::geteuid()
            ),
        ),
        Some(ErrorCode::DiskFull) => failure(
            Exit::Io,
            format!("{shown}: the disk is full; make room or set history.database to another disk"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => failure(
            Exit::Unavailable,
            format!(
                "{shown}: another process is writing this database; is brightstat running already?"
            ),
        ),
        _ => failure(Exit::Io, format!("{shown}: {error}")),
    }
}

/// Renames the database and its companions to a name that is free.
fn move_aside(path: &Path) -> Result<PathBuf, Failure> {
    let renamed = |number: u32, suffix: &str| {
        PathBuf::from(format!("{}.damaged-{number}{suffix}", path.display()))
    };
    let number = (1..).find(|number| !renamed(*number, "").exists()).unwrap_or(1);
    std::fs::rename(path, renamed(number, "")).map_err(|e| {
        Failure::new(
            Exit::Io,
            format!("{}: damaged, and cannot be moved aside: {e}", path.display()),
        )
    })?;
    for suffix in ["-wal", "-shm"] {
        let companion = PathBuf::from(format!("{}{suffix}", path.display()));
        // Often there is none.
        let _ = std::fs::rename(companion, renamed(number, suffix));
    }
    Ok(renamed(number, ""))
}
