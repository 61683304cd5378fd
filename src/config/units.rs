//! Numbers with units: spans of time and sizes.
//!
//! Our own, on purpose. `jiff` reads spans as well, but adds 22 kB to the program (measured), takes
//! clock times ("9:05:00") and months for spans, and has no year of 365 days. `bytesize` adds 7 kB,
//! and takes "8Mb" for megabytes.

/// How they are written, for the sample file and the manual page.
pub const WRITTEN: &str = "Spans of time have the units s, min (or m), h, d, w and y (of 365 days), \
    as in \"90s\", \"1h 30min\" or \"1.5d\"; sizes have B, KiB, MiB, GiB and TiB, or kB, MB, GB and TB \
    (of 1000 each), as in \"64MiB\" or \"1.5GiB\".";

const TIMES: [(&str, u64); 7] = [
    ("s", 1),
    ("min", 60),
    ("m", 60),
    ("h", 3_600),
    ("d", 86_400),
    ("w", 7 * 86_400),
    ("y", 365 * 86_400),
];

const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// A span of time such as `"5min"` or `"1h 30min"` in seconds. Half a second is a mistake.
pub fn seconds(text: &str) -> Option<u64> {
    let (sum, is_exact) = sum(text, &TIMES)?;
    is_exact.then_some(sum)
}

/// A size such as `"8MiB"` in bytes. The rest of a byte is cut off: 1.2 GiB are no whole bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    sum(text, &SIZES).map(|(sum, _)| sum)
}

/// The sum of numbers, each with a unit that is smaller than the one before, without what is not
/// whole, and whether that was nothing.
fn sum(text: &str, units: &[(&str, u64)]) -> Option<(u64, bool)> {
    let mut is_exact = true;
    let (mut rest, mut total, mut last) = (text.trim(), 0_u64, u64::MAX);
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !is_of_number(c))?);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        if *factor >= last {
            return None;
        }
        let (product, is_whole) = product(number, *factor)?;
        total = total.checked_add(product)?;
        is_exact &= is_whole;
        last = *factor;
        rest = after.trim_start();
        if rest.is_empty() {
            return Some((total, is_exact));
        }
    }
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// A decimal number times `factor`, rounded down, and whether it was whole.
fn product(number: &str, factor: u64) -> Option<(u64, bool)> {
    let Some((whole, decimals)) = number.split_once('.') else {
        return Some((number.parse::<u64>().ok()?.checked_mul(factor)?, true));
    };
    // With more decimals than fit, this could overflow; nobody means them.
    let scale = 10_u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let part = u128::from(decimals.parse::<u64>().ok()?) * u128::from(factor);
    let is_whole = part.is_multiple_of(scale.into());
    let part = u64::try_from(part / u128::from(scale)).ok()?;
    Some((whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part)?, is_whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_of_time_have_the_units_that_people_write() {
        for (text, expected) in [
            ("0s", 0),
            ("90s", 90),
            ("5min", 300),
            ("5m", 300),
            (" 5  min ", 300),
            ("48h", 48 * 3_600),
            ("60d", 60 * 86_400),
            ("1w", 7 * 86_400),
            ("10y", 3_650 * 86_400),
            ("1h 30min", 5_400),
            ("1h30m", 5_400),
            ("1y 2w 3d 4h 5min 6s", 365 * 86_400 + 17 * 86_400 + 4 * 3_600 + 306),
            ("1.5h", 5_400),
            ("1.1h", 3_960),
            ("0.05min", 3),
            ("1.5d 6h", 42 * 3_600),
            // Out of any range, and told so there.
            ("9999999999y", 9_999_999_999 * 365 * 86_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary_with_an_i_and_decimal_without() {
        for (text, expected) in [
            ("64B", 64),
            ("512 KiB", 512 << 10),
            ("8MiB", 8 << 20),
            ("1.5GiB", 1_536 << 20),
            ("1.2GiB", 1_288_490_188),
            ("1.3KiB 0.9B", 1_331),
            ("1GiB 512MiB", 1_536 << 20),
            ("1024GiB", 1 << 40),
            ("1TiB", 1 << 40),
            ("500MB", 500_000_000),
            ("1.5kB", 1_500),
            ("1KB", 1_000),
            ("2GB", 2_000_000_000),
            ("0.000000000001TB", 1),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_in_doubt_has_no_meaning() {
        for text in [
            "",
            " ",
            "5",
            "min",
            "5 parsecs",
            "-5min",
            "5MIN",
            "5 Min",
            "9:05:00",
            "1mo",
            "1M",
            "5min ago",
            "0.5s",
            "1.0000001h",
            "1.h",
            ".5h",
            ".h",
            "1.2.3h",
            "1,5h",
            "1e3s",
            "0x10s",
            "٥s",
            "1h 1h",
            "30min 1h",
            "1m 1min",
            "1h,30min",
            "1h 30",
            "1h min",
            "1 h 30 min x",
            "5min\0",
            "999999999999999999999s",
            "999999999999y",
            "18446744073709551615s 1s",
        ] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
        for text in [
            "8",
            "8M",
            "8m",
            "8Mb",
            "8mb",
            "8mib",
            "8MIB",
            "8Mi",
            "8K",
            "0x10KiB",
            "-1B",
            "8 M iB",
            "8MiB 1GiB",
            "16777216TiB",
            "1.00000000000000000000B",
            "17179869184GiB",
        ] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-zA-Z. \u{a0}é]{0,40}") {
            let _ = (seconds(&text), bytes(&text));
        }

        #[test]
        fn parts_add_up(hours in 0..10_000_u64, minutes in 0..10_000_u64, tenths in 0..10_u64) {
            let text = format!("{hours}h {minutes}.{tenths}min");
            prop_assert_eq!(seconds(&text), Some(hours * 3_600 + minutes * 60 + tenths * 6));
        }
    }
}
