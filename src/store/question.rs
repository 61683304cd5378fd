//! Questions to the history, and answers, as data.

use std::net::IpAddr;

use jiff::tz::TimeZone;

use super::kind::{Key, Kind, key_port, key_protocol};
pub use super::rows::Cell;
pub use super::series::{Cells, Series};

/// A question to the history.
#[derive(Clone, Debug)]
pub struct Question {
    /// The kind of rows.
    pub kind: &'static Kind,
    /// Only these; the others are in `other`.
    pub only: Option<Which>,
    /// Start of the span, seconds since 1970 UTC.
    pub from: i64,
    /// End of the span, exclusive.
    pub to: i64,
    /// How the time is divided.
    pub step: Step,
    /// Limit of points.
    pub most: usize,
    /// Rows to name, busiest first; the others are in `other`.
    pub top: usize,
    /// Rows to name instead of the busiest, by their keys in an earlier answer: the parts of a long
    /// span can then name the same rows.
    pub rows: Option<Vec<Key>>,
}

/// Rows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// An interface.
    Interface(String),
    /// A host.
    Host(IpAddr),
    /// `tcp`, `udp` or `sctp`, and a port.
    Port(crate::account::Transport, u16),
    /// An IP protocol by number.
    Protocol(u16),
    /// Services: all of a host, all hosts of one, or one of a host.
    Services(Option<IpAddr>, Option<crate::account::Service>),
}

/// How a span of time is divided into points.
#[derive(Clone, Debug)]
pub enum Step {
    /// Not at all: one point.
    Whole,
    /// By the finest tier that gives at most this many points (2 at least) and reaches back
    /// far enough.
    Auto(usize),
    /// By the tier of this name.
    Tier(String),
    /// By days of this time zone, of 23, 24 or 25 hours.
    Days(TimeZone),
}

/// One span of time in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Seconds since 1970 UTC.
    pub start: i64,
    /// The first second after it.
    pub end: i64,
    /// Milliseconds of it in which capture ran, on the interface that was captured longest.
    pub covered: u64,
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub label: Label,
    /// The whole span, one cell for each of the kind's ways.
    pub total: Vec<Cell>,
    /// Frames lost; interfaces only.
    pub dropped: u64,
    /// The points with traffic: each one's index and cells.
    pub series: Series,
    /// Frames lost, for each entry of `series`; interfaces only.
    pub dropped_series: Vec<u64>,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// An interface's name.
    Interface(String),
    /// A host, its hardware address if known, and whether it is local.
    Host(IpAddr, Option<String>, bool),
    /// A device's name.
    Device(String),
    /// `tcp`, `udp` or `sctp`, and the port.
    Port(&'static str, u16),
    /// A protocol's name and number.
    Protocol(String, u16),
    /// A host as above and a service: a protocol's name, and the port if it has one.
    Service(IpAddr, Option<String>, bool, String, Option<u16>),
    /// What a bounded table could not name, or what was not asked for.
    Other,
    /// Frames that have no such thing.
    None,
    /// Every frame.
    Total,
}

impl Label {
    /// The label of a port, a protocol or a device.
    pub(super) fn of_key(kind: &Kind, key: &Key) -> Option<Label> {
        Some(match kind.name {
            "port" => key_port(key).map(|(transport, port)| Label::Port(transport, port))?,
            "protocol" => Label::Protocol(key_protocol(key)?, u16::try_from(key[0]).ok()?),
            _ => Label::Device(key[0].to_string()),
        })
    }
}

/// The answer. Rows + other + none = total, in all and at every point.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The kind of rows.
    pub kind: &'static Kind,
    /// The name of the tier that it comes from.
    pub tier: String,
    /// Length of a point, seconds; `None` if they differ (days, or the whole span).
    pub step: Option<u32>,
    /// Start of the span as answered: widened to whole intervals of the tier that was asked for, or
    /// else of the finest tier that is kept at its ends.
    pub from: i64,
    /// Its end.
    pub to: i64,
    /// The points, in order, without gaps.
    pub points: Vec<Point>,
    /// Busiest first, ties by key. Which of equals are named where `top` cuts is not fixed.
    pub rows: Vec<Line>,
    /// The keys of `rows`.
    pub keys: Vec<Key>,
    /// How many rows there were before `top` cut them; beyond 28,000 an estimate, within some
    /// percent.
    pub count: usize,
    /// The sum of all that `rows` does not name.
    pub other: Line,
    /// Frames that have no such thing.
    pub none: Line,
    /// Every frame; for the services of one host, all its traffic. Two cells (in and out are the
    /// same frames) where the kind has two.
    pub total: Line,
    /// Before this time, days are not those of the time zone but of UTC, because only
    /// coarser intervals are left.
    pub approximate_before: Option<i64>,
    /// The length of the intervals at the ends, seconds, if they make the span much longer than it
    /// was asked for, because nothing finer is kept.
    pub widened: Option<u32>,
    /// Before this time the intervals of the tier that was asked for are no longer kept.
    pub kept_since: Option<i64>,
    /// End of the newest interval, seconds since 1970 UTC; `None` if there is none, and for the
    /// tier in memory.
    pub recorded_until: Option<i64>,
}
