//! Live interfaces: the body of a capture thread.
//!
//! Theory of operation. The thread polls the descriptors of the capture and of its orders, then
//! lets libpcap hand over all blocks that are ready. Once a second it retries an interface that is
//! absent, down or gone; the log says so once. At the end it waits for the block that the kernel
//! still holds, so that every frame seen before the signal is counted.
//!
//! New options need a new handle. The main thread opens it, which may fail, while the capture
//! thread goes on. The new handle takes over between two frames; the old one is read to its end and
//! asked for its drops. So (since Linux 4.12) every frame in the life of the thread is counted
//! once, or counted as dropped, whatever is reloaded meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};
use nix::poll::{PollFd, PollFlags, poll};

use super::error::Trouble;
use super::fanout::Group;
use super::handle::{DRAINED, Lost, is_up, timeout};
use super::interfaces::attribute;
use super::undecoded_notice;
use crate::account::{Drops, KernelErrors};
use crate::ring::Sender;

pub use super::handle::{BLOCK_TIMEOUT, Handle, Options, open};
pub use super::orders::{Change, Orders, StopSignal};

/// Between two attempts to open an interface, and between two readings of its counters.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The state of a capture thread, for others to see.
#[derive(Default)]
pub struct Status {
    capturing: AtomicBool,
    rounds: AtomicU64,
    kernel_drops: AtomicU64,
    interface_drops: AtomicU64,
    receive_errors: AtomicU64,
    receive_dropped: AtomicU64,
    transmit_errors: AtomicU64,
    transmit_dropped: AtomicU64,
    link_type: Mutex<String>,
    trouble: Mutex<Option<String>>,
    group: Mutex<Option<Group>>,
}

impl Status {
    /// Whether frames are coming in, or would if there were any.
    pub fn is_capturing(&self) -> bool {
        self.capturing.load(Ordering::Relaxed)
    }

    /// Increases with every round of the thread; the watchdog checks it.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// The frames lost, given the ring's own count.
    pub fn drops(&self, ring: u64) -> Drops {
        Drops {
            kernel: self.kernel_drops.load(Ordering::Relaxed),
            interface: self.interface_drops.load(Ordering::Relaxed),
            ring,
        }
    }

    /// The kernel's error counters of the interface.
    pub fn kernel_errors(&self) -> KernelErrors {
        KernelErrors {
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            receive_dropped: self.receive_dropped.load(Ordering::Relaxed),
            transmit_errors: self.transmit_errors.load(Ordering::Relaxed),
            transmit_dropped: self.transmit_dropped.load(Ordering::Relaxed),
        }
    }

    /// libpcap's name of the link type; empty before the first opening.
    pub fn link_type(&self) -> String {
        self.link_type.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the interface is not being captured, if it is not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The group that a handle must join to take over from the current one.
    pub fn group(&self) -> Option<Group> {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_group(&self, group: Option<Group>) {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group;
    }

    fn add(&self, lost: Lost) {
        self.kernel_drops.fetch_add(lost.kernel, Ordering::Relaxed);
        self.interface_drops.fetch_add(lost.interface, Ordering::Relaxed);
    }

    fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut held = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *held != trouble;
        *held = trouble;
        is_news
    }
}

/// The body of a capture thread: captures `name` until stopped, through all its absences. `handle`
/// is the interface if it is open already. `tried` gets a message after the first attempt to open
/// it, however that ends.
pub fn run(
    name: &str,
    mut options: Options,
    mut handle: Option<Handle>,
    mut ring: Sender,
    status: &Status,
    orders: &Orders,
    tried: &SyncSender<()>,
) {
    while !orders.stop.is_stopped() {
        status.rounds.fetch_add(1, Ordering::Relaxed);
        if let Some(change) = orders.take() {
            options = change.options;
            handle = change.handle.or(handle);
            let _ = change.done.try_send(());
        }
        let opened = handle.take().map_or_else(|| Handle::open(name, &options, None), Ok);
        let trouble = match opened {
            Ok(handle) => {
                info!("{name}: capturing");
                status.set_trouble(None);
                // It does not matter if nobody listens to `tried` any more.
                let mut reader = Reader { name, handle, leaving: None, status };
                reader.show();
                let _ = tried.try_send(());
                let ended = reader.read(&mut options, &mut ring, orders);
                status.set_group(None);
                status.capturing.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => break,
                    Err(trouble) => trouble.to_string(),
                }
            }
            Err(trouble) => trouble.to_string(),
        };
        if status.set_trouble(Some(trouble.clone())) {
            warn!("{name}: {trouble}; trying again every second");
        }
        let _ = tried.try_send(());
        orders.stop.wait(TRY_AGAIN);
    }
}

/// An interface that is being read.
struct Reader<'a> {
    name: &'a str,
    handle: Handle,
    leaving: Option<Leaving>,
    status: &'a Status,
}

/// A handle that another one has replaced.
struct Leaving {
    handle: Handle,
    /// By then it has given all its frames.
    until: Instant,
    done: SyncSender<()>,
}

impl Reader<'_> {
    /// Publishes what is open.
    fn show(&self) {
        let link_type = self.handle.link_type();
        if let Some(notice) = undecoded_notice(self.name, &link_type) {
            warn!("{notice}");
        }
        *self.status.link_type.lock().unwrap_or_else(PoisonError::into_inner) = link_type;
        self.status.set_group(self.handle.group());
        self.status.capturing.store(true, Ordering::Relaxed);
    }

    /// Captures until stopped (`Ok`) or until the interface goes away.
    fn read(
        &mut self,
        options: &mut Options,
        ring: &mut Sender,
        orders: &Orders,
    ) -> Result<(), Trouble> {
        let mut next_look = Instant::now();
        let mut until: Option<Instant> = None;
        loop {
            if let Some(change) = orders.take() {
                self.obey(change, options);
            }
            // The frames of the old handle are older.
            let mut more = Ok(false);
            if let Some(leaving) = &mut self.leaving {
                more = Ok(leaving.handle.read(ring).unwrap_or(false));
            }
            if !matches!(more, Ok(true)) {
                more = self.handle.read(ring);
            }
            ring.wake_if_filling();
            self.status.rounds.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            if now >= next_look || more.is_err() {
                note_counters(self.name, &mut self.handle, self.status);
                note_link(self.name, self.status);
                next_look = now + TRY_AGAIN;
            }
            let more = more.map_err(|e| {
                self.close_leaving();
                Trouble::of(self.name, e)
            })?;
            if self.leaving.as_ref().is_some_and(|leaving| now >= leaving.until && !more) {
                self.close_leaving();
            }
            let mut next = next_look;
            if let Some(leaving) = &self.leaving {
                next = next.min(leaving.until);
            }
            if orders.stop.is_stopped() {
                let end = *until.get_or_insert(now + DRAINED);
                if now >= end {
                    self.close_leaving();
                    note_counters(self.name, &mut self.handle, self.status);
                    return Ok(());
                }
                self.wait(None, end - now);
            } else if !more {
                self.wait(Some(&orders.stop), next.saturating_duration_since(now));
            }
        }
    }

    /// Switches to other options.
    fn obey(&mut self, change: Change, options: &mut Options) {
        self.close_leaving();
        *options = change.options;
        let again = || Handle::open(self.name, options, self.handle.group());
        let mut handle = match change.handle.map_or_else(again, Ok) {
            Ok(handle) => handle,
            Err(trouble) => {
                warn!("{}: {trouble}; going on as before until it comes back", self.name);
                let _ = change.done.try_send(());
                return;
            }
        };
        self.status.add(handle.take_over(&mut self.handle));
        let handle = std::mem::replace(&mut self.handle, handle);
        self.show();
        // Nobody may join before the old one is gone.
        self.status.set_group(None);
        let until = Instant::now() + DRAINED;
        self.leaving = Some(Leaving { handle, until, done: change.done });
    }

    /// Reads the last drops of the replaced handle, if there is one, and closes it.
    fn close_leaving(&mut self) {
        if let Some(Leaving { mut handle, done, .. }) = self.leaving.take() {
            self.status.add(handle.lost());
            drop(handle);
            self.handle.stand_alone();
            self.status.set_group(self.handle.group());
            let _ = done.try_send(());
        }
    }

    /// Sleeps until there are frames or orders, or the time is over.
    fn wait(&self, orders: Option<&StopSignal>, longest: Duration) {
        let own = self.handle.descriptor();
        let leaving = self.leaving.as_ref().map_or(own, |leaving| leaving.handle.descriptor());
        let told = orders.map_or(own, StopSignal::descriptor);
        let mut all = [own, leaving, told].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // EINTR and the like only mean that the loop goes round once more.
        let _ = poll(&mut all, timeout(longest));
        if let Some(orders) = orders {
            orders.clear();
        }
    }
}

/// Updates whether the interface is switched on. When it goes down, libpcap keeps the handle, says
/// nothing, and goes on when it is up again.
fn note_link(name: &str, status: &Status) {
    let is_up = is_up(name);
    status.capturing.store(is_up, Ordering::Relaxed);
    let trouble = (!is_up).then(|| Trouble::Down.to_string());
    match &trouble {
        Some(text) if status.set_trouble(trouble.clone()) => {
            warn!("{name}: {text}; waiting for it");
        }
        None if status.set_trouble(None) => info!("{name}: capturing again"),
        _ => {}
    }
}

/// Adds up the losses, and reads the kernel's error counters.
fn note_counters(name: &str, handle: &mut Handle, status: &Status) {
    status.add(handle.lost());
    let counter = |file: &str| -> u64 {
        attribute(name, &format!("statistics/{file}"))
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    };
    status.receive_errors.store(counter("rx_errors"), Ordering::Relaxed);
    status.receive_dropped.store(counter("rx_dropped"), Ordering::Relaxed);
    status.transmit_errors.store(counter("tx_errors"), Ordering::Relaxed);
    status.transmit_dropped.store(counter("tx_dropped"), Ordering::Relaxed);
}
