//! Divides the span of a question into points, and chooses the tiers that they come from.
//!
//! Theory of operation. A graph ([`Step::Auto`]) and a table ([`Step::Whole`]) of one span cover
//! the same intervals, however many points the graph has: the span is first widened to whole
//! intervals of the finest tier that is still kept at each end ([`Ends`]), then divided. So the
//! first and the last point of a graph may be shorter than the others. A tier that is asked for by
//! name is answered in whole intervals of that tier, and days in whole days.

use rusqlite::Connection;

use super::error::Error;
use super::question::{Question, Step};
use super::recent::InMemory;
use super::tiers::{self, StoredTier, first, newest};
use crate::config::Tier;

/// The error for an unknown tier, with the names of those that there are.
fn no_tier(name: &str, tiers: &[StoredTier], fresh: Option<&InMemory<'_>>) -> Error {
    let in_memory = fresh.and_then(|fresh| fresh.tier).map(|tier| tier.name.as_str());
    let stored = tiers.iter().map(|tier| tier.name.as_str());
    let known = in_memory.into_iter().chain(stored).map(str::to_owned).collect();
    Error::NoTier { name: name.to_owned(), known, is_api: fresh.is_some() }
}

/// The points of a span, and the tier that each part of it is read from.
pub(super) struct Grid {
    pub(super) tier: String,
    pub(super) step: Option<i64>,
    /// The points' starts, and the last one's end.
    pub(super) bounds: Vec<i64>,
    /// Parts of the span, in order: the length of a tier's intervals, start, end.
    pub(super) segments: Vec<(i64, i64, i64)>,
    pub(super) approximate_before: Option<i64>,
    pub(super) widened: Option<i64>,
    pub(super) kept_since: Option<i64>,
    pub(super) recorded_until: Option<i64>,
}

/// A span, widened to whole intervals of the finest tier that is kept at its ends.
struct Ends {
    from: i64,
    to: i64,
    /// The length of the intervals at the ends, seconds, if they make the span much longer than it
    /// was asked for, because nothing finer is kept.
    widened: Option<i64>,
}

impl Ends {
    fn of(tiers: &[StoredTier], (from, to): (i64, i64)) -> Ends {
        let finest = |time: i64| {
            let at = (0..tiers.len()).find(|at| available(tiers, *at) <= time);
            at.unwrap_or(tiers.len() - 1)
        };
        // The interval at the end is the one of the last second.
        let (first, last) = (finest(from), finest(to - 1));
        let ends = (tiers[first].start_of(from), tiers::round_up(to, tiers[last].seconds));
        let (before, after) = (from - ends.0, ends.1 - to);
        let added = [(first, before), (last, after)];
        let is_much = |at: usize| match at {
            0 => to - from < tiers[0].seconds,
            _ => (before + after) * MUCH >= to - from,
        };
        let widened = added.into_iter().filter(|(at, added)| *added > 0 && is_much(*at));
        Ends { from: ends.0, to: ends.1, widened: widened.map(|(at, _)| tiers[at].seconds).max() }
    }
}

/// The answer says so if the span was widened by this part of it or more.
const MUCH: i64 = 20;

/// The time since which all rows of a tier are there, in whole intervals of the next one. The
/// coarsest tier has whatever there is.
fn available(tiers: &[StoredTier], at: usize) -> i64 {
    match tiers.get(at + 1) {
        Some(coarser) => tiers::round_up(tiers[at].kept_since, coarser.seconds),
        None => i64::MIN,
    }
}

impl Grid {
    /// The grid of the tier in memory.
    pub(super) fn fine(question: &Question, tier: &Tier) -> Result<Grid, Error> {
        let seconds = i64::from(tier.seconds);
        let from = question.from.div_euclid(seconds) * seconds;
        let to = tiers::round_up(question.to, seconds).max(from + seconds);
        let whole = |step: i64| divided(from, to, step, question.most);
        let (step, bounds) = match question.step {
            Step::Whole | Step::Days(_) => (None, vec![from, to]),
            Step::Tier(_) => (Some(seconds), whole(seconds)?),
            Step::Auto(points) => {
                let points = i64::try_from(points).unwrap_or(i64::MAX).max(2);
                let mut step = seconds;
                while points_of(&(from..to), step) > points {
                    step += seconds;
                }
                (Some(step), whole(step)?)
            }
        };
        Ok(Grid {
            tier: tier.name.clone(),
            step,
            bounds,
            segments: Vec::new(),
            approximate_before: None,
            widened: (question.to - question.from < seconds).then_some(seconds),
            kept_since: None,
            recorded_until: None,
        })
    }

    pub(super) fn new(
        connection: &Connection,
        tiers: Vec<StoredTier>,
        question: &Question,
        newest_pending: Option<i64>,
        fresh: Option<&InMemory<'_>>,
    ) -> rusqlite::Result<Result<Grid, Error>> {
        let Some(base) = tiers.first() else {
            return Ok(Err(Error::NoTiers));
        };
        let newest = newest(connection, base.seconds)?;
        let recorded_until = newest_pending.max(newest).map(|start| start + base.seconds);
        let (from, to) = (question.from, question.to.max(question.from + 1));
        let ends = Ends::of(&tiers, (from, to));
        let last = tiers.len() - 1;
        let mut kept_since = None;
        let (top, step, mut bounds) = match &question.step {
            Step::Whole => (last, None, vec![ends.from, ends.to]),
            Step::Tier(name) => {
                let Some(at) = tiers.iter().position(|tier| tier.name == *name) else {
                    return Ok(Err(no_tier(name, &tiers, fresh)));
                };
                let seconds = tiers[at].seconds;
                let bounds = (tiers[at].start_of(from), tiers::round_up(to, seconds));
                kept_since = Some(available(&tiers, at)).filter(|since| *since > bounds.0);
                match divided(bounds.0, bounds.1, seconds, question.most) {
                    Ok(bounds) => (at, Some(seconds), bounds),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            Step::Auto(points) => {
                let span = ends.from..ends.to;
                let (at, step) = automatic(connection, &tiers, &span, *points)?;
                match divided(span.start, span.end, step, question.most) {
                    Ok(bounds) => (at, Some(step), bounds),
                    Err(failure) => return Ok(Err(failure)),
                }
            }
            Step::Days(zone) => match too_many((to - from) / 86_400, question.most) {
                None => (last, None, days(from, to, zone)),
                Some(failure) => return Ok(Err(failure)),
            },
        };
        let mut approximate_before = None;
        if matches!(question.step, Step::Days(_)) {
            for bound in &mut bounds {
                let at = (0..tiers.len()).find(|at| available(&tiers, *at) <= *bound);
                let snapped = tiers[at.unwrap_or(last)].start_of(*bound);
                if snapped != *bound {
                    approximate_before = Some(*bound);
                }
                *bound = snapped;
            }
            bounds.dedup();
            if bounds.len() < 2 {
                bounds.push(bounds[0] + base.seconds);
            }
        }
        // The open interval of a coarser tier may be behind.
        let open = |at: usize| match newest {
            Some(newest) if at > 0 => tiers[at].start_of(newest),
            _ => i64::MAX,
        };
        let mut segments = Vec::new();
        for pair in bounds.windows(2) {
            cover(&tiers, &open, top, pair[0], pair[1], &mut segments);
        }
        merge(&mut segments);
        let tier = match question.step {
            // The tier that most of the span comes from.
            Step::Whole | Step::Days(_) => segments
                .iter()
                .max_by_key(|(_, start, end)| end - start)
                .and_then(|(length, ..)| tiers.iter().find(|tier| tier.seconds == *length))
                .map_or_else(|| base.name.clone(), |tier| tier.name.clone()),
            _ => tiers[top].name.clone(),
        };
        let widened = match question.step {
            Step::Whole | Step::Auto(_) => ends.widened,
            Step::Tier(_) | Step::Days(_) => None,
        };
        Ok(Ok(Grid {
            tier,
            step,
            bounds,
            segments,
            approximate_before,
            widened,
            kept_since,
            recorded_until,
        }))
    }

    /// The point that a time lies in.
    pub(super) fn point(&self, time: i64) -> Option<usize> {
        let at = self.bounds.partition_point(|bound| *bound <= time);
        (at > 0 && at < self.bounds.len()).then(|| at - 1)
    }
}

/// Chooses the finest tier that reaches back over the whole span, and whose intervals, or some of
/// them put together, make at most `points` points (at least 2). Returns it and the length of such
/// a point, seconds.
fn automatic(
    connection: &Connection,
    tiers: &[StoredTier],
    span: &std::ops::Range<i64>,
    points: usize,
) -> rusqlite::Result<(usize, i64)> {
    // A span may cross a bound, however long the step.
    let points = i64::try_from(points).unwrap_or(i64::MAX).max(2);
    let last = tiers.len() - 1;
    let mut oldest = Vec::new();
    for tier in tiers {
        oldest.push(first(connection, tier.seconds)?.unwrap_or(i64::MAX));
    }
    let fits = |at: usize| points_of(span, tiers[at].seconds) <= points;
    // No coarser tier reaches further back into the span than this one.
    let reaches = |at: usize| {
        let since = available(tiers, at);
        since <= span.start || oldest[at + 1..].iter().all(|other| *other >= since)
    };
    let at = (0..=last).find(|at| fits(*at) && reaches(*at)).unwrap_or(last);
    let mut step = tiers[at].seconds;
    let many = points_of(span, step);
    if many > points {
        // Even the coarsest is too fine.
        step *= (span.end - span.start) / step / points + 1;
        while points_of(span, step) > points {
            step += tiers[at].seconds;
        }
    } else if let Some(finer) = at.checked_sub(1)
        && many * COARSE < points
        && reaches(finer)
        && let Some(shorter) = some_of(&tiers[finer], step, span, points)
    {
        return Ok((finer, shorter));
    }
    Ok((at, step))
}

/// Covers a span with whole intervals of tier `at`, and the remainders with finer ones.
fn cover(
    tiers: &[StoredTier],
    open: &impl Fn(usize) -> i64,
    at: usize,
    from: i64,
    to: i64,
    segments: &mut Vec<(i64, i64, i64)>,
) {
    if from >= to {
        return;
    }
    let tier = &tiers[at];
    let first = tiers::round_up(from, tier.seconds);
    let last = tier.start_of(to.min(open(at)));
    match at.checked_sub(1) {
        None => segments.push((tier.seconds, tier.start_of(from), to)),
        Some(finer) if first < last => {
            cover(tiers, open, finer, from, first, segments);
            segments.push((tier.seconds, first, last));
            cover(tiers, open, finer, last, to, segments);
        }
        Some(finer) => cover(tiers, open, finer, from, to, segments),
    }
}

/// Joins neighbouring segments of the same tier.
fn merge(segments: &mut Vec<(i64, i64, i64)>) {
    segments.dedup_by(|next, one| {
        let is_same = one.0 == next.0 && one.2 == next.1;
        if is_same {
            one.2 = next.2;
        }
        is_same
    });
}

/// With fewer than this part of the points that were asked for, an answer is made from a finer
/// tier, of which several intervals make a point.
const COARSE: i64 = 4;

/// The shortest multiple of a tier's interval that divides `coarser` and gives at most `points`
/// points.
fn some_of(
    tier: &StoredTier,
    coarser: i64,
    span: &std::ops::Range<i64>,
    points: i64,
) -> Option<i64> {
    (1..coarser / tier.seconds)
        .map(|many| many * tier.seconds)
        .find(|step| coarser % step == 0 && points_of(span, *step) <= points)
}

/// How many aligned points of this length a span touches.
pub(super) fn points_of(span: &std::ops::Range<i64>, step: i64) -> i64 {
    (tiers::round_up(span.end, step) - span.start.div_euclid(step) * step) / step
}

/// The bounds of points that begin at multiples of `step`, except for the first.
fn divided(from: i64, to: i64, step: i64, most: usize) -> Result<Vec<i64>, Error> {
    if let Some(failure) = too_many(points_of(&(from..to), step), most) {
        return Err(failure);
    }
    let inner = from.div_euclid(step) + 1..tiers::round_up(to, step) / step;
    Ok([from].into_iter().chain(inner.map(|at| at * step)).chain([to]).collect())
}

/// The error for too many points, which keeps memory bounded.
fn too_many(points: i64, most: usize) -> Option<Error> {
    (points > i64::try_from(most).unwrap_or(i64::MAX)).then_some(Error::Points { points, most })
}

/// The midnights of a time zone, from the last one up to `from` to the first one from `to` on.
fn days(from: i64, to: i64, zone: &jiff::tz::TimeZone) -> Vec<i64> {
    let start = jiff::Timestamp::from_second(from)
        .ok()
        .and_then(|time| time.to_zoned(zone.clone()).start_of_day().ok());
    let Some(mut day) = start else {
        return vec![from, to];
    };
    let mut bounds = vec![day.timestamp().as_second()];
    // The next date, whether the day has 23, 24 or 25 hours.
    while bounds.last().is_none_or(|last| *last < to) {
        let Ok(next) = day.tomorrow().and_then(|next| next.start_of_day()) else { break };
        bounds.push(next.timestamp().as_second());
        day = next;
    }
    bounds
}
