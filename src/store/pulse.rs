//! The heartbeat of the store thread: it beats during a long statement, and can interrupt one.
//!
//! The rule of this room: uninterrupted work of the store thread is proportional to the new rows.
//! Anything longer is split into steps, with commits in between, or runs under SQLite's progress
//! handler. That beats for the watchdog and, when the daemon stops, interrupts what can be redone
//! later.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::{Connection, Result};

/// Steps of SQLite's virtual machine between two beats: well under a millisecond of work, or the
/// time in which a slow card reads some pages.
const STEPS: c_int = 1_000;

/// Counts the beats of the store thread, and passes it the request to stop.
#[derive(Default)]
pub struct Pulse {
    beats: AtomicU64,
    is_stopping: AtomicBool,
    /// Whether the current work must be finished before the daemon stops.
    is_needed: AtomicBool,
}

impl Pulse {
    /// Counts up while the thread works or waits for work.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The daemon is about to stop: interrupts work that can wait for the next start.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the daemon is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Beats during the statements of a connection; on a stop, interrupts those that can wait.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> Result<()> {
        let pulse = self.clone();
        connection.progress_handler(
            STEPS,
            Some(move || {
                pulse.beat();
                pulse.is_stopping() && !pulse.is_needed.load(Ordering::Relaxed)
            }),
        )
    }

    /// Runs work that is not interrupted: what arrived must be written.
    pub(super) fn needed<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_needed.store(true, Ordering::Relaxed);
        let result = work();
        self.is_needed.store(false, Ordering::Relaxed);
        result
    }
}
