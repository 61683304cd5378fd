//! History in SQLite. In the daemon the store thread is the only writer; the web and the command
//! line read through connections of their own. (`brightstat db compact`, a process of its own,
//! rewrites the file under SQLite's lock, and `db upgrade` a file that no daemon uses.)
//!
//! Closed intervals gather in memory and are written in one transaction per commit period. If the
//! disk is full or fails, they wait and capture goes on; the buffer is bounded, and dropped
//! intervals, the oldest first, are counted. [`write`] adds to existing rows: a minute in which the
//! daemon was restarted holds both parts.
//!
//! Scripts read the views that `schema` makes; `views.md` beside this file describes them.

pub mod admin;
mod ahead;
pub mod backups;
mod batch;
mod busiest;
mod catalog;
mod commit;
pub mod error;
mod events;
mod grid;
mod hosts;
pub mod kind;
mod numbers;
pub mod open;
mod place;
mod pulse;
pub mod query;
pub mod question;
mod reading;
mod recent;
mod retention;
mod rows;
mod scan;
pub mod schema;
pub mod series;
mod status;
mod sums;
mod sweep;
mod tables;
mod thread;
mod tiers;
mod wanted;
mod work;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::ClosedInterval;
use crate::config::Tier;
use crate::event::Event;
use ahead::Ahead;
use batch::SetBack;
use place::Place;
use recent::Lost;
use write::Writer;

pub use error::Error;
pub use pulse::Pulse;
pub use recent::{InMemory, Recent};
pub use rows::Limits;
pub use status::Status;

/// What the worker sends to the store thread, in the order in which it happened.
pub enum Message {
    /// A closed interval of the finest tier, if that is kept in memory only.
    Fine(ClosedInterval),
    /// A closed interval of the finest tier on disk.
    Closed(ClosedInterval),
    /// The clock was ahead and has been set back: what is dated `now` or later happened `by`
    /// seconds earlier.
    SetBack {
        /// Seconds since 1970 UTC, by the right clock.
        now: i64,
        /// By how many seconds the clock was set back.
        by: i64,
    },
}

/// The part of the configuration that the store needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tiers, finest first.
    pub tiers: Vec<Tier>,
    /// Limits of the rows that are named in an interval.
    pub limits: Limits,
    /// Limit of the file's size, bytes.
    pub max_size: u64,
}

/// The database, opened for writing.
pub struct Store {
    writer: Writer,
    /// Declared after the connection, so that its lock is released last.
    place: Place,
    path: PathBuf,
    options: Options,
    pulse: Arc<Pulse>,
    recent: Arc<Recent>,
    set_backs: Vec<SetBack>,
    events: Vec<Event>,
    /// What was given up and is not yet reported in an event.
    lost: Lost,
    /// The end of the interval that arrived last, by the worker's clock.
    present: Option<i64>,
    /// The newest row before the last jump of the clock that was reported.
    jump_told: Option<i64>,
    /// The search for rows in the future.
    ahead: Ahead,
}

impl Store {
    /// Opens or creates the database.
    ///
    /// # Errors
    /// See [`open::open`]; or another process writes this database.
    pub fn open(path: &Path, options: Options) -> Result<Store, Error> {
        Store::open_under(path, options, &Arc::default())
    }

    /// Opens or creates the database. Long work (migration, a change of tiers, compaction) beats
    /// under `pulse`, and is interrupted when that is told to stop.
    ///
    /// # Errors
    /// See [`open::open`]; another process writes this database; the work was interrupted.
    pub fn open_under(path: &Path, options: Options, pulse: &Arc<Pulse>) -> Result<Store, Error> {
        let mut place = Place::lock(path)?;
        let (writer, aside) = commit::begin(path, &options, pulse)?;
        place.note();
        let mut store = Store {
            writer,
            place,
            path: path.to_owned(),
            options,
            pulse: pulse.clone(),
            recent: Arc::default(),
            set_backs: Vec::new(),
            events: Vec::new(),
            lost: Lost::default(),
            present: None,
            jump_told: None,
            ahead: Ahead::default(),
        };
        if let Some(aside) = aside {
            store.note_damage(&aside);
        }
        Ok(store)
    }

    /// The newest history, in memory, to be read along with the database.
    pub fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// Start of the newest interval that has been written, seconds since 1970 UTC.
    pub fn newest(&self) -> Option<i64> {
        self.writer.newest().ok().flatten()
    }

    /// Writes closed intervals at once: for tests and benchmarks.
    #[doc(hidden)]
    pub fn commit_now(
        &mut self,
        intervals: impl IntoIterator<Item = ClosedInterval>,
        is_last: bool,
        status: &Status,
    ) -> bool {
        intervals.into_iter().for_each(|interval| self.take(Message::Closed(interval), status));
        self.commit(is_last, status)
    }
}

#[cfg(test)]
mod tests;
