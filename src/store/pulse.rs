//! The pulse of the store thread: it goes on during a long statement, and ends one.
//!
//! The rule of this room: what the store thread does without bound is proportional to the new
//! rows. Everything longer goes in steps, between which intervals are written, or is watched
//! by SQLite's progress handler: that beats for the watchdog, and ends what can be done again
//! later when the daemon is to stop.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::{Connection, Result};

/// Steps of SQLite's virtual machine between two beats: well under a millisecond of work, or
/// the time in which a slow card reads some pages.
const STEPS: c_int = 1_000;

/// Beats while the store thread works.
#[derive(Default)]
pub struct Pulse {
    beats: AtomicU64,
    is_stopping: AtomicBool,
    /// Whether the work at hand has to be done before the daemon may stop.
    is_needed: AtomicBool,
}

impl Pulse {
    /// Counts up while the thread works or waits for work.
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The daemon is about to stop: work that can wait for the next start is given up.
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

    /// Beats during the statements of a connection, and interrupts those that can wait.
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

    /// Does work that is not interrupted: what arrived has to be written.
    pub(super) fn needed<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_needed.store(true, Ordering::Relaxed);
        let result = work();
        self.is_needed.store(false, Ordering::Relaxed);
        result
    }
}
