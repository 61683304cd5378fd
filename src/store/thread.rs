//! The store thread: receives the worker's messages, commits once per commit period, and does
//! deferred work in short steps in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use log::{debug, error, warn};
use serde_json::json;

use super::batch::SetBack;
use super::{Message, Pulse, Status, Store, ahead};
use crate::event::Severity;

/// Pause between two attempts to write to a disk that fails.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// The thread beats for the watchdog at least this often.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Store {
    /// The body of the store thread: writes what arrives until the sender is dropped.
    pub fn run(mut self, messages: &Receiver<Message>, status: &Status) {
        self.watch(&status.pulse);
        self.note(
            Severity::Information,
            "started",
            concat!("brightstat ", env!("CARGO_PKG_VERSION"), " has started").to_owned(),
            json!({ "version": env!("CARGO_PKG_VERSION") }),
        );
        let base = self.options.tiers.iter().find(|tier| !tier.in_memory);
        let base = Duration::from_secs(base.map_or(1, |tier| tier.seconds.into()));
        // Usually the interval that completes a commit period triggers the commit: together with
        // the open interval, no more than a period is then in memory. The time limit is for the
        // rest: events, and intervals that a full disk has held up.
        let later = |period: Duration| Instant::now() + period + period.min(base);
        let mut due = later(status.period());
        loop {
            status.pulse.beat();
            let pause = due.saturating_duration_since(Instant::now()).min(HEARTBEAT);
            let is_over = match messages.recv_timeout(pause) {
                Ok(message) => {
                    if matches!(message, Message::SetBack { .. }) {
                        // A power cut now would leave rows in the future.
                        due = Instant::now();
                    }
                    self.take(message, status);
                    let recent = self.recent.lock();
                    let waiting = u32::try_from(recent.pending.len()).unwrap_or(u32::MAX);
                    let is_enough = waiting > 0 && base.saturating_mul(waiting) >= status.period();
                    // Commit before the buffer is full: a commit period may be long, and intervals
                    // large.
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
                let reason = "brightstat has stopped".to_owned();
                self.note(Severity::Information, "stopped", reason, None);
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

    /// Makes long statements beat under this pulse from now on.
    pub(super) fn watch(&mut self, pulse: &Arc<Pulse>) {
        self.pulse = pulse.clone();
        if let Err(e) = pulse.watch(&mut self.writer.connection) {
            warn!("{}: long statements are not watched: {e}", self.path.display());
        }
    }

    /// Does a step of deferred work, if nothing is more urgent. Returns whether there is more.
    pub(super) fn tidy_up(&mut self, status: &Status) -> bool {
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
        // An error here recurs in the next commit, which reports it.
        self.writer.tidy_up(nothing_waits).unwrap_or(false)
    }

    /// Handles a message of the worker.
    pub(super) fn take(&mut self, message: Message, status: &Status) {
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
                if lost.intervals > 0 {
                    status.lost.fetch_add(lost.intervals, Ordering::Relaxed);
                    if self.lost.intervals == 0 {
                        error!(
                            "{}: there is no more memory for intervals that cannot be written; \
                             the oldest are given up",
                            self.path.display()
                        );
                    }
                    self.lost.add(lost);
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
                self.lost.set_back(now, by);
                self.present = self.present.map(|_| now);
                self.set_backs.push(SetBack { now, by });
                self.note(
                    Severity::Notice,
                    "clock_set_back",
                    format!("the clock was {by} s ahead; history has been moved"),
                    json!({ "seconds": by, "to": now }),
                );
            }
        }
    }
}
