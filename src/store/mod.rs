//! History in SQLite. The store thread is the only writer.
//!
//! Closed intervals gather in memory and are written in one transaction per commit
//! period. If the disk is full or fails, they wait (bounded, the oldest go first and are
//! counted) and the capture goes on. [`write`] adds to rows that are there already, so
//! that a minute in which the daemon was restarted holds both parts.

pub mod kind;
pub mod query;
pub mod question;
mod rows;
pub mod schema;
mod write;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{error, info};
use rusqlite::Connection;

use crate::account::ClosedInterval;
use crate::config::Tier;
use crate::failure::Failure;

/// Intervals that wait for the disk at most: a day of minutes.
const WAITING_MOST: usize = 1_440;
/// Between two attempts to write to a disk that fails.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// How often the thread shows that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);

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

/// What the store thread lets others see.
#[derive(Default)]
pub struct Status {
    heartbeat: AtomicU64,
    committed: AtomicU64,
    waiting: AtomicU64,
    lost: AtomicU64,
    is_failing: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Commit period, seconds; may be changed while the thread runs.
    period: AtomicU64,
}

impl Status {
    /// With this commit period.
    pub fn new(period: Duration) -> Status {
        let status = Status::default();
        status.set_period(period);
        status
    }

    /// Changes the commit period.
    pub fn set_period(&self, period: Duration) {
        self.period.store(period.as_secs(), Ordering::Relaxed);
    }

    /// Counts up while the thread is alive; the watchdog looks at it.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// Intervals written since the start.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Intervals that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Intervals that were given up because the disk failed for too long.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why writing fails, if it does.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.is_failing.store(trouble.is_some(), Ordering::Relaxed);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// The database, opened for writing.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    keep: Duration,
}

impl Store {
    /// Opens or makes the database; minutes older than `keep` are deleted as time goes on.
    ///
    /// # Errors
    /// See [`schema::open`].
    pub fn open(path: &Path, tiers: &[Tier]) -> Result<Store, Failure> {
        let keep = tiers.first().map_or(Duration::MAX, |tier| tier.keep);
        Ok(Store { connection: schema::open(path)?, path: path.to_owned(), keep })
    }

    /// The body of the store thread: writes what comes until the sender is gone.
    pub fn run(mut self, messages: &Receiver<Message>, status: &Status) {
        let mut waiting = VecDeque::new();
        let mut due = Instant::now() + Duration::from_secs(status.period.load(Ordering::Relaxed));
        loop {
            status.heartbeat.fetch_add(1, Ordering::Relaxed);
            let pause = due.saturating_duration_since(Instant::now()).min(HEARTBEAT);
            let is_over = match messages.recv_timeout(pause) {
                Ok(Message::Closed(interval)) => {
                    waiting.push_back(interval);
                    false
                }
                Ok(_) => false,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            while waiting.len() > WAITING_MOST {
                waiting.pop_front();
                status.lost.fetch_add(1, Ordering::Relaxed);
            }
            status.waiting.store(waiting.len() as u64, Ordering::Relaxed);
            if is_over || Instant::now() >= due {
                let is_written = self.commit(&mut waiting, status);
                let period = Duration::from_secs(status.period.load(Ordering::Relaxed));
                due = Instant::now() + if is_written { period } else { TRY_AGAIN.min(period) };
            }
            if is_over {
                return;
            }
        }
    }

    /// Writes what waits in one transaction; what could not be written goes on waiting.
    fn commit(&mut self, waiting: &mut VecDeque<ClosedInterval>, status: &Status) -> bool {
        let shown = self.path.display();
        match write::write(&mut self.connection, waiting, self.keep) {
            Ok(()) => {
                status.committed.fetch_add(waiting.len() as u64, Ordering::Relaxed);
                waiting.clear();
                status.waiting.store(0, Ordering::Relaxed);
                if status.is_failing.load(Ordering::Relaxed) {
                    info!("{shown}: writing works again");
                }
                status.set_trouble(None);
                true
            }
            Err(e) => {
                let text = match e.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::DiskFull) => "the disk is full; make room".to_owned(),
                    _ => e.to_string(),
                };
                if !status.is_failing.load(Ordering::Relaxed) {
                    error!(
                        "{shown}: cannot write history: {text}; counting goes on, {} intervals wait in memory",
                        waiting.len()
                    );
                }
                status.set_trouble(Some(text));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
