//! The errors of the history. Each variant has its facts (path, cause), a sentence for people and an
//! exit code. What an error of SQLite means is decided by its code, never by its message.
#![allow(missing_docs)] // The sentence of a variant says what it is, and what its fields are.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode::{self, *};
use thiserror::Error;

use super::schema::{OLDEST_READ, VERSION};
use crate::failure::{Coded, Exit};

/// Why the history cannot be written, read or looked after.
#[derive(Debug, Error)]
pub enum Error {
    /// The database cannot be opened or prepared for writing. `is_read_only` says whether its file
    /// system is.
    #[error("{path}: {}", opening(source, *is_read_only))]
    Write { path: PathBuf, is_read_only: bool, source: rusqlite::Error },
    /// An open database cannot be written. Displayed as a clause without the path.
    #[error("{}", committing(source, *is_read_only))]
    Commit { is_read_only: bool, source: rusqlite::Error },
    #[error(
        "{path}: this database belongs to another program; set history.database to another file"
    )]
    Foreign { path: PathBuf },
    #[error(
        "{path}: made by a newer brightstat (schema {version}, this one knows {VERSION}); upgrade \
         brightstat or set history.database to another file"
    )]
    Newer { path: PathBuf, version: i32 },
    #[error("{path}: damaged, and cannot be moved aside: {source}")]
    MoveAside { path: PathBuf, source: io::Error },
    #[error(
        "{path}: its log was deleted or replaced, and a reader keeps it from being written to the \
         database; trying again"
    )]
    LogInUse { path: PathBuf },
    #[error(
        "{path}: another brightstat{} writes this database and holds {lock}; stop it ('systemctl \
         stop brightstat'{}), or name another file with --database or history.database",
        process.as_ref().map_or_else(String::new, |number| format!(" (process {number})")),
        process.as_ref().map_or_else(String::new, |number| format!(" or 'kill {number}'"))
    )]
    Locked { path: PathBuf, lock: PathBuf, process: Option<String> },
    #[error(
        "{path}: no such database; start brightstat, which makes it, or name another with \
         --database or history.database"
    )]
    NoDatabase { path: PathBuf },
    #[error("{path}: is a directory; name the file in it")]
    Directory { path: PathBuf },
    /// The database cannot be opened for reading.
    #[error("{path}: {}", reading(source))]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "{path}: this is not a database of brightstat; name another with --database or \
         history.database"
    )]
    NotOurs { path: PathBuf },
    #[error(
        "{path}: has schema {version}, this brightstat knows {OLDEST_READ} to {VERSION}; {}",
        if *version > VERSION { "use the version of the daemon" }
        else { "the daemon upgrades its own when it starts, 'brightstat db upgrade' any other" }
    )]
    Schema { path: PathBuf, version: i32 },
    /// An open database cannot be read.
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: rusqlite::Error },
    #[error("there is no interface '{name}' in the history; see 'brightstat query interfaces'")]
    NoInterface { name: String },
    #[error("the history has no tiers yet; the daemon makes them when it starts")]
    NoTiers,
    #[error(
        "there is no tier '{name}'; there is {}, auto or none{}", known.join(", "),
        if *is_api { "" } else { " (a tier that lives in memory is told by the API only)" }
    )]
    NoTier { name: String, known: Vec<String>, is_api: bool },
    #[error(
        "that would be {points} points, and {most} is the most; ask for a shorter time or a \
         coarser tier"
    )]
    Points { points: i64, most: usize },
    #[error(
        "the rows of this answer would have more than {most} points together; ask for fewer rows, \
         a shorter time or a coarser tier"
    )]
    Rows { most: usize },
    /// A backup, check, compaction or the like has failed.
    #[error("{path}: {}", looking_after(source))]
    Upkeep { path: PathBuf, source: rusqlite::Error },
    #[error(
        "{path}: is a directory; name a file in it, or keep N dated copies there with --keep N"
    )]
    BackupIsDirectory { path: PathBuf },
    #[error("{path}: is there already; choose another name or remove it")]
    BackupExists { path: PathBuf },
    #[error("{path}: there is no such directory; make it, or mount the disk that holds it")]
    NoDirectory { path: PathBuf },
    #[error("{path}: {source}")]
    Backup { path: PathBuf, source: io::Error },
}

impl Coded for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Write { is_read_only, source, .. } => match source.sqlite_error_code() {
                Some(code) if *is_read_only && may_be_read_only(code) => Exit::Io,
                Some(CannotOpen | PermissionDenied | ReadOnly) => Exit::Permission,
                Some(OperationInterrupted | DatabaseBusy | DatabaseLocked) => Exit::Unavailable,
                _ => Exit::Io,
            },
            Error::Open { source, .. } => match source.sqlite_error_code() {
                Some(CannotOpen | PermissionDenied) => Exit::Permission,
                _ if is_damage(source) => Exit::Data,
                _ => Exit::Io,
            },
            Error::Upkeep { source, .. } => match source.sqlite_error_code() {
                Some(DatabaseBusy | DatabaseLocked) => Exit::Unavailable,
                _ if is_damage(source) => Exit::Data,
                _ => Exit::Io,
            },
            Error::Commit { .. }
            | Error::MoveAside { .. }
            | Error::Read { .. }
            | Error::Backup { .. } => Exit::Io,
            Error::Foreign { .. } | Error::Newer { .. } | Error::Schema { .. } => Exit::Config,
            Error::LogInUse { .. } | Error::Locked { .. } => Exit::Unavailable,
            Error::NoDatabase { .. }
            | Error::Directory { .. }
            | Error::NoInterface { .. }
            | Error::NoTiers
            | Error::NoDirectory { .. } => Exit::NoInput,
            Error::NotOurs { .. } => Exit::Data,
            Error::NoTier { .. } | Error::Points { .. } | Error::Rows { .. } => Exit::Usage,
            Error::BackupIsDirectory { .. } | Error::BackupExists { .. } => Exit::CantCreate,
        }
    }
}

/// Whether the file is no database any more.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(NotADatabase | DatabaseCorrupt))
}

/// Whether a read-only file system may cause this error.
pub(super) fn may_be_read_only(code: ErrorCode) -> bool {
    matches!(code, CannotOpen | PermissionDenied | ReadOnly | SystemIoFailure)
}

const READ_ONLY: &str = "the file system is read-only; worn SD cards end so ('dmesg' tells more): \
    replace the card, or 'mount -o remount,rw /' if it was done on purpose";

fn opening(error: &rusqlite::Error, is_read_only: bool) -> String {
    match error.sqlite_error_code() {
        Some(code) if is_read_only && may_be_read_only(code) => READ_ONLY.to_owned(),
        Some(CannotOpen | PermissionDenied | ReadOnly) => format!(
            "cannot write the database as user {}; give it and its directory to that user (chown) \
             or set history.database",
            nix::unistd::geteuid()
        ),
        Some(DiskFull) => {
            "the disk is full; make room or set history.database to another disk".to_owned()
        }
        Some(OperationInterrupted) => "stopped before the database was ready; the next start \
             begins again, and nothing is lost"
            .to_owned(),
        Some(DatabaseBusy | DatabaseLocked) => {
            "another process is writing this database; is brightstat running already?".to_owned()
        }
        _ => error.to_string(),
    }
}

/// SQLite's own words say too little: on a file system that has become read-only, "disk I/O error".
fn committing(error: &rusqlite::Error, is_read_only: bool) -> String {
    match error.sqlite_error_code() {
        Some(DiskFull) => "the disk is full; make room".to_owned(),
        Some(code) if is_read_only && may_be_read_only(code) => READ_ONLY.to_owned(),
        _ => error.to_string(),
    }
}

fn reading(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(CannotOpen | PermissionDenied) => {
            "you may not read this database; try sudo".to_owned()
        }
        _ if is_damage(error) => format!(
            "not a sound database ({error}); name another with --database or history.database, or \
             restore a backup"
        ),
        _ => error.to_string(),
    }
}

fn looking_after(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => {
            "brightstat is writing to it just now; try again".to_owned()
        }
        Some(DiskFull) => "the disk is full; make room".to_owned(),
        _ if is_damage(error) => format!("the database is damaged: {error}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rusqlite::ffi;

    use super::*;
    use crate::failure::Failure;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn an_error_has_a_code_a_sentence_and_its_cause() {
        let path = || PathBuf::from("b.db");
        let write = |code| Error::Write { path: path(), is_read_only: false, source: sqlite(code) };
        for (error, exit, sentence) in [
            (
                write(ffi::SQLITE_BUSY),
                Exit::Unavailable,
                "b.db: another process is writing this database; is brightstat running already?",
            ),
            (
                Error::Open { path: path(), source: sqlite(ffi::SQLITE_CANTOPEN) },
                Exit::Permission,
                "b.db: you may not read this database; try sudo",
            ),
            (
                Error::Upkeep { path: path(), source: sqlite(ffi::SQLITE_FULL) },
                Exit::Io,
                "b.db: the disk is full; make room",
            ),
        ] {
            assert_eq!((error.exit(), &*error.to_string()), (exit, sentence));
            let cause = error.source().unwrap().downcast_ref::<rusqlite::Error>();
            assert!(cause.unwrap().sqlite_error_code().is_some());
            assert_eq!(Failure::from(error), Failure::new(exit, sentence));
        }
        let locked = |process| {
            let lock = "b.db.lock".into();
            Error::Locked { path: path(), lock, process }.to_string()
        };
        assert!(locked(None).contains("brightstat writes this database and holds b.db.lock; "));
        assert!(locked(Some("7".to_owned())).contains(
            "brightstat (process 7) writes this database and holds b.db.lock; stop it ('systemctl \
             stop brightstat' or 'kill 7'), or name"
        ));
    }

    #[test]
    fn a_file_system_that_turned_read_only_is_called_so() {
        let text =
            |code, is_read_only| Error::Commit { is_read_only, source: sqlite(code) }.to_string();
        for code in [ffi::SQLITE_IOERR, ffi::SQLITE_READONLY, ffi::SQLITE_CANTOPEN] {
            let told = text(code, true);
            assert!(told.contains("read-only") && told.contains("remount,rw"), "{told}");
            assert_eq!(text(code, false), sqlite(code).to_string(), "it has another cause");
        }
        assert_eq!(text(ffi::SQLITE_FULL, true), "the disk is full; make room");
        assert_eq!(text(ffi::SQLITE_BUSY, true), sqlite(ffi::SQLITE_BUSY).to_string());
    }
}
