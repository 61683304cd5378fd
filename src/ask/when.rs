//! Parses moments as people write them: "2h", "yesterday", "2026-11-01 14:00".

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use crate::config::seconds;

const EXPECTED: &str = "expected a moment such as \"2h\" (ago), \"yesterday\", \"monday\", \
    \"2026-11-01 14:00\", \"2026-11-01T14:00:00Z\" or \"@1793541600\"";

/// Parses a moment, seconds since 1970 UTC. Spans such as "2h" are counted back from `now`.
///
/// Dates, clock times and midnights are those of the time zone of `now`. A time that the change to
/// summer time skips becomes the one an hour later.
///
/// # Errors
/// A sentence that says what was expected. Moments before 1970 or after 9999 are refused, so that
/// arithmetic with them cannot overflow.
pub fn moment(text: &str, now: &Zoned) -> Result<i64, String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let found = named(&lower, now)
        .or_else(|| ago(&lower, now))
        .or_else(|| lower.strip_prefix('@')?.parse().ok())
        .or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
        .or_else(|| civil(text, now))
        // An answer's time pasted into a URL, where '+' decodes to a blank.
        .or_else(|| Some(text.replace(' ', "+").parse::<Timestamp>().ok()?.as_second()));
    match found {
        Some(seconds) if (0..=Timestamp::MAX.as_second()).contains(&seconds) => Ok(seconds),
        Some(_) => Err(format!("expected a moment from 1970 to 9999, found \"{text}\"")),
        None => Err(format!("{EXPECTED}, found \"{text}\"")),
    }
}

/// "now", and days by name.
fn named(text: &str, now: &Zoned) -> Option<i64> {
    let days_back = match text {
        "now" => return Some(now.timestamp().as_second()),
        "today" => 0,
        "yesterday" => 1,
        _ => {
            let day = match text {
                "monday" => Weekday::Monday,
                "tuesday" => Weekday::Tuesday,
                "wednesday" => Weekday::Wednesday,
                "thursday" => Weekday::Thursday,
                "friday" => Weekday::Friday,
                "saturday" => Weekday::Saturday,
                "sunday" => Weekday::Sunday,
                _ => return None,
            };
            // The latest such day before today.
            i64::from((now.weekday().since(day) + 6) % 7 + 1)
        }
    };
    let date = now.date().checked_sub(days_back.days()).ok()?;
    at(DateTime::from_parts(date, Time::midnight()), now)
}

/// A span of time before now.
fn ago(text: &str, now: &Zoned) -> Option<i64> {
    let span = text.strip_suffix("ago").unwrap_or(text).trim();
    let seconds = i64::try_from(seconds(span)?).ok()?;
    now.timestamp().as_second().checked_sub(seconds)
}

/// A date, a date and a time, or a time of today.
fn civil(text: &str, now: &Zoned) -> Option<i64> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2026-11-01".len()
    {
        return at(DateTime::from_parts(date, Time::midnight()), now);
    }
    if let Some((date, time)) = text.split_once([' ', 'T']) {
        let (date, time) = (date.parse().ok()?, clock(time.trim())?);
        return at(DateTime::from_parts(date, time), now);
    }
    at(DateTime::from_parts(now.date(), clock(text)?), now)
}

/// "14:00" or "14:00:30".
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':').map(|part| match part.len() {
        1 | 2 => part.parse::<i8>().ok(),
        _ => None,
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

fn at(time: DateTime, now: &Zoned) -> Option<i64> {
    Some(time.to_zoned(now.time_zone().clone()).ok()?.timestamp().as_second())
}

/// The time zone of this name: "local", "utc", or one such as "Europe/Berlin".
///
/// # Errors
/// This machine has no such zone.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    let zone = match name {
        "" | "local" => TimeZone::system(),
        _ => TimeZone::get(name).map_err(|_| {
            format!(
                "there is no time zone \"{name}\" here; write it as in \"Europe/Berlin\", \"utc\" or \
                 \"local\" (zones come from the package tzdata)"
            )
        })?,
    };
    // Aliases of UTC: most machines that were never given a zone have one of them. "unknown" is a
    // machine without /etc/localtime.
    let is_utc = matches!(
        zone.iana_name(),
        Some(
            "UTC"
                | "Etc/UTC"
                | "Etc/UCT"
                | "UCT"
                | "Etc/Universal"
                | "Universal"
                | "Etc/Zulu"
                | "Zulu"
        )
    );
    Ok(if is_utc || zone.is_unknown() { TimeZone::UTC } else { zone })
}

/// The name of a zone, for people.
pub fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None if *zone == TimeZone::UTC => "UTC".to_owned(),
        None => "local time".to_owned(),
    }
}

/// A moment as RFC 3339 with the zone's offset, such as `2026-11-01T14:00:00+01:00`.
pub fn rfc3339_in(seconds: i64, zone: &TimeZone) -> String {
    let Ok(time) = Timestamp::from_second(seconds) else { return seconds.to_string() };
    if *zone == TimeZone::UTC {
        return time.to_string();
    }
    time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Wednesday, ten days after the clocks were set back.
    fn now() -> Zoned {
        "2026-11-04T15:30:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn meant(text: &str) -> String {
        rfc3339_in(moment(text, &now()).unwrap(), &zone("Europe/Berlin").unwrap())
    }

    #[test]
    fn moments_are_understood_as_people_write_them() {
        for (text, expected) in [
            ("now", "2026-11-04T15:30:00+01:00"),
            ("2h", "2026-11-04T13:30:00+01:00"),
            ("90s", "2026-11-04T15:28:30+01:00"),
            ("15min ago", "2026-11-04T15:15:00+01:00"),
            ("1d 1h 30min ago", "2026-11-03T14:00:00+01:00"),
            ("1.5h", "2026-11-04T14:00:00+01:00"),
            // A clock time, not a span.
            ("9:05:30", "2026-11-04T09:05:30+01:00"),
            ("1w", "2026-10-28T15:30:00+01:00"),
            ("today", "2026-11-04T00:00:00+01:00"),
            ("Yesterday", "2026-11-03T00:00:00+01:00"),
            ("monday", "2026-11-02T00:00:00+01:00"),
            ("wednesday", "2026-10-28T00:00:00+01:00"),
            ("thursday", "2026-10-29T00:00:00+01:00"),
            ("2026-11-01", "2026-11-01T00:00:00+01:00"),
            ("2026-11-01 14:00", "2026-11-01T14:00:00+01:00"),
            ("2026-07-01T14:00:30", "2026-07-01T14:00:30+02:00"),
            ("2026-11-01T14:00:00Z", "2026-11-01T15:00:00+01:00"),
            ("2026-11-01T14:00:00 01:00", "2026-11-01T14:00:00+01:00"),
            ("@1793541600", "2026-11-01T15:00:00+01:00"),
            ("9:05", "2026-11-04T09:05:00+01:00"),
        ] {
            assert_eq!(meant(text), expected, "{text}");
        }
        for text in ["", "soon", "2026-13-01", "25:00", "2 parsecs", "2026-11-01 14", "@x"] {
            assert!(moment(text, &now()).unwrap_err().contains("expected a moment"), "{text}");
        }
    }

    #[test]
    fn what_a_clock_cannot_show_is_refused() {
        for text in
            ["@-1", "@-9223372036854775808", "@9223372036854775807", "9999999999y", "1969-12-31"]
        {
            let problem = moment(text, &now()).unwrap_err();
            assert!(problem.contains("from 1970 to 9999"), "{text}: {problem}");
        }
        assert_eq!(moment("@0", &now()), Ok(0));
    }

    #[test]
    fn clock_times_that_come_twice_or_never_have_one_meaning() {
        // The clocks go from 2 to 3 on 29 March, and from 3 to 2 on 25 October.
        assert_eq!(meant("2026-03-29 02:30"), "2026-03-29T03:30:00+02:00");
        assert_eq!(meant("2026-10-25 02:30"), "2026-10-25T02:30:00+02:00");
        assert_eq!(meant("2026-10-25T02:30:00+01:00"), "2026-10-25T02:30:00+01:00");
        // In Santiago clocks go forward at midnight: that day begins at 1.
        let now: Zoned = "2026-09-07T12:00:00-03:00[America/Santiago]".parse().unwrap();
        let start = moment("yesterday", &now).unwrap();
        assert_eq!(rfc3339_in(start, now.time_zone()), "2026-09-06T01:00:00-03:00");
    }

    #[test]
    fn days_go_back_to_midnight_whatever_the_clocks_did() {
        let after: Zoned = "2026-10-26T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let length = moment("today", &after).unwrap() - moment("yesterday", &after).unwrap();
        assert_eq!(length, 25 * 3_600);
        let after: Zoned = "2026-03-30T12:00:00+02:00[Europe/Berlin]".parse().unwrap();
        let length = moment("today", &after).unwrap() - moment("yesterday", &after).unwrap();
        assert_eq!(length, 23 * 3_600);
    }

    #[test]
    fn zones_have_names() {
        assert_eq!(zone_name(&zone("Europe/Berlin").unwrap()), "Europe/Berlin");
        for name in ["UTC", "utc", "Etc/UTC", "Zulu"] {
            assert_eq!(zone_name(&zone(name).unwrap()), "UTC");
        }
        assert!(zone("Mars/Olympus").unwrap_err().contains("no time zone"));
    }
}
