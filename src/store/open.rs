//! Opens the database for writing: creates or migrates it, or moves it aside if it is damaged. Runs
//! on the store thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};
use nix::sys::statvfs::{FsFlags, statvfs};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{Error, is_damage, may_be_read_only};
use super::pulse::Pulse;
use super::schema::{APPLICATION_ID, VERSION, migrate};

/// Opens the database for writing; creates or migrates it as needed. A damaged file is renamed,
/// never deleted, and a new one is begun; the new name is then returned as well.
///
/// # Errors
/// A directory or file that cannot be written, another program's file, or one that a newer
/// brightstat has made.
pub fn open(path: &Path) -> Result<(Connection, Option<PathBuf>), Error> {
    open_under(path, &Arc::default())
}

/// The same; long statements beat under `pulse`.
pub(super) fn open_under(
    path: &Path,
    pulse: &Arc<Pulse>,
) -> Result<(Connection, Option<PathBuf>), Error> {
    match open_once(path, pulse) {
        Err(Error::Write { source, .. }) if is_damage(&source) => {
            let aside = move_aside(path)?;
            warn!(
                "{}: the database is damaged ({source}); kept as {} and begun anew",
                path.display(),
                aside.display()
            );
            Ok((open_once(path, pulse)?, Some(aside)))
        }
        other => Ok((other?, None)),
    }
}

pub(super) fn open_once(path: &Path, pulse: &Arc<Pulse>) -> Result<Connection, Error> {
    let failed = |error: rusqlite::Error| failure(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    pulse.watch(&mut connection).map_err(failed)?;
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i32>(0))
    };
    let (id, version) =
        (pragma("application_id").map_err(failed)?, pragma("user_version").map_err(failed)?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if id != APPLICATION_ID && tables > 0 {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(Error::Newer { path: path.to_owned(), version });
    }
    if version == 0 {
        // Must be set before the first table is made. Small pages, as a commit writes whole ones.
        // No auto_vacuum: in a file that has been in use for months, the pointer map that it needs
        // was 45 of the 105 pages of a commit (`make soak`: 38 MB a day instead of 28). Freed pages
        // are reused; see [`compact_if_worth_it`].
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = 1024; PRAGMA application_id = {APPLICATION_ID};"
            ))
            .map_err(failed)?;
    }
    // FULL: a commit is on the card when it returns; a power cut loses only what came after it. A
    // small cache: the store appends, it does not search. A log of 16 MB: a page that is rewritten
    // before it is full goes to the file once (5 MB a day less than with 4 MB). The size limit
    // above that keeps the log's blocks for the next round.
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512;
             PRAGMA wal_autocheckpoint = 16000; PRAGMA journal_size_limit = 33554432;",
        )
        .map_err(failed)?;
    if version < VERSION {
        migrate(&mut connection, version).map_err(failed)?;
        match version {
            0 => info!("{}: new database", path.display()),
            _ => info!("{}: upgraded from schema {version} to {VERSION}", path.display()),
        }
    }
    Ok(connection)
}

/// Compacts the file before work begins, if most of it is free, or if it is above its size limit
/// and partly free. If that would take long, it is left to `brightstat db compact`.
pub(super) fn compact_if_worth_it(connection: &Connection, max_size: u64) {
    let number = |pragma: &str| -> i64 {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap_or(0)
    };
    let (pages, free, page) = (number("page_count"), number("freelist_count"), number("page_size"));
    let is_large = (pages * page).cast_unsigned() > max_size && free > pages / 8;
    let is_hollow = free * page > HOLLOW && free > pages / 2;
    if !is_large && !is_hollow {
        return;
    }
    if (pages - free) * page > QUICK {
        info!("most of the database file is free; `brightstat db compact` gives it back");
        return;
    }
    match connection.execute_batch("VACUUM") {
        Ok(()) => info!("database compacted: it had {} MB of free pages", free * page / 1_000_000),
        // The next start does it.
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {}
        Err(e) => warn!("the database keeps its free pages, which will be used again: {e}"),
    }
}

/// Free bytes that are worth a compaction.
const HOLLOW: i64 = 16 << 20;
/// Bytes that are compacted in a few seconds, even on an SD card.
const QUICK: i64 = 64 << 20;

/// The error of opening or preparing the database.
pub(super) fn failure(path: &Path, source: rusqlite::Error) -> Error {
    let is_read_only =
        source.sqlite_error_code().is_some_and(may_be_read_only) && is_read_only(path);
    Error::Write { path: path.to_owned(), is_read_only, source }
}

/// Why history cannot be written, and what to do, for status and log.
pub(super) fn trouble(path: &Path, source: rusqlite::Error) -> Error {
    Error::Commit { is_read_only: is_read_only(path), source }
}

/// Whether the database's file system is read-only.
fn is_read_only(path: &Path) -> bool {
    let directory = path.parent().unwrap_or(Path::new("/"));
    statvfs(directory).is_ok_and(|disk| disk.flags().contains(FsFlags::ST_RDONLY))
}

/// Renames the database, its log and index to a free name.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, Error> {
    let renamed = |number: u32, suffix: &str| {
        PathBuf::from(format!("{}.damaged-{number}{suffix}", path.display()))
    };
    let number = (1..).find(|number| !renamed(*number, "").exists()).unwrap_or(1);
    std::fs::rename(path, renamed(number, ""))
        .map_err(|source| Error::MoveAside { path: path.to_owned(), source })?;
    for suffix in ["-wal", "-shm"] {
        let companion = PathBuf::from(format!("{}{suffix}", path.display()));
        // Often there is none.
        let _ = std::fs::rename(companion, renamed(number, suffix));
    }
    Ok(renamed(number, ""))
}
