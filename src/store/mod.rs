//! History in SQLite. The store thread is the only writer.
//!
//! Closed intervals gather in memory and are written in one transaction per commit
//! period. If the disk is full or fails, they wait (bounded, the oldest go first and are
//! counted) and the capture goes on. [`write`] adds to rows that are there already, so
//! that a minute in which the daemon was restarted holds both parts.
//!
//! Scripts read the views that `schema` makes; `views.md` beside this file describes them.

pub mod admin;
mod ahead;
pub mod backups;
mod batch;
mod busiest;
mod catalog;
mod commit;
mod grid;
mod hosts;
pub mod kind;
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
mod work;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::account::ClosedInterval;
use crate::config::Tier;
use crate::failure::Failure;
use ahead::Ahead;
use batch::{Event, SetBack};
use place::Place;
use write::Writer;

pub use pulse::Pulse;
pub use recent::{InMemory, Recent};
pub use rows::Limits;
pub use status::Status;

/// What the worker tells the store thread, in the order in which it happened.
pub enum Message {
    /// A closed interval of the finest tier, when that lives in memory.
    Fine(ClosedInterval),
    /// A closed interval of the finest tier that is written to disk.
    Closed(ClosedInterval),
    /// The clock was wrong and has been set back: what seems to have happened at `now` or
    /// later happened `by` earlier. Both in seconds.
    SetBack {
        /// Seconds since 1970 UTC, by the right clock.
        now: i64,
        /// By how many seconds the clock was set back.
        by: i64,
    },
}

/// What the store needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tiers, finest first.
    pub tiers: Vec<Tier>,
    /// Rows of an interval that are named.
    pub limits: Limits,
    /// Bytes that the file may grow to.
    pub max_size: u64,
}

/// The database, opened for writing.
pub struct Store {
    writer: Writer,
    /// After the connection: its lock goes last.
    place: Place,
    path: PathBuf,
    options: Options,
    pulse: Arc<Pulse>,
    recent: Arc<Recent>,
    set_backs: Vec<SetBack>,
    events: Vec<Event>,
    /// Intervals that have been given up and not been told of in an event.
    lost: u64,
    /// The end of the interval that arrived last, by the worker's clock.
    present: Option<i64>,
    /// The newest row before a jump of the clock that has been told.
    jump_told: Option<i64>,
    /// The search for rows of the future.
    ahead: Ahead,
}

impl Store {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// See [`open::open`]; or another process writes this database.
    pub fn open(path: &Path, options: Options) -> Result<Store, Failure> {
        Store::open_under(path, options, &Arc::default())
    }

    /// Opens or makes the database; what takes long at that (bringing it to a new schema or to
    /// other tiers, making it small) beats under `pulse`, and is given up when that is told to
    /// stop.
    ///
    /// # Errors
    /// See [`open::open`]; it was told to stop.
    pub fn open_under(path: &Path, options: Options, pulse: &Arc<Pulse>) -> Result<Store, Failure> {
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
            lost: 0,
            present: None,
            jump_told: None,
            ahead: Ahead::default(),
        };
        if let Some(aside) = aside {
            store.note_damage(&aside);
        }
        Ok(store)
    }

    /// What has not been written yet, to be read along with the database.
    pub fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }

    /// Start of the newest interval that has been written, seconds since 1970 UTC.
    pub fn newest(&self) -> Option<i64> {
        self.writer.newest().ok().flatten()
    }

    /// Takes in closed intervals and writes them at once: for tests and benchmarks.
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
