//! Answers questions from the history. Runs on the web's history threads and in the command line,
//! each with a read-only connection of its own.
//!
//! Theory of operation. The span of a question is divided into points and covered with segments,
//! each read from one tier: whole days from the day tier, the remainders at the ends from finer
//! ones (`Grid`). The open interval of a coarse tier may be behind the finer rows and is always
//! read from those. Uncommitted intervals come from memory, which is locked until the first read
//! has fixed the state of the database. A probe then tells whether that state is from before or
//! after a commit in progress: nothing is missed or counted twice.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::error::Error;
use super::grid::Grid;
use super::kind::{Key, host_key, key_of, port_key, service_key};
use super::question::{Answer, Question, Step, Which};
use super::reading::Reading;
use super::recent::InMemory;
use super::scan::Memory;
use super::schema::{APPLICATION_ID, OLDEST_READ, VERSION};
use super::tiers;
use super::wanted::Meant;
use crate::config::Tier;

/// The history, opened for reading only.
pub struct History {
    connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// There is none, it may not be read, or it is another program's or has another schema.
    pub fn open(path: &Path) -> Result<History, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let own = || path.to_owned();
        if !path.exists() {
            return Err(Error::NoDatabase { path: own() });
        }
        if path.is_dir() {
            return Err(Error::Directory { path: own() });
        }
        let failed = |source| Error::Open { path: own(), source };
        let open = |name: &str| -> rusqlite::Result<(Connection, i32, i32)> {
            let connection = Connection::open_with_flags(name, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            let number = |pragma: &str| {
                connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
            };
            let (id, version) = (number("application_id")?, number("user_version")?);
            Ok((connection, id, version))
        };
        let plain = path.to_string_lossy();
        let result = open(&plain).or_else(|e| {
            // In WAL mode readers share an index file (-shm) with the writer. If that cannot be
            // made and nobody writes, the database is read as it is.
            let is_idle = !PathBuf::from(format!("{plain}-wal")).exists();
            if is_idle && e.sqlite_error_code() == Some(ErrorCode::CannotOpen) {
                open(&format!("file:{}?immutable=1", percent(&plain)))
            } else {
                Err(e)
            }
        });
        let (connection, id, version) = result.map_err(failed)?;
        if id != APPLICATION_ID || version < 1 {
            return Err(Error::NotOurs { path: own() });
        }
        if !(OLDEST_READ..=VERSION).contains(&version) {
            return Err(Error::Schema { path: own(), version });
        }
        connection.pragma_update(None, "cache_size", -1_024).map_err(failed)?;
        Ok(History { connection, path: own() })
    }

    /// The connection, which can only read.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Ends a running question with a failure as soon as `is_over` returns true. It is called every
    /// millisecond or so.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn end_when(&mut self, is_over: impl Fn() -> bool + Send + 'static) -> Result<(), Error> {
        let set = self.connection.progress_handler(STEPS, Some(is_over));
        set.map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: rusqlite::Error) -> Error {
        Error::Read { path: self.path.clone(), source }
    }

    /// Answers a question; with `fresh`, also from what is only in memory.
    ///
    /// # Errors
    /// There is no such tier or interface, there would be too many points, or the file cannot be
    /// read.
    pub fn ask(&self, question: &Question, fresh: Option<InMemory<'_>>) -> Result<Answer, Error> {
        let failed = |e: rusqlite::Error| self.unreadable(e);
        let connection = &self.connection;
        // The lock is held until the first read fixes the state of the database.
        let state = fresh.as_ref().map(|fresh| fresh.recent.lock());
        connection.execute_batch("BEGIN").map_err(failed)?;
        let stored = tiers::stored(connection).map_err(failed);
        let mut memory = Memory::Pending(Vec::new());
        let mut newest_pending = None;
        let mut fine_tier = None;
        if let Some(state) = &state {
            let tier = fresh.as_ref().and_then(|fresh| fresh.tier);
            if let Some(tier) = tier.filter(|tier| wants_fine(question, tier, state.fine_since())) {
                let seconds = i64::from(tier.seconds);
                let from = question.from.div_euclid(seconds) * seconds;
                memory = Memory::Fine(state.fine(from, question.to));
                fine_tier = Some(tier);
            } else {
                let pending = state.waiting(connection).map_err(failed)?;
                newest_pending = pending.last().map(|interval| interval.start);
                memory = Memory::Pending(pending);
            }
        }
        drop(state);
        let answer = stored.and_then(|stored| {
            let grid = match fine_tier {
                Some(tier) => Grid::fine(question, tier)?,
                None => Grid::new(connection, stored, question, newest_pending, fresh.as_ref())
                    .map_err(failed)??,
            };
            let meant = question.only.as_ref().map(|which| self.meant(which)).transpose()?;
            let meant = meant.unwrap_or(Meant::All);
            let reading = Reading::new(connection, &memory, question, &grid, &meant);
            reading.map_err(failed)?.answer(&failed)
        });
        let _ = connection.execute_batch("COMMIT");
        answer
    }

    fn meant(&self, which: &Which) -> Result<Meant, Error> {
        Ok(match which {
            Which::Services(host, service) => Meant::Services {
                host: host.map(|address| {
                    let [family, high, low, ..] = host_key(address);
                    [family, high, low]
                }),
                service: service.map(service_key),
            },
            _ => Meant::One(self.key_of(which)?),
        })
    }

    fn key_of(&self, which: &Which) -> Result<Key, Error> {
        Ok(match which {
            Which::Host(address) => host_key(*address),
            Which::Port(transport, port) => port_key(*transport, *port),
            Which::Protocol(number) => key_of([i64::from(*number)]),
            Which::Services(..) => key_of([]),
            Which::Interface(name) => {
                let sql = "SELECT id FROM interface_name WHERE name = ?1";
                let found = self.connection.query_row(sql, [name], |row| row.get(0)).optional();
                let unknown = || Error::NoInterface { name: name.clone() };
                key_of([found.ok().flatten().ok_or_else(unknown)?])
            }
        })
    }
}

/// Steps of SQLite's virtual machine between two calls of [`History::end_when`]'s `is_over`: a
/// millisecond on a Raspberry Pi Zero, less on others.
const STEPS: i32 = 5_000;
/// Spans up to this length, seconds, are answered from the tier in memory, if that reaches back far
/// enough, as a graph and as a table: both then show the same.
const FINE_SPAN: i64 = 600;

/// Whether a question is answered from the tier in memory.
fn wants_fine(question: &Question, tier: &Tier, since: Option<i64>) -> bool {
    match &question.step {
        Step::Tier(name) => *name == tier.name,
        Step::Auto(_) | Step::Whole => {
            question.to - question.from <= FINE_SPAN
                && since.is_some_and(|since| since <= question.from)
        }
        Step::Days(_) => false,
    }
}

/// Escapes the characters that are special in an SQLite URI.
fn percent(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}
