//! Maintenance from the command line: backup, check, figures, compaction. All of it works while the
//! daemon runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Result as SqlResult};

use super::error::Error;
use super::events;
use super::kind::{DEVICE, HOST, INTERFACE, KINDS, Kind, SERVICE};
use super::open;
use super::place::Place;
use super::query::History;
use super::schema::VERSION;
use super::tiers::{self, StoredTier, newest};
use crate::event::Event;

/// Events among the figures.
const EVENTS_SHOWN: u32 = 20;

/// Figures of a database.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of it that are free for new rows.
    pub free: u64,
    /// Bytes of the write-ahead log beside it.
    pub wal: u64,
    /// Version of the schema.
    pub schema: i32,
    /// The tiers, finest first.
    pub tiers: Vec<TierStats>,
    /// The newest events, newest first.
    pub events: Vec<Event>,
}

/// Figures of a tier.
#[derive(Clone, Debug)]
pub struct TierStats {
    /// Its name.
    pub name: String,
    /// Length of an interval, seconds.
    pub seconds: u32,
    /// Start of the oldest interval, seconds since 1970 UTC.
    pub first: Option<i64>,
    /// Start of the newest interval, seconds since 1970 UTC.
    pub last: Option<i64>,
    /// How many intervals there are.
    pub intervals: u64,
    /// Rows by kind, such as `hosts`.
    pub rows: Vec<(&'static str, u64)>,
}

fn wrap<T>(path: &Path, result: SqlResult<T>) -> Result<T, Error> {
    result.map_err(|source| Error::Upkeep { path: path.to_owned(), source })
}

/// Copies the database as of one moment, without its free pages. Returns the size of the copy in
/// bytes.
///
/// The copy gets its name only when it is complete and synced to the disk.
///
/// # Errors
/// The database cannot be read; the target exists or cannot be written.
pub fn backup(database: &Path, target: &Path) -> Result<u64, Error> {
    if target.is_dir() {
        return Err(Error::BackupIsDirectory { path: target.to_owned() });
    }
    if target.exists() {
        return Err(Error::BackupExists { path: target.to_owned() });
    }
    let history = History::open(database)?;
    let mut part = target.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // Left behind by an interrupted backup.
    let _ = fs::remove_file(&part);
    let failed = |source| Error::Backup { path: target.to_owned(), source };
    let copy = || -> Result<u64, Error> {
        let name = part.to_string_lossy();
        wrap(&part, history.connection().execute("VACUUM INTO ?1", [name.as_ref()]))?;
        let file = File::open(&part).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&part, target).map_err(failed)?;
        let directory = target.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or_else(|| Path::new(".")));
        directory.and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(file.metadata().map_err(failed)?.len())
    };
    copy().inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

/// Checks the file for damage, and that sums come out. Returns the problems, a line each.
///
/// # Errors
/// The database cannot be read at all.
pub fn check(database: &Path) -> Result<Vec<String>, Error> {
    let history = History::open(database)?;
    let connection = history.connection();
    // One transaction, so that all checks see the same moment.
    wrap(database, connection.execute_batch("BEGIN"))?;
    let found = find_problems(connection);
    let _ = connection.execute_batch("COMMIT");
    wrap(database, found)
}

fn find_problems(connection: &Connection) -> SqlResult<Vec<String>> {
    let mut problems: Vec<String> = connection
        .prepare("PRAGMA integrity_check(20)")?
        .query_map([], |row| row.get(0))?
        .collect::<SqlResult<_>>()?;
    problems.retain(|line| line != "ok");
    if !problems.is_empty() {
        return Ok(problems);
    }
    let tiers = tiers::stored(connection)?;
    for tier in &tiers {
        for kind in KINDS.into_iter().filter(|kind| ![&INTERFACE, &DEVICE, &SERVICE].contains(kind))
        {
            for way in kind.endings() {
                check_split(connection, tier, kind, way, &mut problems)?;
            }
        }
        check_services(connection, tier, &mut problems)?;
    }
    for pair in tiers.windows(2) {
        check_sum(connection, &pair[0], &pair[1], &mut problems)?;
    }
    Ok(problems)
}

/// Checks that the rows of a split add up to the total in every interval.
fn check_split(
    connection: &Connection,
    tier: &StoredTier,
    kind: &Kind,
    way: &str,
    problems: &mut Vec<String>,
) -> SqlResult<()> {
    let sum = |what: &str, ways: &[&str]| {
        let columns: Vec<String> = ways.iter().map(|way| format!("{what}{way}")).collect();
        format!("sum({})", columns.join(" + "))
    };
    let sql = format!(
        "WITH t AS (SELECT start, {} AS p, {} AS b FROM {} GROUP BY start),
            r AS (SELECT start, {} AS p, {} AS b FROM {} WHERE {} GROUP BY start)
         SELECT count(*), min(t.start) FROM t LEFT JOIN r ON r.start = t.start
         WHERE t.start >= {} AND (t.p <> coalesce(r.p, 0) OR t.b <> coalesce(r.b, 0))",
        sum("packets", INTERFACE.ways),
        sum("bytes", INTERFACE.ways),
        INTERFACE.table(tier.seconds),
        sum("packets", &[way]),
        sum("bytes", &[way]),
        kind.table(tier.seconds),
        kind.condition(),
        tier.kept_since
    );
    let (wrong, first): (i64, Option<i64>) =
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if wrong > 0 {
        problems.push(format!(
            "{} of {}: {wrong} intervals do not add up, the first at {}",
            kind.plural,
            tier.name,
            first.unwrap_or(0)
        ));
    }
    Ok(())
}

/// Checks that no host's services exceed the host's own row.
fn check_services(
    connection: &Connection,
    tier: &StoredTier,
    problems: &mut Vec<String>,
) -> SqlResult<()> {
    let numbers = ["packets_in", "bytes_in", "packets_out", "bytes_out"];
    let sums = numbers.map(|number| format!("sum({number}) AS {number}")).join(", ");
    let is_more = numbers.map(|number| format!("s.{number} > o.{number}")).join(" OR ");
    let table = SERVICE.table(tier.seconds);
    let sql = format!(
        "SELECT count(*), min(s.start)
         FROM (SELECT start, k1, {sums} FROM {table} WHERE {} GROUP BY start, k1) s
            LEFT JOIN host h ON h.id = s.k1
            LEFT JOIN {table} o ON o.start = s.start AND o.kind = {}
                AND o.k1 = h.family AND o.k2 = h.high AND o.k3 = h.low
         WHERE o.start IS NULL OR {is_more}",
        SERVICE.condition(),
        HOST.at
    );
    let (wrong, first): (i64, Option<i64>) =
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if wrong > 0 {
        problems.push(format!(
            "services of {}: {wrong} hosts do more than they do in all, the first at {}",
            tier.name,
            first.unwrap_or(0)
        ));
    }
    Ok(())
}

/// Checks that a coarser interval is the sum of its finer ones, where these are all there. The open
/// one may be behind.
fn check_sum(
    connection: &Connection,
    fine: &StoredTier,
    coarse: &StoredTier,
    problems: &mut Vec<String>,
) -> SqlResult<()> {
    let Some(newest) = newest(connection, fine.seconds)? else { return Ok(()) };
    let (from, to) = (tiers::round_up(fine.kept_since, coarse.seconds), coarse.start_of(newest));
    let sums: Vec<String> = INTERFACE
        .ways
        .iter()
        .flat_map(|way| [format!("sum(packets{way})"), format!("sum(bytes{way})")])
        .collect();
    let rows = |tier: &StoredTier| {
        format!(
            "SELECT start / {span} * {span} AS at, interface, {}, sum(dropped), sum(covered)
             FROM {} WHERE start >= {from} AND start < {to} GROUP BY 1, 2",
            sums.join(", "),
            INTERFACE.table(tier.seconds),
            span = coarse.seconds
        )
    };
    let (fine_rows, coarse_rows) = (rows(fine), rows(coarse));
    let sql = format!(
        "SELECT count(DISTINCT at) FROM (
            SELECT * FROM ({fine_rows} EXCEPT {coarse_rows})
            UNION ALL SELECT * FROM ({coarse_rows} EXCEPT {fine_rows}))"
    );
    let wrong: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if wrong > 0 {
        problems.push(format!(
            "{}: {wrong} intervals are not the sums of those of {}",
            coarse.name, fine.name
        ));
    }
    Ok(())
}

/// Compacts the file. Returns the bytes of the file and its write-ahead log, before and after.
///
/// # Errors
/// The database cannot be written, or there is no room for a copy of it.
pub fn compact(database: &Path) -> Result<(u64, u64), Error> {
    // For its error messages, and to avoid creating a database that is not there.
    drop(History::open(database)?);
    // Not as the store opens it: that moves a damaged file aside, perhaps under a running daemon.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = wrap(database, Connection::open_with_flags(database, flags))?;
    wrap(database, connection.busy_timeout(std::time::Duration::from_secs(10)))?;
    // The log is a part of the database, and may be most of it.
    let log = PathBuf::from(format!("{}-wal", database.display()));
    let size_of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let size = || size_of(database) + size_of(&log);
    let before = size();
    wrap(database, connection.execute_batch("VACUUM"))?;
    // A reader may prevent this; a later checkpoint empties the log then.
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    wrap(database, checkpoint.optional())?;
    Ok((before, size()))
}

/// Upgrades a database that no daemon uses, such as a copy from before an upgrade, to the schema of
/// this version. Returns the schema that it had.
///
/// # Errors
/// A file that is no database of brightstat, or a newer one's; a daemon writes it; it cannot be
/// written. No row is changed then.
pub fn upgrade(database: &Path) -> Result<i32, Error> {
    let before = match History::open(database) {
        Ok(history) => {
            let sql = "PRAGMA user_version";
            wrap(database, history.connection().query_row(sql, [], |row| row.get(0)))?
        }
        Err(Error::Schema { version, .. }) if version < VERSION => version,
        Err(other) => return Err(other),
    };
    if before < VERSION {
        let lock = Place::lock(database)?;
        drop(open::open_once(database, &Arc::default())?);
        drop(lock);
    }
    Ok(before)
}

/// Figures of the database.
///
/// # Errors
/// The database cannot be read.
pub fn stats(database: &Path) -> Result<Stats, Error> {
    let history = History::open(database)?;
    wrap(database, read_stats(history.connection(), database))
}

fn read_stats(connection: &Connection, database: &Path) -> SqlResult<Stats> {
    let number = |sql: &str| -> SqlResult<i64> { connection.query_row(sql, [], |row| row.get(0)) };
    let page = number("PRAGMA page_size")?;
    let size_of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut tiers = Vec::new();
    for tier in tiers::stored(connection)? {
        let mut rows = Vec::new();
        for kind in KINDS {
            let sql = format!(
                "SELECT count(*) FROM {} WHERE {}",
                kind.table(tier.seconds),
                kind.condition()
            );
            rows.push((kind.plural, number(&sql)?.cast_unsigned()));
        }
        let sql = format!("SELECT count(DISTINCT start) FROM {}", INTERFACE.table(tier.seconds));
        tiers.push(TierStats {
            first: tiers::first(connection, tier.seconds)?,
            last: newest(connection, tier.seconds)?,
            intervals: number(&sql)?.cast_unsigned(),
            seconds: u32::try_from(tier.seconds).unwrap_or(u32::MAX),
            name: tier.name,
            rows,
        });
    }
    let wal = PathBuf::from(format!("{}-wal", database.display()));
    Ok(Stats {
        size: size_of(database),
        free: (number("PRAGMA freelist_count")? * page).cast_unsigned(),
        wal: size_of(&wal),
        schema: connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
        tiers,
        events: events::newest(connection, EVENTS_SHOWN)?,
    })
}
