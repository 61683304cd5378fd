//! The tiers of history: which resolutions there are and how long each is kept.

use std::time::Duration;

use toml::de::DeValue;

use super::units;
use super::value::{self, Read};

/// One resolution of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name, such as `minute`.
    pub name: String,
    /// Length of an interval, seconds.
    pub seconds: u32,
    /// How long its intervals are kept.
    pub keep: Duration,
    /// Whether it lives in memory only.
    pub in_memory: bool,
}

/// Tiers of intervals shorter than this, seconds, wear a card: they live in memory by default.
const SHORT: u32 = 60;
/// Tiers at most; each one costs disk writes.
const MOST: usize = 8;
const LONGEST: u64 = 366 * 86_400;

/// A tier's name and the length of its intervals in seconds, finest first.
pub(super) type Schema = Vec<(String, u32)>;
/// How long tiers are kept: by name, or without names in the order of the schema.
pub(super) type Keep = Vec<(Option<String>, Duration)>;

/// The items of a text such as `"minute:60, hour:3600"` or of a list of such texts.
fn items(value: &DeValue<'_>) -> Read<Vec<String>> {
    let texts = value::texts(value)?;
    let items = texts.iter().flat_map(|text| text.split(','));
    Ok(items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

/// Reads `schema`.
pub(super) fn schema(value: &DeValue<'_>) -> Read<Schema> {
    let mut tiers: Schema = Vec::new();
    for item in items(value)? {
        let wrong = || format!("expected a tier such as \"minute:60\", found \"{item}\"");
        let (name, length) = item.split_once(':').ok_or_else(wrong)?;
        let (name, length) = (name.trim(), length.trim());
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let seconds = length.parse().ok().or_else(|| units::seconds(length));
        let seconds = seconds.filter(|s| (1..=LONGEST).contains(s)).ok_or_else(wrong)?;
        if name.is_empty() || name.len() > 32 || !is_name {
            return Err(wrong());
        }
        if tiers.iter().any(|(known, _)| known == name) {
            return Err(format!("the tier \"{name}\" is there twice"));
        }
        tiers.push((name.to_owned(), seconds as u32));
    }
    tiers.sort_by_key(|(_, seconds)| *seconds);
    if tiers.is_empty() || tiers.len() > MOST {
        return Err(format!("expected 1 to {MOST} tiers, found {}", tiers.len()));
    }
    for pair in tiers.windows(2) {
        let [(fine, short), (coarse, long)] = pair else { continue };
        if long == short || !long.is_multiple_of(*short) {
            return Err(format!(
                "the intervals of \"{coarse}\" ({long} s) must be a multiple of those of \
                 \"{fine}\" ({short} s)"
            ));
        }
    }
    Ok(tiers)
}

/// Reads `keep`.
pub(super) fn keep(value: &DeValue<'_>) -> Read<Keep> {
    let one = |item: String| {
        let (name, time) = match item.split_once(':') {
            Some((name, time)) => (Some(name.trim().to_owned()), time),
            None => (None, item.as_str()),
        };
        let seconds = units::seconds(time).filter(|s| (1..=100 * LONGEST).contains(s));
        let seconds = seconds.ok_or_else(|| {
            format!("expected a time such as \"minute:48h\" or \"48h\", found \"{item}\"")
        })?;
        Ok((name, Duration::from_secs(seconds)))
    };
    items(value)?.into_iter().map(one).collect()
}

/// How long a tier is kept by default.
fn usual_keep(seconds: u32) -> Duration {
    Duration::from_secs(match seconds {
        0..60 => 3_600,
        60..3_600 => 48 * 3_600,
        3_600..86_400 => 60 * 86_400,
        _ => 10 * 365 * 86_400,
    })
}

/// Combines schema and keep. `is_default` says that `keep` is the default: its names may then
/// be missing in the schema.
pub(super) fn combine(
    schema: &Schema,
    keep: &Keep,
    store_seconds: bool,
    is_default: bool,
) -> Read<Vec<Tier>> {
    let names = || {
        let names: Vec<String> = schema.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    };
    let positional: Vec<Duration> =
        keep.iter().filter(|(name, _)| name.is_none()).map(|(_, time)| *time).collect();
    if !positional.is_empty() && positional.len() != schema.len() {
        return Err(format!(
            "{} times for {} tiers; give one for each of {}, or write the names as in \
             \"minute:48h\"",
            positional.len(),
            schema.len(),
            names()
        ));
    }
    for name in keep.iter().filter_map(|(name, _)| name.as_ref()) {
        if !is_default && !schema.iter().any(|(known, _)| known == name) {
            return Err(format!("there is no tier \"{name}\"; history.schema has {}", names()));
        }
    }
    let last = schema.len() - 1;
    let mut tiers: Vec<Tier> = Vec::new();
    for (at, (name, seconds)) in schema.iter().enumerate() {
        let named = keep.iter().find(|(known, _)| known.as_ref() == Some(name));
        let keep = named.map(|(_, time)| *time).or_else(|| positional.get(at).copied());
        // History needs a tier on disk: the coarsest never lives in memory only.
        let in_memory = *seconds < SHORT && !store_seconds && at < last;
        tiers.push(Tier {
            name: name.clone(),
            seconds: *seconds,
            keep: keep.unwrap_or_else(|| usual_keep(*seconds)),
            in_memory,
        });
    }
    if let [_, second, ..] = &tiers[..]
        && second.in_memory
    {
        return Err(format!(
            "\"{}\" and \"{}\" would both live in memory, and one tier can; leave one out, or set \
             history.store_seconds to true",
            tiers[0].name, second.name
        ));
    }
    for pair in tiers.windows(2) {
        let [fine, coarse] = pair else { continue };
        let least = u64::from(coarse.seconds) * 2;
        if !fine.in_memory && fine.keep.as_secs() < least {
            return Err(format!(
                "\"{}\" must be kept for {least} s at least, as \"{}\" is summed up from it",
                fine.name, coarse.name
            ));
        }
    }
    Ok(tiers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    fn tiers(schema_text: &str, keep_text: &str) -> Read<Vec<Tier>> {
        combine(&schema(&text(schema_text))?, &keep(&text(keep_text))?, false, false)
    }

    #[test]
    fn the_short_form_names_tiers_and_lengths() {
        let tiers = tiers("second:1,minute:60,hour:3600,day:86400", "1h,48h,60d,10y").unwrap();
        let told: Vec<_> = tiers
            .iter()
            .map(|t| (t.name.as_str(), t.seconds, t.keep.as_secs() / 3_600, t.in_memory))
            .collect();
        assert_eq!(
            told,
            [
                ("second", 1, 1, true),
                ("minute", 60, 48, false),
                ("hour", 3_600, 60 * 24, false),
                ("day", 86_400, 3_650 * 24, false)
            ]
        );
    }

    #[test]
    fn names_lengths_and_units_are_free() {
        let tiers = tiers("week:7d, quarter:15min", "quarter:30d").unwrap();
        assert_eq!((tiers[0].name.as_str(), tiers[0].seconds), ("quarter", 900));
        assert_eq!(tiers[0].keep.as_secs(), 30 * 86_400);
        assert_eq!(tiers[1].keep.as_secs(), 3_650 * 86_400);
    }

    #[test]
    fn what_cannot_work_is_said() {
        for (schema, keep, expected) in [
            ("minute:60,odd:90", "", "must be a multiple"),
            ("minute:60,other:60", "", "must be a multiple"),
            ("minute:60,minute:120", "", "twice"),
            ("minute", "", "such as \"minute:60\""),
            ("", "", "1 to 8 tiers"),
            ("minute:60,hour:3600", "week:1d", "no tier \"week\""),
            ("minute:60,hour:3600", "1d", "1 times for 2 tiers"),
            ("minute:60,day:1d", "minute:24h", "172800 s at least"),
            ("minute:60", "minute:soon", "such as \"minute:48h\""),
            ("second:1,ten:10,minute:60", "", "\"second\" and \"ten\" would both live in memory"),
        ] {
            let problem = tiers(schema, keep).unwrap_err();
            assert!(problem.contains(expected), "{schema} {keep}: {problem}");
        }
    }
}
