//! Times as text: RFC 3339 in UTC, nanoseconds kept.

use jiff::Timestamp;

use crate::decode::NO_TIME;

/// Nanoseconds since 1970 UTC as RFC 3339 with nine decimals, such as
/// `2026-11-01T14:00:00.000000001Z`; `None` for a frame without a time stamp.
pub fn rfc3339(nanoseconds: i64) -> Option<String> {
    if nanoseconds == NO_TIME {
        return None;
    }
    let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
    Some(format!("{time:.9}"))
}

/// The same to the second, for people: `2026-11-01 14:00:00Z`.
pub fn readable(nanoseconds: i64) -> String {
    match Timestamp::from_second(nanoseconds.div_euclid(1_000_000_000)) {
        Ok(time) if nanoseconds != NO_TIME => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        _ => "-".to_owned(),
    }
}
