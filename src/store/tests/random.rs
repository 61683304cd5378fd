//! Anything may happen to a store, in any order.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::fixtures::*;
use crate::store::*;

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Step {
    /// Intervals with traffic, after a gap of so many intervals.
    Traffic(i64, Vec<Vec<Packet>>),
    /// An interval that is so many intervals late.
    Late(i64, Vec<Packet>),
    Commit,
    /// The daemon is killed, and what waits is lost. It starts again, perhaps with other tiers.
    Kill(Option<Schema>),
    /// The daemon is stopped and started again, perhaps with other tiers.
    Restart(Option<Schema>),
    /// The clock is set back by so many seconds.
    SetBack(i64),
}

/// Lengths of tiers and how long they are kept, seconds; the finest first.
type Schema = Vec<(u32, u64)>;

const DAY: u32 = 86_400;

/// Any tiers that the configuration allows. Most have days, which are kept for good: in the end
/// everything must be in them.
fn schema() -> impl Strategy<Value = Schema> {
    let between = vec![2, 3, 5, 10, 12];
    let lengths = (select(vec![10_u32, 60, 300]), subsequence(between, 0..4), 0..5);
    let lengths = lengths.prop_map(|(base, factors, end)| {
        let mut lengths = vec![base];
        for factor in factors {
            let next = lengths[lengths.len() - 1] * factor;
            if DAY.is_multiple_of(next) && next < DAY {
                lengths.push(next);
            }
        }
        if end > 0 {
            lengths.push(DAY);
        }
        lengths
    });
    (lengths, prop::collection::vec(0_u64..40, 6)).prop_map(|(lengths, longer)| {
        let mut schema = Vec::new();
        for (at, length) in lengths.iter().enumerate() {
            // Twice the next tier's length is the least that the configuration allows.
            let keep = lengths
                .get(at + 1)
                .map_or(YEAR, |next| u64::from(*next) * 2 + u64::from(*length) * longer[at]);
            schema.push((*length, keep));
        }
        schema
    })
}

fn with_days() -> impl Strategy<Value = Schema> {
    schema().prop_filter("days", |schema| schema.last().is_some_and(|(length, _)| *length == DAY))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop_oneof![9 => Just(0i64), 1 => 1i64..2_000], prop::collection::vec(packets(), 1..8))
            .prop_map(|(gap, all)| Step::Traffic(gap, all)),
        1 => (1i64..500, packets()).prop_map(|(ago, packets)| Step::Late(ago, packets)),
        4 => Just(Step::Commit),
        1 => prop::option::of(schema()).prop_map(Step::Kill),
        1 => prop::option::of(schema()).prop_map(Step::Restart),
        1 => (1i64..12_000).prop_map(Step::SetBack),
    ]
}

fn tiers(schema: &Schema) -> Vec<Tier> {
    let names: Vec<String> = schema.iter().map(|(length, _)| format!("t{length}")).collect();
    let tiers = schema.iter().zip(&names);
    let tiers: Vec<_> = tiers.map(|((length, keep), name)| (&name[..], *length, *keep)).collect();
    options(&tiers, 1).tiers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_doubled_whatever_happens(
        first in with_days(),
        hosts in 2usize..14,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let mut options = Options { tiers: tiers(&first), ..options(&[("t", 1, 1)], hosts) };
        let mut store = Store::open(&path, options.clone()).unwrap();
        // The time, and what must be in the coarsest tier: committed, and waiting.
        let mut now = 100_000 * 60;
        let (mut committed, mut waiting) = (0, 0);
        // Intervals that begin later were computed from the current tiers.
        let mut since = i64::MIN;
        // The latest start of an interval, and whether there may be later ones all the same.
        let (mut latest, mut stays) = (now, false);
        for step in steps {
            let base = options.tiers[0].seconds;
            let length = i64::from(base);
            let mut add = |store: &mut Store, start: i64, packets: &[Packet]| {
                let interval = spread(start.div_euclid(length) * length, base, packets);
                waiting += interval.total().bytes as i64;
                latest = latest.max(interval.start);
                take(store, [interval]);
            };
            match step {
                Step::Traffic(gap, all) => {
                    now += gap * length;
                    for packets in all {
                        add(&mut store, now, &packets);
                        now += length;
                    }
                }
                Step::Late(ago, packets) => add(&mut store, now - ago * length, &packets),
                Step::Commit => {
                    prop_assert!(store.commit(false, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                }
                Step::Kill(schema) => {
                    drop(store);
                    waiting = 0;
                    if let Some(schema) = schema {
                        options.tiers = tiers(&schema);
                        since = since.max(now + i64::from(DAY));
                    }
                    store = Store::open(&path, options.clone()).unwrap();
                }
                Step::Restart(schema) => {
                    prop_assert!(store.commit(true, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                    drop(store);
                    if let Some(schema) = schema {
                        options.tiers = tiers(&schema);
                        since = since.max(now + i64::from(DAY));
                    }
                    store = Store::open(&path, options.clone()).unwrap();
                }
                Step::SetBack(by) => {
                    now -= by;
                    // Coarser rows cannot be moved where their finer rows are gone or the finer
                    // tier is younger: they stay, whatever tiers there are later. All else moves,
                    // by whole intervals of the finest tier.
                    let tiers = &store.writer.tiers;
                    let from = tiers[0].start_of(now);
                    stays |= tiers.windows(2).any(|pair| pair[1].start_of(from) < pair[0].kept_since);
                    latest = now.max(latest - (by + length / 2).div_euclid(length) * length);
                    store.take(Message::SetBack { now, by }, &Status::default());
                    // The store thread commits at once, too.
                    prop_assert!(store.commit(false, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                }
            }
            if waiting == 0 {
                assert_conservation_since(&store, since);
            }
        }
        prop_assert!(store.commit(true, &Status::default()));
        committed += waiting;
        assert_conservation_since(&store, since);
        let coarsest = store.writer.tiers.last().unwrap();
        // A coarsest tier that was always there and keeps everything holds all.
        if coarsest.kept_since == 0 && coarsest.keep == YEAR as i64 {
            let all = format!("SELECT sum(bytes) FROM v_interface WHERE seconds = {}", coarsest.seconds);
            prop_assert_eq!(sum(&store, &all), committed);
        }
        if !stays {
            let latest = latest.max(now);
            let future = format!("SELECT count(*) FROM v_interface WHERE start > {latest}");
            prop_assert_eq!(sum(&store, &future), 0);
        }
        let check: String = store.writer.connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(check, "ok");
    }
}
