//! The input of a commit: closed intervals, events, and how the clock was set back.

use super::rows::Interval;
use crate::event::Event;

/// The clock was set back: rows at `now` or later belong `by` seconds earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetBack {
    pub(super) now: i64,
    pub(super) by: i64,
}

/// All that one commit writes.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) intervals: Vec<&'a Interval>,
    /// The end of the interval that arrived last, seconds since 1970 UTC; `None` before the first.
    /// Never derived from a row: a wrong clock may have dated that in the future.
    pub(super) present: Option<i64>,
    pub(super) set_backs: &'a [SetBack],
    pub(super) events: &'a [Event],
    /// Whether open intervals of coarser tiers are recomputed in any case.
    pub(super) is_last: bool,
}
