//! The bounded ring between a capture thread and the worker thread.
//!
//! One ring per capture: a single producer (the capture thread), a single consumer (the worker). It
//! is built on `rtrb`, whose push and pop are wait-free, and adds what we owe the user on top:
//! counted drops, and waking without a system call per frame.
//!
//! Theory of operation: the worker drains its rings once a second of its own accord. A producer
//! wakes it earlier only when a ring is half full: an idle or slow network costs no wake-ups, and a
//! fast one never fills the ring unseen. A producer that reads a file may wait for room: it sleeps
//! until the worker has drained half. A live one waits 40 ms at most, while the kernel's ring
//! fills, and then counts drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::decode::PacketRecord;

/// Records in a ring by default: 256 KiB of them. The kernel's ring bridges bursts; twice as many
/// records here cost memory and save no wake-ups.
pub const DEFAULT_CAPACITY: usize = 4_096;

/// The most records that are pushed at once.
pub const BATCH: usize = 256;

const COPIED_AT_ONCE: usize = 24;

/// State that both ends share.
#[derive(Default)]
struct Shared {
    dropped_frames: AtomicU64,
    dropped_bytes: AtomicU64,
    producer_waits: AtomicBool,
    producer_is_gone: AtomicBool,
}

/// The capture thread's end.
pub struct Sender {
    ring: Producer<PacketRecord>,
    batch: Box<[PacketRecord; BATCH]>,
    shared: Arc<Shared>,
    worker: Thread,
    /// Free slots at which the worker is woken.
    wake_at: usize,
}

/// The worker's end.
pub struct Receiver {
    ring: Consumer<PacketRecord>,
    shared: Arc<Shared>,
    producer: Option<Thread>,
}

/// Makes a ring for `capacity` records whose consumer is the thread `worker`.
///
/// A `capacity` below 16 counts as 16.
pub fn ring(capacity: usize, worker: Thread) -> (Sender, Receiver) {
    let capacity = capacity.max(16);
    let (producer, consumer) = RingBuffer::new(capacity);
    let shared = Arc::new(Shared::default());
    let sender = Sender {
        ring: producer,
        batch: Box::new([PacketRecord::default(); BATCH]),
        shared: shared.clone(),
        worker,
        wake_at: capacity / 2,
    };
    (sender, Receiver { ring: consumer, shared, producer: None })
}

impl Sender {
    /// Lets `read` write records for which the ring has room, at most [`BATCH`] of them, and pushes
    /// them. `read` gets slots with old records in them and returns how many it has written, from
    /// the first on. Returns `None` if the ring is full.
    ///
    /// One copy of a whole batch costs less than a push per record.
    #[inline]
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut [PacketRecord]) -> (usize, R)) -> Option<R> {
        let room = self.ring.slots().min(BATCH);
        if room == 0 {
            return None;
        }
        let (used, result) = read(&mut self.batch[..room]);
        // Pieces stay below 2 KiB: from there on glibc copies with `rep movsb`, which pays only for
        // larger copies. There is room: this is the only producer.
        for piece in self.batch[..used.min(room)].chunks(COPIED_AT_ONCE) {
            let _ = self.ring.push_partial_slice(piece);
        }
        Some(result)
    }

    /// Counts a frame of a live capture for which the ring had no room.
    #[cold]
    pub fn drop_frame(&self, wire_len: u32) {
        self.shared.dropped_frames.fetch_add(1, Ordering::Relaxed);
        self.shared.dropped_bytes.fetch_add(u64::from(wire_len), Ordering::Relaxed);
    }

    /// Waits a moment for room, as a live capture may: meanwhile the kernel's ring, which is much
    /// larger than ours, takes the burst. Returns whether there is room.
    #[cold]
    pub fn wait_a_moment(&mut self) -> bool {
        const PAUSES: u32 = 40;
        (0..PAUSES).any(|_| {
            self.worker.unpark();
            thread::park_timeout(Duration::from_millis(1));
            self.ring.slots() > 0
        })
    }

    /// Waits until half of the ring is free, as a reader of files may. Returns `false` if
    /// the worker is gone.
    #[cold]
    pub fn wait_for_room(&mut self) -> bool {
        loop {
            if self.ring.is_abandoned() {
                return false;
            }
            self.shared.producer_waits.store(true, Ordering::SeqCst);
            if self.ring.slots() >= self.ring.buffer().capacity() / 2 {
                self.shared.producer_waits.store(false, Ordering::SeqCst);
                return true;
            }
            self.worker.unpark();
            // The timeout only bounds the wait should the worker die.
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Wakes the worker if the ring fills up. Called once per batch, not per record.
    #[inline]
    pub fn wake_if_filling(&mut self) {
        if self.ring.slots() <= self.wake_at {
            self.worker.unpark();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // `rtrb` sets its own mark only after this, too late for the woken worker.
        self.shared.producer_is_gone.store(true, Ordering::Release);
        self.worker.unpark();
    }
}

impl Receiver {
    /// Sets the thread to wake when a waiting producer has room again.
    pub fn set_producer(&mut self, producer: Thread) {
        self.producer = Some(producer);
    }

    /// Passes at most `limit` records to `count`, oldest first, in one or two pieces; returns how
    /// many.
    #[inline]
    pub fn drain(&mut self, limit: usize, mut count: impl FnMut(&[PacketRecord])) -> usize {
        let ready = self.ring.slots().min(limit);
        let Ok(chunk) = self.ring.read_chunk(ready) else {
            return 0;
        };
        let (first, second) = chunk.as_slices();
        // One call site, so that the counting is inlined into the loop.
        for piece in [first, second] {
            count(piece);
        }
        chunk.commit_all();
        if self.shared.producer_waits.load(Ordering::SeqCst)
            && self.ring.slots() <= self.ring.buffer().capacity() / 2
        {
            self.shared.producer_waits.store(false, Ordering::SeqCst);
            if let Some(producer) = &self.producer {
                producer.unpark();
            }
        }
        ready
    }

    /// Whether the producer is gone and every record has been drained.
    pub fn is_finished(&self) -> bool {
        // In this order, the ring shows all that was pushed before the producer went.
        self.shared.producer_is_gone.load(Ordering::Acquire) && self.ring.is_empty()
    }

    /// Frames and wire bytes lost so far because the ring was full.
    pub fn dropped(&self) -> (u64, u64) {
        (
            self.shared.dropped_frames.load(Ordering::Relaxed),
            self.shared.dropped_bytes.load(Ordering::Relaxed),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts records with these wire lengths into the ring, dropping those without room.
    fn offer(sender: &mut Sender, lengths: impl IntoIterator<Item = u32>) {
        for wire_len in lengths {
            let written = sender.fill(|slots| {
                slots[0].wire_len = wire_len;
                (1, ())
            });
            if written.is_none() {
                sender.drop_frame(wire_len);
            }
        }
    }

    #[test]
    fn records_come_out_in_the_order_they_went_in() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        let mut seen = Vec::new();
        for round in 0..5 {
            offer(&mut sender, round * 10..round * 10 + 10);
            receiver.drain(usize::MAX, |piece| seen.extend(piece.iter().map(|r| r.wire_len)));
        }
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn slots_that_were_not_used_are_not_sent() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        assert_eq!(sender.fill(|slots| (3, slots.len())), Some(16));
        assert_eq!(receiver.drain(usize::MAX, |_| ()), 3);
    }

    #[test]
    fn a_full_ring_counts_what_it_drops() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        offer(&mut sender, [100; 20]);
        assert_eq!(receiver.drain(usize::MAX, |_| ()), 16);
        assert_eq!(receiver.dropped(), (4, 400));
    }

    #[test]
    fn a_producer_that_may_wait_loses_nothing() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        let producer = thread::spawn(move || {
            let mut next = 0;
            while next < 10_000 {
                let written = sender.fill(|slots| {
                    for slot in slots.iter_mut() {
                        slot.wire_len = next;
                        next += 1;
                    }
                    (slots.len(), ())
                });
                if written.is_none() {
                    assert!(sender.wait_for_room());
                }
            }
        });
        receiver.set_producer(producer.thread().clone());
        let mut next = 0;
        while !receiver.is_finished() {
            let count = |piece: &[PacketRecord]| {
                for record in piece {
                    assert_eq!(record.wire_len, next);
                    next += 1;
                }
            };
            if receiver.drain(7, count) == 0 {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
        producer.join().unwrap();
        assert!((10_000..10_016).contains(&next));
        assert_eq!(receiver.dropped(), (0, 0));
    }

    #[test]
    fn a_ring_is_finished_only_when_it_is_also_empty() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        offer(&mut sender, [1]);
        drop(sender);
        assert!(!receiver.is_finished());
        receiver.drain(usize::MAX, |_| ());
        assert!(receiver.is_finished());
    }
}
