//! Rates: from the fine intervals within a base interval, its least and its greatest.

/// The least and the greatest rate of the finest intervals within an interval, bytes a
/// second. They keep a short spike visible in the history of a year.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Rates {
    /// The least; 0 if one of the finest intervals had no traffic.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
}

impl Rates {
    /// One rate for both: bytes over `covered` milliseconds. Less than a second counts as one, so
    /// that the start of a capture does not look like a spike.
    pub fn steady(bytes: u64, covered: u64) -> Rates {
        let rate = bytes.saturating_mul(1_000) / covered.max(1_000);
        Rates { least: rate, greatest: rate }
    }
}

/// The rates of fine intervals so far. 32 bits each, as each host has one: up to 34 Gbit/s.
#[derive(Clone, Copy, Default)]
pub(super) struct Range {
    least: u32,
    greatest: u32,
    count: u32,
}

impl Range {
    /// Takes a fine interval with `bytes` over `covered` milliseconds, and returns its rates.
    pub(super) fn take(&mut self, bytes: u64, covered: u64) -> Rates {
        let rates = Rates::steady(bytes, covered);
        let rate = u32::try_from(rates.greatest).unwrap_or(u32::MAX);
        self.least = if self.count == 0 { rate } else { self.least.min(rate) };
        self.greatest = self.greatest.max(rate);
        self.count += 1;
        rates
    }

    /// Closes a base interval with `bytes` over `covered` milliseconds, which had `intervals` fine
    /// ones.
    pub(super) fn close(&mut self, intervals: u32, bytes: u64, covered: u64) -> Rates {
        let range = std::mem::take(self);
        let own = Rates::steady(bytes, covered);
        match (intervals, range.count) {
            (0, _) => own,
            // All of it came after the last fine interval was closed.
            (_, 0) => Rates { least: 0, ..own },
            (all, count) => Rates {
                least: if count < all { 0 } else { u64::from(range.least) },
                greatest: u64::from(range.greatest),
            },
        }
    }
}
