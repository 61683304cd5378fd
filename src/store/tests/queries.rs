//! Answers, compared with what was written.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::fixtures::{Packet, YEAR, closed, host, options, packets, some, spread};
use crate::account::{PortKey, Service, Transport};
use crate::store::InMemory;
use crate::store::kind::{HOST, INTERFACE, KINDS, OTHER, PORT, SERVICE, key_of};
use crate::store::query::History;
use crate::store::question::{Answer, Label, Question, Step, Which};
use crate::store::rows::Interval;
use crate::store::*;

fn question(from: i64, to: i64, step: Step) -> Question {
    Question { kind: &HOST, only: None, from, to, step, most: 10_000, top: 0, rows: None }
}

/// Rows + other + none = total, in all and at every point.
fn assert_adds_up(answer: &Answer) {
    let rest = [&answer.other, &answer.none];
    let lines = || answer.rows.iter().chain(rest);
    for way in 0..answer.kind.ways.len() {
        let bytes: u64 = lines().map(|line| line.total[way].bytes).sum();
        assert_eq!(bytes, answer.total.total[way].bytes, "{} {way}", answer.kind.name);
        let mut points = vec![0; answer.points.len()];
        for line in lines() {
            line.series.iter().for_each(|(point, cells)| points[point] += cells[way].packets);
        }
        for (point, cells) in answer.total.series.iter() {
            assert_eq!(points[point], cells[way].packets, "point {point}");
            points[point] = 0;
        }
        assert!(points.iter().all(|packets| *packets == 0));
    }
}

fn tier(name: &str) -> Step {
    Step::Tier(name.to_owned())
}

/// A store with three days of history; only the last two hours still have minutes.
fn three_days() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let options =
        options(&[("minute", 60, 7_200), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 200);
    let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
    let status = Status::default();
    for minute in 0..3 * 1_440 {
        store.take(Message::Closed(some(minute * 60)), &status);
        if minute % 97 == 0 {
            assert!(store.commit(false, &status));
        }
    }
    (directory, store)
}

fn ask(store: &Store, question: &Question) -> Answer {
    let fresh = InMemory { recent: &store.recent, tier: None };
    let answer = History::open(&store.path).unwrap().ask(question, Some(fresh)).unwrap();
    assert_adds_up(&answer);
    answer
}

#[test]
fn a_span_is_covered_with_the_coarsest_tiers_that_fit_and_what_waits_counts_too() {
    let (_directory, store) = three_days();
    let end = 3 * 86_400;
    let day = ask(&store, &question(86_400, 2 * 86_400, Step::Whole));
    assert_eq!((day.tier.as_str(), day.total.total[0].bytes), ("day", 1_440 * 642));
    let odd = ask(&store, &question(7_200, end - 120, Step::Whole));
    assert_eq!(odd.total.total[0].bytes, (3 * 1_440 - 120 - 2) * 642);
    assert_eq!(odd.points[0].covered, (3 * 1_440 - 120 - 2) * 60_000);
    assert_eq!(odd.recorded_until, Some(end));
    let hours = ask(&store, &question(0, end, tier("hour")));
    assert_eq!(hours.points.len(), 72);
    assert!(hours.total.series.iter().all(|(_, cells)| cells[0].bytes == 60 * 642));
    // The minutes of the first day are gone: the span is widened to whole hours at both ends.
    let early = ask(&store, &question(5_000, 9_000, Step::Whole));
    assert_eq!((early.from, early.to, early.widened), (3_600, 10_800, Some(3_600)));
    assert_eq!(early.total.total[0].bytes, 120 * 642);
}

#[test]
fn a_span_that_is_finer_than_what_is_kept_is_answered_and_says_so() {
    let (_directory, store) = three_days();
    // 25 minutes, as a drag over a graph asks for, within an hour whose minutes are gone.
    for step in [Step::Whole, Step::Auto(300), Step::Auto(2)] {
        let answer = ask(&store, &question(5_000, 6_500, step));
        assert_eq!((answer.from, answer.to, answer.widened), (3_600, 7_200, Some(3_600)));
        assert_eq!((answer.tier.as_str(), answer.total.total[0].bytes), ("hour", 60 * 642));
        assert_eq!(answer.points.iter().map(|point| point.covered).sum::<u64>(), 3_600_000);
    }
    let end = 3 * 86_400;
    for (from, to, widened) in [
        (end - 3_600, end - 1_800, None),
        (end - 3_590, end - 1_810, None),
        (end - 3_590, end - 3_560, Some(60)),
        (3_600, 7_200, None),
        // To widen three days by less than an hour is not reported.
        (5_000, end, None),
    ] {
        let answer = ask(&store, &question(from, to, Step::Whole));
        assert_eq!(answer.widened, widened, "{from} to {to}");
    }
    let minutes = ask(&store, &question(5_000, 6_500, tier("minute")));
    assert_eq!(minutes.kept_since, Some(end - 7_200), "minutes before that are gone");
    assert_eq!(minutes.total.total[0].bytes, 0);
    assert_eq!(ask(&store, &question(end - 600, end, tier("minute"))).kept_since, None);
}

#[test]
fn a_graph_and_a_table_of_one_span_cover_the_same_intervals() {
    let (_directory, store) = three_days();
    let end = 3 * 86_400;
    for span in [1, 59, 61, 1_500, 3_601, 7_300, 86_399, 90_061, 2 * 86_400 + 7] {
        for from in [0, 1, 59, 5_000, 86_399, end - 86_400, end - 10_807, end - 7_201, end - 601] {
            let table = ask(&store, &question(from, from + span, Step::Whole));
            assert!(table.from <= from && table.to >= from + span);
            for points in [2, 3, 60, 300, 500] {
                let graph = ask(&store, &question(from, from + span, Step::Auto(points)));
                let ends = |answer: &Answer| (answer.from, answer.to, answer.widened);
                assert_eq!(ends(&graph), ends(&table), "{from} {span} {points}");
                assert_eq!(graph.total.total, table.total.total, "{from} {span} {points}");
                let step = i64::from(graph.step.unwrap());
                let inner = &graph.points[1..];
                assert!(inner.iter().all(|point| point.start % step == 0), "{from} {span}");
            }
        }
    }
}

#[test]
fn rates_of_other_are_told_over_the_time_that_was_captured() {
    let mut half = some(0);
    half.interfaces[0].covered = 30_000;
    half.other_hosts.sent.count(3_000);
    half.other_ports.count(3_000);
    let interval = Interval::new(&half, |_| 1);
    for (kind, way) in [(&HOST, 1), (&PORT, 0)] {
        let other = &interval.rows[kind.at].0[&key_of([OTHER])].cells[way];
        assert_eq!((other.least, other.greatest), (100, 100), "{}", kind.name);
    }
}

#[test]
fn the_tier_follows_from_the_points_wanted_and_from_what_is_still_there() {
    let (_directory, store) = three_days();
    let end = 3 * 86_400;
    let auto = |from, to, points| ask(&store, &question(from, to, Step::Auto(points)));
    assert_eq!(auto(end - 3_600, end, 300).tier, "minute");
    let merged = auto(end - 7_200, end, 20);
    assert_eq!((merged.tier.as_str(), merged.step), ("minute", Some(360)), "2 hours: too coarse");
    assert_eq!(merged.points.len(), 20);
    assert_adds_up(&merged);
    let day = auto(end - 86_400, end, 300);
    assert_eq!((day.tier.as_str(), day.step), ("hour", Some(3_600)));
    assert_eq!(auto(0, 3_600, 300).tier, "hour", "its minutes are gone");
    assert_eq!(auto(0, end, 10).tier, "day");
    let coarse = auto(0, end, 2);
    assert_eq!((coarse.tier.as_str(), coarse.step), ("day", Some(2 * 86_400)));
}

#[test]
fn one_host_one_port_and_unknown_names() {
    let (_directory, store) = three_days();
    let day = |kind, only| {
        let question = Question { kind, only: Some(only), ..question(0, 86_400, Step::Whole) };
        let history = History::open(&store.path).unwrap();
        history.ask(&question, None)
    };
    let one = day(&HOST, Which::Host(host(0).ip())).unwrap();
    assert_adds_up(&one);
    assert_eq!(one.rows.len(), 1);
    assert_eq!(one.rows[0].total[1].bytes, 1_440 * 600);
    assert_eq!(
        one.rows[0].label,
        Label::Host(host(0).ip(), Some("02:00:00:00:00:00".into()), true)
    );
    assert_eq!(one.other.total[0].bytes, 1_440 * 600, "the other end received it");
    let port = day(&PORT, Which::Port(crate::account::Transport::Tcp, 2)).unwrap();
    assert_eq!(port.rows[0].total[0].packets, 1_440);
    assert!(day(&HOST, Which::Host("8.8.8.8".parse().unwrap())).unwrap().rows.is_empty());
    let eth0 = day(&INTERFACE, Which::Interface("eth0".into())).unwrap();
    assert_eq!((eth0.rows[0].total[0].bytes, eth0.rows[0].dropped), (1_440 * 600, 3 * 1_440));
    let unknown = day(&INTERFACE, Which::Interface("eth9".into())).unwrap_err();
    assert!(unknown.to_string().contains("no interface 'eth9'"), "{unknown}");
    let history = History::open(&store.path).unwrap();
    let unknown = history.ask(&question(0, 60, tier("week")), None).unwrap_err();
    assert!(unknown.to_string().contains("there is minute, hour, day"), "{unknown}");
}

#[test]
fn days_of_a_time_zone_have_23_and_25_hours() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        options(&[("minute", 60, YEAR), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 20);
    let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    for (from, to, hours) in [
        ("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", [24, 23, 24]),
        ("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", [24, 25, 24]),
    ] {
        let (from, to) = (time(from), time(to));
        let status = Status::default();
        (0..(to - from) / 3_600).for_each(|h| {
            store.take(Message::Closed(closed(from + h * 3_600, 60, &[])), &status);
        });
        assert!(store.commit(false, &status));
        let answer = ask(&store, &question(from + 7_000, to - 7_000, Step::Days(zone.clone())));
        let frames: Vec<u64> = answer.total.series.iter().map(|(_, c)| c[0].packets).collect();
        assert_eq!(frames, hours);
        assert_eq!((answer.from, answer.to), (from, to));
        assert_eq!(answer.approximate_before, None);
    }
}

#[test]
fn an_outage_and_an_idle_network_look_different() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&[("minute", 60, YEAR), ("hour", 3_600, YEAR)], 20);
    let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
    let idle = ClosedInterval {
        start: 60,
        length: 60,
        interfaces: vec![crate::account::IntervalInterface {
            name: "eth0".into(),
            covered: 45_000,
            ..Default::default()
        }],
        ..ClosedInterval::default()
    };
    store.take(Message::Closed(some(0)), &Status::default());
    store.take(Message::Closed(idle), &Status::default());
    store.take(Message::Closed(some(180)), &Status::default());
    assert!(store.commit(true, &Status::default()));
    let answer = ask(&store, &question(0, 240, tier("minute")));
    let covered: Vec<u64> = answer.points.iter().map(|point| point.covered).collect();
    assert_eq!(covered, [60_000, 45_000, 0, 60_000]);
    let bytes: Vec<_> = answer.total.series.iter().map(|(p, cells)| (p, cells[0].bytes)).collect();
    assert_eq!(bytes, [(0, 642), (1, 0), (3, 642)]);
}

#[test]
fn seconds_come_from_memory() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(&[("second", 1, 3_600), ("minute", 60, YEAR)], 20);
    options.tiers[0].in_memory = true;
    let memory = options.tiers[0].clone();
    let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
    for second in 0..300 {
        let packet = Packet { source: 1, destination: 2, port: 3, bytes: 100 + second as u16 };
        store.take(Message::Fine(closed(second, 1, &[packet])), &Status::default());
    }
    let fresh = || Some(InMemory { recent: &store.recent, tier: Some(&memory) });
    let history = History::open(&store.path).unwrap();
    let whole = history.ask(&question(100, 200, Step::Whole), fresh()).unwrap();
    assert_eq!((whole.from, whole.to, whole.points.len()), (100, 200, 1));
    let few = history.ask(&question(100, 200, Step::Auto(30)), fresh()).unwrap();
    assert_eq!((few.from, few.to, few.step), (100, 200, Some(4)));
    assert_eq!(few.total.total, whole.total.total);
    for step in [Step::Auto(300), tier("second")] {
        let answer = history.ask(&question(100, 200, step), fresh()).unwrap();
        assert_adds_up(&answer);
        assert_eq!((answer.tier.as_str(), answer.points.len()), ("second", 100));
        let (point, cells) = answer.rows[0].series.iter().nth(50).unwrap();
        assert_eq!((point, cells[0].bytes + cells[1].bytes), (50, 250));
    }
    // Nothing has been committed, and yet the interface has its name.
    let interfaces = Question { kind: &INTERFACE, ..question(100, 200, tier("second")) };
    let answer = history.ask(&interfaces, fresh()).unwrap();
    assert_eq!(answer.rows[0].label, Label::Interface("eth0".into()));
}

#[test]
fn rows_of_several_commits_and_of_memory_come_out_in_one_series() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&[("minute", 60, YEAR)], 300);
    let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: 0, port: n, bytes: 100 + u16::from(n) })
        .collect();
    for minute in 0..700 {
        store.take(Message::Closed(closed(minute * 60, 60, &packets)), &Status::default());
        if minute % 50 == 25 {
            assert!(store.commit(false, &Status::default()));
        }
    }
    let most = Question { top: 3, ..question(0, 700 * 60, tier("minute")) };
    let answer = ask(&store, &most);
    assert_eq!((answer.count, answer.rows.len()), (256, 3));
    assert!(answer.rows.iter().all(|row| row.series.len() == 700));
    assert_eq!(answer.rows[1].total[1].bytes, 700 * 355);
}

/// The bytes that were counted for a row, each way.
fn bytes_of(label: &Label, intervals: &[&ClosedInterval]) -> Vec<u64> {
    let mut sums = vec![0; if matches!(label, Label::Interface(_)) { 5 } else { 2 }];
    for interval in intervals {
        match label {
            Label::Interface(name) => {
                for interface in interval.interfaces.iter().filter(|i| i.name == *name) {
                    let ways = sums.iter_mut().zip(interface.directions);
                    ways.for_each(|(sum, volume)| *sum += volume.bytes);
                }
            }
            Label::Host(address, ..) => {
                for host in interval.hosts.iter().filter(|host| host.address.ip() == *address) {
                    sums[0] += host.traffic.received.bytes;
                    sums[1] += host.traffic.sent.bytes;
                }
            }
            Label::Port(_, port) => {
                let rows = interval.ports.iter().filter(|row| row.port == *port);
                sums[0] += rows.map(|row| row.volume.bytes).sum::<u64>();
            }
            Label::Service(address, _, _, _, port) => {
                let services = interval.services.iter().filter(|row| {
                    let Service::Port(key) = row.service else { return false };
                    row.address.ip() == *address && Some(key.port) == *port
                });
                for row in services {
                    sums[0] += row.traffic.received.bytes;
                    sums[1] += row.traffic.sent.bytes;
                }
            }
            Label::Protocol(_, number) => {
                let rows = interval.protocols.iter().filter(|row| row.number == *number);
                sums[0] += rows.map(|row| row.volume.bytes).sum::<u64>();
            }
            _ => panic!("a row that nobody counted: {label:?}"),
        }
    }
    if matches!(label, Label::Port(..) | Label::Protocol(..)) {
        sums.truncate(1);
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn answers_are_what_was_counted(
        minutes in prop::collection::vec((0i64..4, packets()), 1..200),
        commits in prop::collection::btree_set(0usize..200, 0..6),
        (from, span) in (0i64..400, 1i64..400),
        step in prop_oneof![
            Just(Step::Whole), Just(tier("minute")), Just(tier("ten")), Just(tier("hour")),
            (1usize..80).prop_map(Step::Auto), Just(Step::Days(TimeZone::UTC)),
        ],
        top in 0usize..5,
        number in 0u8..12,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let options = options(&[("minute", 60, YEAR), ("ten", 600, YEAR), ("hour", 3_600, YEAR)], 300);
        let mut store = Store::open(&directory.path().join("b.db"), options).unwrap();
        let mut known: BTreeMap<i64, ClosedInterval> = BTreeMap::new();
        let mut minute = 0;
        for (at, (gap, packets)) in minutes.into_iter().enumerate() {
            minute += 1 + gap;
            let interval = spread(minute * 60, 60, &packets);
            known.insert(minute * 60, interval.clone());
            store.take(Message::Closed(interval), &Status::default());
            if commits.contains(&at) {
                prop_assert!(store.commit(false, &Status::default()));
            }
        }
        let asked = (from * 60, (from + span) * 60);
        for kind in KINDS.into_iter().filter(|kind| kind.name != "device") {
            let wanted = Question { kind, top, ..question(asked.0, asked.1, step.clone()) };
            let answer = ask(&store, &wanted);
            prop_assert!(answer.from <= asked.0 && answer.to >= asked.1);
            prop_assert!(top == 0 || answer.rows.len() <= top);
            let mut totals = vec![0; answer.points.len()];
            answer.total.series.iter().for_each(|(point, cells)| {
                totals[point] = match kind == &INTERFACE {
                    true => cells.iter().map(|cell| cell.bytes).sum(),
                    false => cells[0].bytes,
                };
            });
            for (point, total) in answer.points.iter().zip(totals) {
                let within = known.range(point.start..point.end);
                prop_assert_eq!(within.clone().map(|(_, i)| i.total().bytes).sum::<u64>(), total);
                prop_assert_eq!(within.map(|(_, i)| i.interfaces[0].covered).sum::<u64>(), point.covered);
            }
            let all: Vec<&ClosedInterval> =
                known.range(answer.from..answer.to).map(|(_, interval)| interval).collect();
            for row in &answer.rows {
                let told: Vec<u64> = row.total.iter().map(|cell| cell.bytes).collect();
                prop_assert_eq!(told, bytes_of(&row.label, &all), "{:?}", &row.label);
            }
        }
        // A host's services add up to its row; the hosts of a service are known.
        let of = |kind, only| {
            let span = question(asked.0, asked.1, step.clone());
            ask(&store, &Question { kind, only: Some(only), ..span })
        };
        let address = host(number).ip();
        let alone = of(&HOST, Which::Host(address));
        let does = of(&SERVICE, Which::Services(Some(address), None));
        prop_assert_eq!(&does.points, &alone.points);
        match alone.rows.first() {
            None => prop_assert!(does.rows.is_empty() && does.total.series.is_empty()),
            Some(row) => {
                prop_assert_eq!(&does.total.total, &row.total);
                prop_assert_eq!(&does.total.series, &row.series);
            }
        }
        let key = PortKey { transport: Transport::Tcp, port: u16::from(number) + 1 };
        let users = of(&SERVICE, Which::Services(None, Some(Service::Port(key))));
        let both = of(&SERVICE, Which::Services(Some(address), Some(Service::Port(key))));
        prop_assert!(both.rows.len() <= 1);
        let all: Vec<&ClosedInterval> =
            known.range(does.from..does.to).map(|(_, interval)| interval).collect();
        let rows = all.iter().flat_map(|interval| &interval.services);
        let service = |row: &&crate::account::IntervalService| row.service == Service::Port(key);
        let expected: std::collections::BTreeSet<_> =
            rows.filter(service).map(|row| row.address.ip()).collect();
        let found = users.rows.iter().map(|row| match &row.label {
            Label::Service(address, _, local, protocol, port) => {
                assert_eq!((protocol.as_str(), *port), ("tcp", Some(key.port)));
                assert_eq!(*local, (0..12).any(|n| n % 3 == 0 && host(n).ip() == *address));
                *address
            }
            label => panic!("{label:?}"),
        });
        prop_assert_eq!(found.collect::<std::collections::BTreeSet<_>>(), expected);
        for row in does.rows.iter().chain(&users.rows).chain(&both.rows) {
            let told: Vec<u64> = row.total.iter().map(|cell| cell.bytes).collect();
            prop_assert_eq!(told, bytes_of(&row.label, &all), "{:?}", &row.label);
        }
    }
}

#[test]
fn auto_never_gives_more_points_than_were_asked_for_wherever_the_span_begins() {
    let (_directory, store) = three_days();
    for points in [2, 3, 60, 500] {
        for span in [1, 59, 7_200, 500 * 60, 500 * 3_600, 1_700_000_000] {
            for from in [0, 1, 59, 3_599, 86_399, 200_001] {
                let question =
                    Question { most: points, ..question(from, from + span, Step::Auto(points)) };
                assert!(ask(&store, &question).points.len() <= points, "{points} {span} {from}");
            }
        }
    }
}
