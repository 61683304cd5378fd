//! Sums of packets and bytes: every counter is made of them.

use std::ops::{Add, AddAssign, Sub};

use serde::Serialize;

/// Packets and wire bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Volume {
    /// Frames or packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl Volume {
    /// Adds one frame of `bytes` wire bytes.
    #[inline]
    pub fn count(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }

    /// Whether nothing has been counted.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.packets == 0 && self.bytes == 0
    }
}

impl Add for Volume {
    type Output = Volume;
    fn add(self, other: Volume) -> Volume {
        Volume { packets: self.packets + other.packets, bytes: self.bytes + other.bytes }
    }
}

impl AddAssign for Volume {
    #[inline]
    fn add_assign(&mut self, other: Volume) {
        *self = *self + other;
    }
}

impl Sub for Volume {
    type Output = Volume;
    /// The count since `earlier`, an older reading of the same counter.
    fn sub(self, earlier: Volume) -> Volume {
        Volume { packets: self.packets - earlier.packets, bytes: self.bytes - earlier.bytes }
    }
}

impl std::iter::Sum for Volume {
    fn sum<I: Iterator<Item = Volume>>(all: I) -> Volume {
        all.fold(Volume::default(), Add::add)
    }
}

/// Traffic as one host sees it: what it received and what it sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct InOut {
    /// Received: packets of which the host is the destination.
    pub received: Volume,
    /// Sent: packets of which the host is the source.
    pub sent: Volume,
}

impl InOut {
    /// Bytes both ways: the sort key of tables.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.received.bytes + self.sent.bytes
    }

    /// Whether nothing has been counted.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.received.is_zero() && self.sent.is_zero()
    }
}

impl Add for InOut {
    type Output = InOut;
    fn add(self, other: InOut) -> InOut {
        InOut { received: self.received + other.received, sent: self.sent + other.sent }
    }
}

impl AddAssign for InOut {
    #[inline]
    fn add_assign(&mut self, other: InOut) {
        *self = *self + other;
    }
}

impl Sub for InOut {
    type Output = InOut;
    /// The counts since `earlier`, an older reading of the same counters.
    fn sub(self, earlier: InOut) -> InOut {
        InOut { received: self.received - earlier.received, sent: self.sent - earlier.sent }
    }
}

/// A counter with an open interval: its counts before that, and in it.
///
/// Only `interval` is written per packet; a close moves it to `before`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Split<T> {
    /// Counted before the open interval.
    pub before: T,
    /// Counted in the open interval.
    pub interval: T,
}

impl<T: Copy + Add<Output = T> + Default> Split<T> {
    /// All that was counted.
    #[inline]
    pub fn total(&self) -> T {
        self.before + self.interval
    }

    /// Closes the interval and returns its count.
    pub fn close(&mut self) -> T {
        let held = self.interval;
        self.before = self.before + held;
        self.interval = T::default();
        held
    }

    /// Adds the counts of `other`, interval by interval.
    #[inline(always)]
    pub fn fold(&mut self, other: &Split<T>) {
        self.before = self.before + other.before;
        self.interval = self.interval + other.interval;
    }
}
