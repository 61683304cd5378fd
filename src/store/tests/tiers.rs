//! What is written, and how tiers are summed up.

use super::fixtures::*;
use crate::account::{InOut, IntervalHost, Volume};
use crate::decode::{Addr, Mac};
use crate::store::kind::SERVICE;
use crate::store::rows::Interval;
use crate::store::*;

#[test]
fn what_hosts_do_adds_up_to_each_host_in_the_views_of_every_tier() {
    let directory = tempfile::tempdir().unwrap();
    let tiers = [("minute", 60, YEAR), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)];
    // Few hosts and services are named: the folded ones have no rows.
    let mut store = Store::open(&directory.path().join("b.db"), options(&tiers, 4)).unwrap();
    let packet = |source, destination, port| Packet { source, destination, port, bytes: 100 };
    for minute in 0..90_u8 {
        let packets: Vec<Packet> = (0..minute % 9).map(|n| packet(n, minute % 7, n % 4)).collect();
        assert!(commit(&mut store, [closed(i64::from(minute) * 60, 60, &packets)]));
    }
    assert_conservation(&store);
    assert_views_add_up(&store);
    let rows = format!(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM {} WHERE {} GROUP BY start)",
        SERVICE.table(3_600),
        SERVICE.condition()
    );
    assert_eq!(sum(&store, &rows), 8, "as many as are named");
}

#[test]
fn the_views_show_what_was_written_and_splits_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    assert!(commit(&mut store, [some(60), some(120)]));
    assert_conservation(&store);
    for tier in ["minute", "hour", "day"] {
        let all = format!("SELECT sum(bytes) FROM v_interface WHERE tier = '{tier}'");
        assert_eq!(sum(&store, &all), 2 * 642);
    }
    let only = "tier = 'day'";
    assert_eq!(
        sum(&store, &format!("SELECT port FROM v_port WHERE {only} AND protocol = 'tcp'")),
        2
    );
    assert_eq!(
        sum(
            &store,
            &format!("SELECT bytes_out FROM v_host WHERE {only} AND address = '192.168.1.0'")
        ),
        1_200
    );
    assert_eq!(
        sum(
            &store,
            &format!("SELECT dropped FROM v_interface WHERE {only} AND interface = 'eth0'")
        ),
        6
    );
    assert_eq!(
        sum(
            &store,
            &format!(
                "SELECT CAST(covered_seconds * 1000 AS INTEGER) FROM v_interface WHERE {only}"
            )
        ),
        120_000
    );
    assert_eq!(sum(&store, "SELECT count(*) FROM v_host WHERE mac = '02:00:00:00:00:00'"), 4);
}

#[test]
fn a_minute_that_is_written_twice_is_the_sum() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    assert!(commit(&mut store(&path), [some(60)]));
    let mut again = store(&path);
    assert!(commit(&mut again, [some(60)]));
    assert_conservation(&again);
    assert_eq!(sum(&again, "SELECT count(*) FROM v_interface WHERE tier = 'minute'"), 1);
    assert_eq!(sum(&again, "SELECT bytes FROM v_interface WHERE tier = 'day'"), 1_284);
}

#[test]
fn a_spike_of_a_minute_shows_in_the_day_and_so_does_a_silent_minute() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let quiet = [Packet { source: 0, destination: 1, port: 1, bytes: 60 }];
    let spike = [Packet { source: 0, destination: 1, port: 1, bytes: 60_000 }];
    let minutes = (0..180).map(|m| closed(m * 60, 60, if m == 77 { &spike } else { &quiet }));
    assert!(commit(&mut store, minutes.filter(|m| m.start != 600)));
    let spike =
        "SELECT bits_per_second_max_out FROM v_host WHERE tier = 'day' AND address = '192.168.1.0'";
    assert_eq!(sum(&store, spike), 8_000);
    let least = |tier: &str, start: i64| {
        sum(
            &store,
            &format!(
                "SELECT bits_per_second_min_out FROM v_host WHERE tier = '{tier}' AND start = {start} AND address = '192.168.1.0'"
            ),
        )
    };
    // Minute 10 has no row at all: not covered, which is not the same as silent.
    assert_eq!((least("hour", 0), least("hour", 3_600)), (8, 8));
    let mut silent = (180..240).map(|m| closed(m * 60, 60, if m == 200 { &[] } else { &quiet }));
    assert!(commit(&mut store, silent.by_ref()));
    assert_eq!(
        sum(
            &store,
            "SELECT bits_per_second_min_out FROM v_host WHERE tier = 'hour' AND start = 10800 AND address = '192.168.1.0'"
        ),
        0
    );
    assert_eq!(
        sum(
            &store,
            "SELECT bits_per_second_min_out FROM v_host WHERE tier = 'day' AND address = '192.168.1.0'"
        ),
        0
    );
}

#[test]
fn every_address_reads_in_sql_as_it_does_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let texts = [
        "0.0.0.0",
        "127.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "::ffff:192.0.2.1",
        "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1",
        "2001:db8:0:0:1:0:0:1",
        "fe80::1:0:0:1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "1:0:1:0:1:0:1:0",
        "0:1::",
        "a:b:c:d:e:f:0:0",
        "0:0:c:d:e:f:1:2",
    ];
    let one = Volume { packets: 1, bytes: 60 };
    let row = |text: &str| IntervalHost {
        address: Addr::from(text.parse::<std::net::IpAddr>().unwrap()),
        mac: Mac::default(),
        local: false,
        traffic: InOut { received: one, sent: one },
        rates: Default::default(),
    };
    let hosts = texts.iter().map(|text| row(text)).collect();
    assert!(commit(&mut store, [ClosedInterval { hosts, ..some(0) }]));
    for text in texts {
        let shown = text.parse::<std::net::IpAddr>().unwrap().to_string();
        let found =
            format!("SELECT count(*) FROM v_host WHERE address = '{shown}' AND tier = 'minute'");
        assert_eq!(sum(&store, &found), 1, "{shown}");
    }
}

#[test]
fn a_tier_that_is_added_later_is_made_from_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let minutes = options(&[("minute", 60, YEAR), ("day", 86_400, YEAR)], 200);
    assert!(commit(
        &mut Store::open(&path, minutes.clone()).unwrap(),
        (0..300).map(|m| some(m * 60))
    ));
    let mut with_hours = Store::open(&path, usual()).unwrap();
    assert!(commit(&mut with_hours, [some(300 * 60)]));
    assert_eq!(
        sum(&with_hours, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"),
        301 * 642
    );
    assert_conservation(&with_hours);
    drop(with_hours);
    // Without hours for a while, then with them again: the gap does no harm to the day.
    assert!(commit(&mut Store::open(&path, minutes).unwrap(), (301..400).map(|m| some(m * 60))));
    let mut again = Store::open(&path, usual()).unwrap();
    assert!(commit(&mut again, [some(400 * 60)]));
    assert_eq!(sum(&again, "SELECT bytes FROM v_interface WHERE tier = 'day'"), 401 * 642);
    assert_conservation(&again);
    drop(again);
    // With a finer tier than before.
    let fine = options(&[("ten", 10, YEAR), ("minute", 60, YEAR), ("day", 86_400, YEAR)], 200);
    let mut fine = Store::open(&path, fine).unwrap();
    assert!(commit(&mut fine, (0..30).map(|n| closed(400 * 60 + 30 + n * 10, 10, &[]))));
    assert_eq!(
        sum(&fine, "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'"),
        401 * 642 + 30 * 42
    );
    assert_conservation(&fine);
}

#[test]
fn the_tier_in_memory_gives_back_what_it_was_given() {
    let mut state = recent::State::default();
    let packets: Vec<Packet> = (0..40)
        .map(|n: u8| Packet { source: n, destination: 99, port: n, bytes: 60_000 })
        .collect();
    let mut sums = Vec::new();
    for second in 0..2_000 {
        let interval = Interval::new(&closed(second, 1, &packets[..(second % 40) as usize]), |_| 7);
        sums.push(interval.clone());
        state.add_fine(&interval, 1_000);
    }
    assert!(state.fine_since().unwrap() >= 1_000);
    let back: Vec<Interval> =
        state.fine(1_990, 1_995).iter().map(|packed| packed.unpack()).collect();
    assert_eq!(back, sums[1_990..1_995]);
}

/// The day was six hours behind at the power cut. Its minutes did not reach back to its start, so
/// that without the hours it could not be recomputed: those hours were missing in the day for good.
#[test]
fn what_a_crash_has_left_behind_is_made_good_before_the_tiers_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let with_hours =
        options(&[("minute", 60, 7_200), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 200);
    let mut store = Store::open(&path, with_hours).unwrap();
    for minute in 0..660 {
        take(&mut store, [some(minute * 60)]);
        assert!(store.commit(false, &Status::default()));
    }
    let day = "SELECT sum(bytes) FROM v_interface WHERE tier = 'day'";
    assert!(sum(&store, day) < 660 * 642, "else this test shows nothing");
    // Killed.
    drop(store);
    let without = options(&[("minute", 60, 2 * 86_400), ("day", 86_400, YEAR)], 200);
    let store = Store::open(&path, without).unwrap();
    assert_eq!(sum(&store, day), 660 * 642);
}

/// While hours were not written, the clock was set back, and all minutes of the newest hour were
/// moved. When hours came back, that hour still had its bytes, and so had the hour to which they
/// had been moved.
#[test]
fn a_tier_that_comes_back_forgets_what_was_moved_away_in_the_meantime() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let with_hours = options(&[("minute", 60, YEAR), ("hour", 3_600, YEAR)], 200);
    let mut store = Store::open(&path, with_hours.clone()).unwrap();
    assert!(commit(&mut store, (0..10).chain(130..135).map(|m| some(m * 60))));
    drop(store);
    let minutes = options(&[("minute", 60, YEAR)], 200);
    let mut store = Store::open(&path, minutes).unwrap();
    // Now it is minute 125, and minutes 130 to 134 were 100 to 104.
    store.take(Message::SetBack { now: 125 * 60, by: 30 * 60 }, &Status::default());
    assert!(store.commit(true, &Status::default()));
    drop(store);
    let store = Store::open(&path, with_hours).unwrap();
    assert_conservation(&store);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'"), 15 * 642);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"), 15 * 642);
}

/// `hour:3600` became `hour:7200`, and the views showed twice the bytes for `tier = 'hour'`.
#[test]
fn a_name_that_goes_to_another_length_is_that_of_one_tier() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let with = |name, seconds| options(&[("minute", 60, YEAR), (name, seconds, YEAR)], 200);
    let mut store = Store::open(&path, with("hour", 3_600)).unwrap();
    assert!(commit(&mut store, (0..240).map(|m| some(m * 60))));
    drop(store);
    let bytes = |store: &Store, tier: &str| {
        sum(store, &format!("SELECT sum(bytes) FROM v_interface WHERE tier = '{tier}'"))
    };
    for seconds in [7_200, 10_800, 7_200, 3_600] {
        let mut store = Store::open(&path, with("hour", seconds)).unwrap();
        assert!(commit(&mut store, []));
        assert_eq!(bytes(&store, "hour"), 240 * 642, "{seconds}");
        let names = "SELECT count(*) - count(DISTINCT tier) FROM v_tier";
        assert_eq!(sum(&store, names), 0);
        if seconds == 7_200 {
            assert_eq!(bytes(&store, "hour-3600"), 240 * 642, "they are there under this name");
        }
    }
    // A configured name like those given to old tiers.
    let mut store = Store::open(&path, with("hour-7200", 14_400)).unwrap();
    assert!(commit(&mut store, []));
    assert_eq!((bytes(&store, "hour-7200"), bytes(&store, "hour")), (240 * 642, 240 * 642));
}
