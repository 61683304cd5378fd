//! The bounded ring between a capture thread and the worker thread.
//!
//! One ring per interface: single producer (the capture thread), single consumer (the
//! worker). Built on `rtrb`, whose push and pop are wait-free; this module adds what we
//! owe the user on top: counted drops, and waking without a system call per frame.
//!
//! Theory of operation: the worker looks at its rings once a second of its own accord.
//! A producer wakes it earlier only when a ring is a quarter full, so that an idle or
//! slow network costs no wake-ups and a fast one never fills the ring unseen. A producer
//! that reads a file may wait for room; it then sleeps until the worker has drained half.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::decode::PacketRecord;

/// Records a ring holds by default: 1 MiB of them.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// What both ends see of a ring.
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
/// A `capacity` below 16 is taken as 16.
pub fn ring(capacity: usize, worker: Thread) -> (Sender, Receiver) {
    let capacity = capacity.max(16);
    let (producer, consumer) = RingBuffer::new(capacity);
    let shared = Arc::new(Shared::default());
    let sender =
        Sender { ring: producer, shared: shared.clone(), worker, wake_at: capacity / 4 * 3 };
    (sender, Receiver { ring: consumer, shared, producer: None })
}

impl Sender {
    /// Pushes a record of a live capture; when the ring is full, counts a ring drop.
    #[inline]
    pub fn offer(&mut self, record: PacketRecord) {
        if self.ring.push(record).is_err() {
            self.drop_record(&record);
        }
    }

    #[cold]
    fn drop_record(&self, record: &PacketRecord) {
        self.shared.dropped_frames.fetch_add(1, Ordering::Relaxed);
        self.shared.dropped_bytes.fetch_add(u64::from(record.wire_len), Ordering::Relaxed);
        self.worker.unpark();
    }

    /// Pushes a record of a capture file, waiting for room if need be. Returns `false`
    /// if the worker is gone.
    #[inline]
    pub fn send(&mut self, record: PacketRecord) -> bool {
        match self.ring.push(record) {
            Ok(()) => true,
            Err(_) => self.send_slowly(record),
        }
    }

    #[cold]
    fn send_slowly(&mut self, record: PacketRecord) -> bool {
        loop {
            if self.ring.is_abandoned() {
                return false;
            }
            self.shared.producer_waits.store(true, Ordering::SeqCst);
            if self.ring.push(record).is_ok() {
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

    /// Frames lost so far because the ring was full.
    pub fn dropped_frames(&self) -> u64 {
        self.shared.dropped_frames.load(Ordering::Relaxed)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The ring's own mark is set only after this, too late for the worker to see it.
        self.shared.producer_is_gone.store(true, Ordering::Release);
        self.worker.unpark();
    }
}

impl Receiver {
    /// Tells the receiver whom to wake when a waiting producer has room again.
    pub fn set_producer(&mut self, producer: Thread) {
        self.producer = Some(producer);
    }

    /// Hands at most `limit` records to `count`, oldest first; returns how many.
    #[inline]
    pub fn drain(&mut self, limit: usize, mut count: impl FnMut(&PacketRecord)) -> usize {
        let ready = self.ring.slots().min(limit);
        let Ok(chunk) = self.ring.read_chunk(ready) else {
            return 0;
        };
        let (first, second) = chunk.as_slices();
        for record in first {
            count(record);
        }
        for record in second {
            count(record);
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
        // In this order: what was pushed before the producer went is then seen.
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

    fn record(wire_len: u32) -> PacketRecord {
        PacketRecord::new(0, wire_len, wire_len)
    }

    #[test]
    fn records_come_out_in_the_order_they_went_in() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        let mut seen = Vec::new();
        for round in 0..5 {
            for i in 0..10 {
                sender.offer(record(round * 10 + i));
            }
            receiver.drain(usize::MAX, |r| seen.push(r.wire_len));
        }
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_ring_counts_what_it_drops() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        for _ in 0..20 {
            sender.offer(record(100));
        }
        let mut counted = 0;
        receiver.drain(usize::MAX, |_| counted += 1);
        assert_eq!(counted, 16);
        assert_eq!(receiver.dropped(), (4, 400));
        assert_eq!(sender.dropped_frames(), 4);
    }

    #[test]
    fn a_producer_that_may_wait_loses_nothing() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        let producer = thread::spawn(move || {
            for i in 0..10_000 {
                assert!(sender.send(record(i)));
            }
        });
        receiver.set_producer(producer.thread().clone());
        let mut next = 0;
        while !receiver.is_finished() {
            if receiver.drain(7, |r| {
                assert_eq!(r.wire_len, next);
                next += 1;
            }) == 0
            {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
        producer.join().unwrap();
        assert_eq!(next, 10_000);
        assert_eq!(receiver.dropped(), (0, 0));
    }

    #[test]
    fn a_ring_is_finished_only_when_it_is_also_empty() {
        let (mut sender, mut receiver) = ring(16, thread::current());
        sender.offer(record(1));
        drop(sender);
        assert!(!receiver.is_finished());
        receiver.drain(usize::MAX, |_| ());
        assert!(receiver.is_finished());
    }
}
