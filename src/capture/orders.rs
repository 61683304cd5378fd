//! Orders of the main thread to a capture thread: to finish, or to go on with a new handle that has
//! other options. An eventfd wakes the thread's poll. To look for an order costs it an atomic read.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::handle::{Handle, Options, timeout};

/// Tells threads to finish: a flag, and a descriptor that wakes their poll.
pub struct StopSignal {
    flag: AtomicBool,
    event: EventFd,
}

impl StopSignal {
    /// Not stopped yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> Result<Arc<StopSignal>, Errno> {
        Ok(Arc::new(StopSignal {
            flag: AtomicBool::new(false),
            event: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        }))
    }

    /// Stops every thread that watches this signal.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::SeqCst);
        // Fails only if the counter would overflow; the flag is set in any case.
        let _ = self.event.write(1);
    }

    /// Whether [`StopSignal::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// The descriptor that a stop makes readable, for the caller's poll.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Sleeps until stopped or woken, at most `duration`.
    pub(super) fn wait(&self, duration: Duration) {
        let mut fds = [PollFd::new(self.descriptor(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, timeout(duration));
        self.clear();
    }

    /// Ends a wake that was no stop. Call it before reading what the wake was for.
    pub(super) fn clear(&self) {
        if !self.is_stopped() {
            let _ = self.event.read();
        }
    }
}

/// The orders of a capture thread.
pub struct Orders {
    pub(super) stop: Arc<StopSignal>,
    is_new: AtomicBool,
    change: Mutex<Option<Change>>,
}

/// New options for an interface.
pub struct Change {
    /// The options.
    pub options: Options,
    /// The interface, opened with them; none if it cannot be opened now.
    pub handle: Option<Handle>,
    /// Gets a message when they are in force.
    pub done: SyncSender<()>,
}

impl Orders {
    /// No orders yet.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> Result<Arc<Orders>, Errno> {
        let stop = StopSignal::new()?;
        Ok(Arc::new(Orders { stop, is_new: AtomicBool::new(false), change: Mutex::default() }))
    }

    /// Tells the thread to end.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Orders the thread to go on with other options.
    pub fn change(&self, change: Change) {
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
        self.is_new.store(true, Ordering::SeqCst);
        let _ = self.stop.event.write(1);
    }

    /// The pending change. Without one this costs an atomic read.
    pub(super) fn take(&self) -> Option<Change> {
        if !self.is_new.load(Ordering::SeqCst) {
            return None;
        }
        self.is_new.store(false, Ordering::SeqCst);
        self.change.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
