//! Guards the files of the database: only one daemon writes them, and they are still in place.
//!
//! A deleted or replaced file stays open, and all that is written to it is lost when it is closed.
//! So the inodes behind the names are compared before each commit. Two daemons that write the same
//! intervals would double them. So one holds a lock, on a file of its own: closing any descriptor
//! of the database drops SQLite's locks (fcntl(2)). The kernel releases the lock however the daemon
//! ends; the file stays.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use log::warn;

use super::error::Error;

/// Device and inode.
type Id = (u64, u64);

/// The write-ahead log and its index, which belong to one database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The files as they were when the database was opened.
pub(super) struct Place {
    path: PathBuf,
    /// The lock and its file's identity; `None` where there can be none.
    lock: Option<(File, Id)>,
    database: Option<Id>,
    companions: [Option<Id>; 2],
}

/// How the files have changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// The database has been deleted.
    Deleted,
    /// Another file has its name.
    Replaced,
    /// The database is the same; its log or the log's index was deleted or replaced.
    LogGone,
}

impl Place {
    /// Locks the database for this process.
    ///
    /// # Errors
    /// Another process holds the lock.
    pub(super) fn lock(path: &Path) -> Result<Place, Error> {
        let path = resolve(path);
        let lock = take_lock(&path)?;
        Ok(Place { path, lock, database: None, companions: [None; 2] })
    }

    /// Records the identity of the files once the database is open.
    pub(super) fn note(&mut self) {
        self.database = id(&self.path);
        self.companions = COMPANIONS.map(|suffix| id(&with(&self.path, suffix)));
    }

    /// How the files have changed since then.
    pub(super) fn change(&self) -> Option<Change> {
        match id(&self.path) {
            None => return Some(Change::Deleted),
            now if now != self.database => return Some(Change::Replaced),
            _ => {}
        }
        let now = COMPANIONS.map(|suffix| id(&with(&self.path, suffix)));
        (now != self.companions).then_some(Change::LogGone)
    }

    /// Locks again if the lock file was deleted or replaced: others would lock its successor.
    ///
    /// # Errors
    /// Another process holds the lock by now.
    pub(super) fn renew_lock(&mut self) -> Result<(), Error> {
        if let Some((_, known)) = &self.lock
            && id(&with(&self.path, ".lock")) != Some(*known)
        {
            self.lock = take_lock(&self.path)?;
        }
        Ok(())
    }

    /// Removes the log and the index of a lost database, if they are still the same files: SQLite
    /// would use them for its successor.
    pub(super) fn remove_companions(&self) {
        for (suffix, known) in COMPANIONS.iter().zip(&self.companions) {
            let path = with(&self.path, suffix);
            if known.is_some() && id(&path) == *known {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Resolves links to the file: all daemons must find the same lock.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::canonicalize(directory.unwrap_or(Path::new(".")));
        match (directory, path.file_name()) {
            (Ok(directory), Some(name)) => directory.join(name),
            _ => path.to_owned(),
        }
    })
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn id(path: &Path) -> Option<Id> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Takes the lock. `None` if its file cannot be made: the database cannot be opened then either,
/// and that error says why.
fn take_lock(database: &Path) -> Result<Option<(File, Id)>, Error> {
    let path = with(database, ".lock");
    loop {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        // Another user's file can be locked through a read-only descriptor.
        let Ok(mut file) = file.or_else(|_| File::open(&path)) else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(is_taken(database, path, &mut file)),
            Err(TryLockError::Error(e)) => {
                warn!("{}: cannot be locked ({e}); start no second brightstat", path.display());
                return Ok(None);
            }
        }
        let locked = file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        // Otherwise it was removed in the meantime, and others lock its successor.
        if let Some(locked) = locked.filter(|locked| id(&path) == Some(*locked)) {
            let _ = write_number(&mut file);
            return Ok(Some((file, locked)));
        }
    }
}

/// Writes the process number, which a second daemon shows in its error.
fn write_number(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn is_taken(database: &Path, lock: PathBuf, file: &mut File) -> Error {
    let mut number = String::new();
    let _ = file.take(20).read_to_string(&mut number);
    let process = Some(number.trim().to_owned()).filter(|number| !number.is_empty());
    Error::Locked { path: database.to_owned(), lock, process }
}
