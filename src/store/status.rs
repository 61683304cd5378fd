//! State that the store thread shares with the web and the main thread, and its commit period.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::pulse::Pulse;

/// State that the store thread shares with others.
#[derive(Default)]
pub struct Status {
    pub(super) pulse: Arc<Pulse>,
    pub(super) committed: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) is_failing: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Commit period, milliseconds; may be changed while the thread runs.
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
        let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        self.period.store(period, Ordering::Relaxed);
    }

    pub(super) fn period(&self) -> Duration {
        Duration::from_millis(self.period.load(Ordering::Relaxed))
    }

    /// The heartbeat of the thread.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Counts up while the thread is alive; the watchdog reads it.
    pub fn heartbeat(&self) -> u64 {
        self.pulse.beats()
    }

    /// The daemon is about to stop: the thread abandons deferred work, and writes what is left once
    /// the sender of its messages is dropped.
    pub fn stop(&self) {
        self.pulse.stop();
    }

    /// Intervals written since the start.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Intervals that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Intervals that were dropped because the disk failed for too long.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why writing fails, if it does.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        self.is_failing.store(trouble.is_some(), Ordering::Relaxed);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}
