//! The closed seconds of the live graph.

use std::collections::VecDeque;

use crate::account::{Second, Shared};

/// Closed seconds that are kept.
pub(super) const SECONDS_KEPT: usize = 300;

/// The last [`SECONDS_KEPT`] closed seconds.
#[derive(Default)]
pub(super) struct Seconds {
    /// Oldest first.
    rows: VecDeque<Second>,
    /// How often the rows changed.
    changes: u64,
}

impl Seconds {
    /// Adds the second after the newest.
    pub(super) fn push(&mut self, second: Second) {
        if self.rows.len() == SECONDS_KEPT {
            self.rows.pop_front();
        }
        self.rows.push_back(second);
        self.changes += 1;
    }

    /// Forgets all: the clock has changed.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.changes += 1;
    }

    /// The seconds, oldest first; `last` itself if they have not changed since it was taken.
    pub(super) fn after(&self, last: &Shared<Second>) -> Shared<Second> {
        last.next(self.changes, || self.rows.iter().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_are_kept_and_shared_until_the_next_second() {
        let mut seconds = Seconds::default();
        (0..1_000).for_each(|start| seconds.push(Second { start, ..Second::default() }));
        let first = seconds.after(&Shared::default());
        assert_eq!((first.len(), first[0].start, first[299].start), (300, 700, 999));
        let same = seconds.after(&first);
        assert_eq!(same.as_ptr(), first.as_ptr());
        seconds.push(Second { start: 1_000, ..Second::default() });
        assert_eq!(seconds.after(&same)[299].start, 1_000);
        seconds.clear();
        assert!(seconds.after(&same).is_empty());
    }
}
