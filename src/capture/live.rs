//! Live interfaces: the body of a capture thread.
//!
//! Theory of operation. The thread polls the capture's descriptor and a stop descriptor,
//! then lets libpcap hand over all blocks that are ready. A filter program is always
//! installed, an empty one if need be: without one libpcap copies whole frames through
//! the kernel ring instead of cutting them at the snap length. An interface that is
//! absent, down or gone is tried again once a second, and the log says so once. At the
//! end the thread waits for the block that the kernel still holds, so that every frame
//! seen before the signal is counted.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use pcap::{Active, Capture, Error, Precision, Stat};

use super::interfaces::attribute;
use super::{link_type_name, timestamp};
use crate::account::{Drops, KernelErrors};
use crate::decode::{LinkLayer, decode};
use crate::ring::{BATCH, Sender};

/// The kernel hands over a block that is not full after this time. Shorter costs
/// wake-ups on a quiet network, longer delays the page.
pub const BLOCK_TIMEOUT: Duration = Duration::from_millis(250);
/// Between two attempts to open an interface, and between two looks at its counters.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How an interface is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of each frame that are copied from the kernel.
    pub snap_length: u32,
    /// Size of the kernel's ring, bytes.
    pub kernel_buffer: u32,
    /// Whether to see frames for other stations as well.
    pub promiscuous: bool,
    /// A libpcap filter expression; empty sees everything.
    pub filter: String,
}

/// What a capture thread lets others see.
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
}

impl Status {
    /// Whether frames are coming in, or would if there were any.
    pub fn is_capturing(&self) -> bool {
        self.capturing.load(Ordering::Relaxed)
    }

    /// Counts up whenever the thread has gone round; the watchdog looks at it.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// What was lost, given the ring's own count.
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

    fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut held = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *held != trouble;
        *held = trouble;
        is_news
    }
}

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
        Ok(Arc::new(StopSignal { flag: AtomicBool::new(false), event: EventFd::new()? }))
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

    /// What becomes readable then, for a poll of one's own.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Sleeps until stopped, at most `duration`.
    fn wait(&self, duration: Duration) {
        let mut fds = [PollFd::new(self.descriptor(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, timeout(duration));
    }
}

/// Opens an interface for capture.
///
/// # Errors
/// Whatever libpcap says: no such interface, no permission, a filter that does not compile.
pub fn open(name: &str, options: &Options) -> Result<Capture<Active>, Error> {
    let mut capture = Capture::from_device(name)?
        .snaplen(i32::try_from(options.snap_length).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(options.kernel_buffer).unwrap_or(i32::MAX))
        .promisc(options.promiscuous)
        .timeout(BLOCK_TIMEOUT.as_millis() as i32)
        .precision(Precision::Nano)
        .open()?
        .setnonblock()?;
    capture.filter(&options.filter, true)?;
    Ok(capture)
}

/// The body of a capture thread: captures `name` until stopped, through all its absences.
/// `tried` hears of the first attempt to open it, however that ends.
pub fn run(
    name: &str,
    options: &Options,
    mut ring: Sender,
    status: &Status,
    stop: &StopSignal,
    tried: &SyncSender<()>,
) {
    while !stop.is_stopped() {
        status.rounds.fetch_add(1, Ordering::Relaxed);
        let trouble = match open(name, options) {
            Ok(capture) => {
                info!("{name}: capturing");
                status.set_trouble(None);
                *status.link_type.lock().unwrap_or_else(PoisonError::into_inner) =
                    link_type_name(capture.get_datalink());
                status.capturing.store(true, Ordering::Relaxed);
                // Nobody may listen any more; then nobody needs to know.
                let _ = tried.try_send(());
                let ended = read(name, capture, &mut ring, status, stop);
                status.capturing.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => break,
                    Err(e) => explain(&e),
                }
            }
            Err(e) => explain(&e),
        };
        if status.set_trouble(Some(trouble.clone())) {
            warn!("{name}: {trouble}; trying again every second");
        }
        let _ = tried.try_send(());
        stop.wait(TRY_AGAIN);
    }
}

/// Captures until stopped (`Ok`) or until the interface goes away.
fn read(
    name: &str,
    mut capture: Capture<Active>,
    ring: &mut Sender,
    status: &Status,
    stop: &StopSignal,
) -> Result<(), Error> {
    let mut seen = Stat { received: 0, dropped: 0, if_dropped: 0 };
    let link = LinkLayer::from_dlt(capture.get_datalink().0);
    let mut next_look = Instant::now();
    let mut until: Option<Instant> = None;
    loop {
        let taken = ring.fill(|slots| {
            let (mut used, most) = (0, slots.len());
            let taken = capture.dispatch(Some(most), |packet| {
                let time = timestamp(packet.header, Precision::Nano);
                // libpcap hands over no more than it was asked for.
                if let Some(slot) = slots.get_mut(used) {
                    decode(link, packet.data, packet.header.len, time, slot);
                    used += 1;
                }
            });
            (used, taken.map(|taken| taken == most))
        });
        let more = taken.unwrap_or_else(|| {
            if ring.wait_a_moment() {
                return Ok(true);
            }
            // Still no room: what comes is counted as dropped, so that the kernel's ring
            // drains and the newest frames are not the ones to be lost.
            let taken = capture.dispatch(Some(BATCH), |packet| ring.drop_frame(packet.header.len));
            taken.map(|taken| taken == BATCH)
        });
        ring.wake_if_filling();
        status.rounds.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        if now >= next_look || more.is_err() {
            note_counters(name, &mut capture, status, &mut seen);
            note_link(name, status);
            next_look = now + TRY_AGAIN;
        }
        let more = more?;
        if stop.is_stopped() {
            // The block that the kernel is filling comes after the block timeout.
            let end = *until.get_or_insert(now + BLOCK_TIMEOUT + Duration::from_millis(50));
            if now >= end {
                note_counters(name, &mut capture, status, &mut seen);
                return Ok(());
            }
            wait(&capture, None, end - now);
        } else if !more {
            wait(&capture, Some(stop), next_look.saturating_duration_since(now));
        }
    }
}

/// Sleeps until frames are there, the thread is to stop, or the time is over.
fn wait(capture: &Capture<Active>, stop: Option<&StopSignal>, longest: Duration) {
    let frames = PollFd::new(capture.as_fd(), PollFlags::POLLIN);
    // EINTR and the like only mean that the loop goes round once more.
    let _ = match stop {
        Some(stop) => {
            let stop = PollFd::new(stop.descriptor(), PollFlags::POLLIN);
            poll(&mut [frames, stop], timeout(longest))
        }
        None => poll(&mut [frames], timeout(longest)),
    };
}

fn timeout(duration: Duration) -> PollTimeout {
    // Rounded up: a poll of 0 ms in a loop would burn the CPU for the last millisecond.
    let milliseconds = u16::try_from(duration.as_millis() + 1).unwrap_or(u16::MAX);
    PollTimeout::from(milliseconds)
}

/// Notes whether the interface is switched on. libpcap keeps a handle whose interface goes
/// down, says nothing, and goes on when it is up again.
fn note_link(name: &str, status: &Status) {
    const IFF_UP: u32 = 1;
    let flags = attribute(name, "flags");
    let flags = flags.and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    let is_up = flags.is_none_or(|flags| flags & IFF_UP != 0);
    status.capturing.store(is_up, Ordering::Relaxed);
    let trouble = (!is_up).then(|| DOWN.to_owned());
    match &trouble {
        Some(text) if status.set_trouble(trouble.clone()) => {
            warn!("{name}: {text}; waiting for it");
        }
        None if status.set_trouble(None) => info!("{name}: capturing again"),
        _ => {}
    }
}

const DOWN: &str = "the interface is down ('ip link set up' brings it up)";

/// Adds up libpcap's drop counters, which are 32 bits wide and start again at each
/// opening, and reads the kernel's error counters.
fn note_counters(name: &str, capture: &mut Capture<Active>, status: &Status, seen: &mut Stat) {
    if let Ok(stat) = capture.stats() {
        let dropped = stat.dropped.wrapping_sub(seen.dropped);
        let if_dropped = stat.if_dropped.wrapping_sub(seen.if_dropped);
        status.kernel_drops.fetch_add(u64::from(dropped), Ordering::Relaxed);
        status.interface_drops.fetch_add(u64::from(if_dropped), Ordering::Relaxed);
        *seen = stat;
    }
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

/// libpcap's message as one clause with the remedy.
pub fn explain(error: &Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("libpcap error: ").unwrap_or(&text);
    let text = text.trim_end_matches('.');
    if text.contains("No such device") || text.contains("disappeared") {
        "there is no such interface (see 'brightstat interfaces')".to_owned()
    } else if text.contains("not up") || text.contains("went down") || text.contains("is down") {
        DOWN.to_owned()
    } else if text.contains("permission") || text.contains("not permitted") {
        "no permission to capture: run as root or with the capability CAP_NET_RAW".to_owned()
    } else {
        text.to_owned()
    }
}
