//! Events: what happened, as data. Today the store makes them, about the history; what watches the
//! traffic will make more. The store keeps the newest ([`crate::store`]), whoever shows them reads
//! the same type.
//!
//! The reason is for people and the evidence for programs: every number and time of the reason is in
//! the evidence, which may have more of them.

use std::borrow::Cow;

use serde_json::Value;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds since 1970 UTC.
    pub time: i64,
    /// How grave it is.
    pub severity: Severity,
    /// A name for programs, such as `history_lost`. It never changes its meaning. An event that is
    /// read from a database may be of a kind that this version does not make.
    pub kind: Cow<'static, str>,
    /// Whom or what it is about, by its name in the history: an address, a hardware address or an
    /// interface. `None`: brightstat itself and its history.
    pub subject: Option<String>,
    /// The other side, likewise.
    pub peer: Option<String>,
    /// One sentence with its numbers for a lay person. It names subject and peer, too.
    pub reason: String,
    /// What to query to see for oneself, and every number of the reason: an object of a few numbers
    /// and names. Not rows of the history, as thousands of events are kept.
    pub evidence: Option<Value>,
}

/// How grave an event is; a graver one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be, and good to know later.
    Information,
    /// Unusual; nothing is wrong.
    Notice,
    /// Something is wrong, or was.
    Warning,
    /// Something is wrong, and the owner should act.
    Alarm,
}

impl Severity {
    /// All of them, the least grave first.
    pub const ALL: [Severity; 4] =
        [Severity::Information, Severity::Notice, Severity::Warning, Severity::Alarm];

    /// The word for people and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Information => "information",
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Alarm => "alarm",
        }
    }

    /// The number in the database: that of syslog (RFC 5424, 6.2.1), which counts downwards. An
    /// alarm is syslog's error: databases had these numbers before they had the words.
    pub fn number(self) -> i64 {
        match self {
            Severity::Information => 6,
            Severity::Notice => 5,
            Severity::Warning => 4,
            Severity::Alarm => 3,
        }
    }

    /// The severity of a syslog number. What syslog finds graver than an error is an alarm, what it
    /// finds less grave than information is information.
    pub fn from_number(number: i64) -> Severity {
        match number {
            ..=3 => Severity::Alarm,
            4 => Severity::Warning,
            5 => Severity::Notice,
            6.. => Severity::Information,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graver_severity_is_greater_and_has_a_smaller_number() {
        for pair in Severity::ALL.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].number() > pair[1].number(), "{pair:?}");
        }
    }

    #[test]
    fn every_number_has_a_severity_and_every_severity_gets_its_own_back() {
        for severity in Severity::ALL {
            assert_eq!(Severity::from_number(severity.number()), severity);
        }
        let others = [i64::MIN, 0, 7, i64::MAX].map(Severity::from_number);
        use Severity::{Alarm, Information};
        assert_eq!(others, [Alarm, Alarm, Information, Information]);
    }
}
