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
mod catalog;
mod gathered;
mod grid;
pub mod kind;
pub mod open;
mod pulse;
pub mod query;
pub mod question;
mod reading;
mod recent;
mod retention;
mod rows;
mod scan;
pub mod schema;
mod status;
mod sweep;
mod tables;
mod tiers;
mod work;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{debug, error, info, warn};
use rusqlite::ErrorCode;

use crate::account::ClosedInterval;
use crate::config::Tier;
use crate::failure::Failure;
use ahead::Ahead;
use write::{Batch, Event, SetBack, Writer};

pub use pulse::Pulse;
pub use recent::Recent;
use retention::PACE;
use rows::Interval;
pub use rows::Limits;
pub use status::Status;

/// Between two attempts to write to a disk that fails.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Events that wait for the disk at most.
const EVENTS_MOST: usize = 100;
/// A time without rows that is told, seconds, if the finest tier is not kept for longer.
const JUMP: i64 = 86_400;
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
    /// See [`open::open`].
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
        let (writer, aside) = begin(path, &options, pulse)?;
        let mut store = Store {
            writer,
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

    /// The body of the store thread: writes what comes until the sender is gone.
    pub fn run(mut self, messages: &Receiver<Message>, status: &Status) {
        self.watch(&status.pulse);
        self.note(
            "started",
            concat!("brightstat ", env!("CARGO_PKG_VERSION"), " has started").to_owned(),
        );
        let base = self.options.tiers.iter().find(|tier| !tier.in_memory);
        let base = Duration::from_secs(base.map_or(1, |tier| tier.seconds.into()));
        // In the usual way a commit comes with the interval that makes a period's worth wait.
        // Together with the one that is open no more than a period is in memory then. The
        // time is for what comes without: events, and what a full disk has held up.
        let later = |period: Duration| Instant::now() + period + period.min(base);
        let mut due = later(status.period());
        loop {
            status.pulse.beat();
            let pause = due.saturating_duration_since(Instant::now()).min(HEARTBEAT);
            let is_over = match messages.recv_timeout(pause) {
                Ok(message) => {
                    if matches!(message, Message::SetBack { .. }) {
                        // Should the power go now, rows would stay in the future.
                        due = Instant::now();
                    }
                    self.take(message, status);
                    let recent = self.recent.lock();
                    let waiting = u32::try_from(recent.pending.len()).unwrap_or(u32::MAX);
                    let is_enough = waiting > 0 && base.saturating_mul(waiting) >= status.period();
                    // Before there is no room for more: a commit period may be long, and
                    // intervals large.
                    let is_much = recent.is_much();
                    drop(recent);
                    if !status.is_failing.load(Ordering::Relaxed) && (is_enough || is_much) {
                        due = Instant::now();
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            if is_over {
                self.note("stopped", "brightstat has stopped".to_owned());
            }
            if is_over || Instant::now() >= due {
                let is_written = self.commit(is_over, status);
                let period = status.period();
                due =
                    if is_written { later(period) } else { Instant::now() + TRY_AGAIN.min(period) };
            }
            if !is_over {
                self.tidy_up(status);
            } else {
                let waiting = status.waiting();
                if waiting > 0 {
                    error!(
                        "{}: {waiting} intervals could not be written and are lost",
                        self.path.display()
                    );
                }
                return;
            }
        }
    }

    /// Has long statements beat under this pulse from now on.
    fn watch(&mut self, pulse: &Arc<Pulse>) {
        self.pulse = pulse.clone();
        if let Err(e) = pulse.watch(&mut self.writer.connection) {
            warn!("{}: long statements are not watched: {e}", self.path.display());
        }
    }

    /// Does a step of what can wait, if nothing is more urgent. Returns whether there is more.
    fn tidy_up(&mut self, status: &Status) -> bool {
        if self.pulse.is_stopping() || status.is_failing.load(Ordering::Relaxed) {
            return false;
        }
        if let Some(present) = self.present {
            match self.ahead.step(&mut self.writer, &self.path, &self.pulse, present) {
                Ok(ahead::Step::More) => return true,
                Ok(ahead::Step::Done(None)) => {}
                Ok(ahead::Step::Done(Some(moved))) => self.tell_of_rows_ahead(&moved),
                // The next step tries again.
                Err(failure) => debug!("{failure}"),
            }
        }
        let nothing_waits = self.recent.lock().pending.is_empty();
        // What fails here fails in the next commit as well, which says so.
        self.writer.tidy_up(nothing_waits).unwrap_or(false)
    }

    /// Takes in what the worker says.
    fn take(&mut self, message: Message, status: &Status) {
        let base = self.options.tiers.iter().find(|tier| !tier.in_memory);
        let base = base.map_or(1, |tier| i64::from(tier.seconds));
        match message {
            Message::Closed(closed) => {
                self.present = Some(closed.start.saturating_add(base));
                let interval = self.writer.interval(&closed);
                self.writer.write_names();
                let mut recent = self.recent.lock();
                let lost = recent.add(interval);
                let waiting = recent.pending.len() as u64;
                drop(recent);
                status.waiting.store(waiting, Ordering::Relaxed);
                if lost > 0 {
                    status.lost.fetch_add(lost, Ordering::Relaxed);
                    if self.lost == 0 {
                        error!(
                            "{}: there is no more memory for intervals that cannot be written; \
                             the oldest are given up",
                            self.path.display()
                        );
                    }
                    self.lost += lost;
                }
            }
            Message::Fine(closed) => {
                let interval = self.writer.interval(&closed);
                self.writer.write_names();
                let tier = self.options.tiers.first();
                let most =
                    tier.map_or(0, |tier| tier.keep.as_secs() / u64::from(tier.seconds.max(1)));
                self.recent.lock().add_fine(&interval, usize::try_from(most).unwrap_or(usize::MAX));
            }
            Message::SetBack { now, by } => {
                self.recent.lock().set_back(now, by, base);
                self.present = self.present.map(|_| now);
                self.set_backs.push(SetBack { now, by });
                self.note(
                    "clock_set_back",
                    format!("the clock was {by} s ahead; history has been moved"),
                );
            }
        }
    }

    fn note(&mut self, kind: &'static str, message: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // Should the disk fail for long: the newest are enough to tell the story.
        if self.events.len() >= EVENTS_MOST {
            self.events.remove(0);
        }
        self.events.push(Event { time, kind, message });
    }

    fn note_damage(&mut self, aside: &Path) {
        let message = format!("the database was damaged and is kept as {}", aside.display());
        self.note("database_damaged", message);
    }

    /// Writes what waits in one transaction; what could not be written goes on waiting.
    fn commit(&mut self, is_last: bool, status: &Status) -> bool {
        let pulse = self.pulse.clone();
        pulse.needed(|| self.write_all(is_last, status))
    }

    fn write_all(&mut self, is_last: bool, status: &Status) -> bool {
        let mut result = self.try_commit(is_last, status);
        if let Err(error) = &result
            && let Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =
                error.sqlite_error_code()
        {
            match self.begin_anew(&error.to_string()) {
                Ok(()) => result = self.try_commit(is_last, status),
                Err(failure) => error!("{failure}"),
            }
        }
        let shown = self.path.display();
        match result {
            Ok(()) => {
                if status.is_failing.load(Ordering::Relaxed) {
                    info!("{shown}: writing works again");
                }
                status.set_trouble(None);
                true
            }
            Err(e) => {
                let text = match e.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => "the disk is full; make room".to_owned(),
                    _ => e.to_string(),
                };
                if !status.is_failing.load(Ordering::Relaxed) {
                    error!(
                        "{shown}: cannot write history: {text}; counting goes on, {} intervals wait in memory",
                        status.waiting()
                    );
                    self.note("write_failed", text.clone());
                }
                status.set_trouble(Some(text));
                false
            }
        }
    }

    fn try_commit(&mut self, is_last: bool, status: &Status) -> rusqlite::Result<()> {
        if self.lost > 0 {
            // Once it is written, with all that there were.
            self.events.retain(|event| event.kind != "history_lost");
            let lost = self.lost;
            self.note(
                "history_lost",
                format!("{lost} intervals were given up as the disk failed for too long"),
            );
        }
        // A copy, so that web threads need not wait for the disk.
        let waiting: Vec<Interval> = self.recent.lock().pending.values().cloned().collect();
        self.tell_of_a_jump(waiting.first())?;
        let batch = Batch {
            intervals: waiting.iter().collect(),
            present: self.present,
            set_backs: &self.set_backs,
            events: &self.events,
            is_last,
        };
        let recent = &self.recent;
        self.writer.commit(&batch, |transaction| {
            // A reader that holds the lock sees what waits and what is written as one.
            let mut recent = recent.lock();
            transaction.commit()?;
            recent.pending.clear();
            Ok(())
        })?;
        status.committed.fetch_add(waiting.len() as u64, Ordering::Relaxed);
        let base = self.writer.tiers.first().map_or(1, |tier| tier.seconds);
        if !self.set_backs.is_empty() {
            self.ahead.begin_again();
        }
        self.ahead.note_arrival(base.saturating_mul(waiting.len() as i64));
        status.waiting.store(0, Ordering::Relaxed);
        self.set_backs.clear();
        self.events.clear();
        self.lost = 0;
        Ok(())
    }

    /// Says so if the clock has jumped over a time longer than the finest tier is kept, and
    /// what that lets go.
    fn tell_of_a_jump(&mut self, first: Option<&Interval>) -> rusqlite::Result<()> {
        let newest = if self.set_backs.is_empty() { self.writer.newest()? } else { None };
        let (Some(first), Some(newest)) = (first, newest) else { return Ok(()) };
        let least = self.writer.tiers.first().map_or(0, |tier| tier.keep).max(JUMP);
        if first.start.saturating_sub(newest) <= least || self.jump_told == Some(newest) {
            return Ok(());
        }
        self.jump_told = Some(newest);
        let tiers = self.writer.too_old(self.present.unwrap_or(first.start))?;
        let gone = match tiers.is_empty() {
            true => String::new(),
            false => format!(
                "; rows of {} are too old by it and go, {PACE} seconds for each one that is recorded",
                tiers.join(", ")
            ),
        };
        let message = format!(
            "the clock is {} days past the newest row; if that is wrong, set it right{gone}",
            (first.start - newest) / 86_400
        );
        warn!("{}: {message}", self.path.display());
        self.note("clock_jumped", message);
        Ok(())
    }

    fn tell_of_rows_ahead(&mut self, moved: &ahead::Moved) {
        let message = format!(
            "rows up to {} days ahead of the clock, {} intervals, are kept in {}; `brightstat query \
             --database` shows them",
            (moved.newest - self.present.unwrap_or(0)) / 86_400 + 1,
            moved.intervals,
            moved.file.display()
        );
        warn!("{}: {message}", self.path.display());
        self.note("history_ahead", message);
    }

    /// The database is damaged: moves it aside and begins a new one.
    fn begin_anew(&mut self, what: &str) -> Result<(), Failure> {
        let aside = open::move_aside(&self.path)?;
        warn!(
            "{}: the database is damaged ({what}); kept as {} and begun anew",
            self.path.display(),
            aside.display()
        );
        let (writer, _) = begin(&self.path, &self.options, &self.pulse)?;
        self.writer.take_over(writer);
        self.note_damage(&aside);
        Ok(())
    }
}

fn begin(
    path: &Path,
    options: &Options,
    pulse: &Arc<Pulse>,
) -> Result<(Writer, Option<PathBuf>), Failure> {
    let (connection, aside) = open::open_under(path, pulse)?;
    open::compact_if_worth_it(&connection, options.max_size);
    let writer = Writer::new(connection, &options.tiers, options.limits, options.max_size)
        .map_err(|e| open::failure(path, &e))?;
    Ok((writer, aside))
}

#[cfg(test)]
mod tests;
