//! What is deleted: when it is old, when the file is too large, when nobody needs it.

use super::fixtures::*;
use crate::account::{InOut, IntervalHost, Volume};
use crate::decode::{Addr, Mac};
use crate::event::Severity;
use crate::store::kind::SERVICE;
use crate::store::*;

#[test]
fn old_minutes_go_when_the_hours_have_them_and_young_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let options = options(&[("minute", 60, 7_200), ("hour", 3_600, YEAR)], 200);
    let mut store = Store::open(&path, options).unwrap();
    for minute in 0..600 {
        assert!(commit(&mut store, [some(minute * 60)]));
    }
    let first = sum(&store, "SELECT min(start) FROM v_interface WHERE tier = 'minute'");
    assert!((450 * 60..=480 * 60).contains(&first), "{first}");
    assert_eq!(sum(&store, "SELECT min(start) FROM v_host WHERE tier = 'minute'"), first);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"), 600 * 642);
    assert_conservation(&store);
    // A late interval, for an hour whose minutes are gone, is not lost.
    assert!(commit(&mut store, [some(60)]));
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"), 601 * 642);
    assert_eq!(
        sum(&store, "SELECT bytes FROM v_interface WHERE tier = 'hour' AND start = 0"),
        61 * 642
    );
}

#[test]
fn a_file_that_is_too_large_loses_its_finest_rows_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut options = usual();
    options.max_size = 1 << 20;
    let mut store = Store::open(&path, options).unwrap();
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: n.wrapping_add(1), port: n, bytes: 100 })
        .collect();
    for hour in 0..24 {
        assert!(commit(&mut store, (0..60).map(|m| closed(hour * 3_600 + m * 60, 60, &packets))));
        let pages = sum(&store, "PRAGMA page_count") - sum(&store, "PRAGMA freelist_count");
        // More than the limit: the minutes of the open hour are never deleted.
        assert!(pages * sum(&store, "PRAGMA page_size") < 3 << 20, "{pages}");
    }
    assert_eq!(sum(&store, "SELECT count(DISTINCT start) FROM v_interface WHERE tier = 'day'"), 1);
    assert_eq!(sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'day'"), 1_440 * 257);
    assert!(
        sum(&store, "SELECT count(DISTINCT start) FROM v_interface WHERE tier = 'minute'") <= 120
    );
    assert_conservation(&store);
}

/// The bytes that are in use in the file.
fn used(store: &Store) -> i64 {
    let pages = sum(store, "PRAGMA page_count") - sum(store, "PRAGMA freelist_count");
    pages * sum(store, "PRAGMA page_size")
}

/// A commit deleted 960 intervals at most, which is fewer than the seconds of an hour.
#[test]
fn a_file_that_is_too_large_stays_small_however_much_a_commit_brings() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut options = options(&[("second", 1, YEAR), ("minute", 60, YEAR)], 200);
    options.max_size = 1 << 20;
    let mut store = Store::open(&path, options).unwrap();
    let packet = |n| Packet { source: n, destination: n + 1, port: n, bytes: 100 };
    let packets: Vec<Packet> = (0..10).map(packet).collect();
    for round in 0..12 {
        let seconds = round * 1_000..(round + 1) * 1_000;
        assert!(commit(&mut store, seconds.map(|second| closed(second, 1, &packets))));
        assert!(used(&store) <= 1 << 20, "{}", used(&store));
    }
    assert_eq!(
        sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'minute'"),
        12_000 * 11
    );
}

#[test]
fn a_tier_that_is_not_configured_any_more_makes_room_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let packet = |n| Packet { source: n, destination: n + 1, port: n, bytes: 100 };
    let packets: Vec<Packet> = (0..60).map(packet).collect();
    let mut store = store(&path);
    for hour in 0..20 {
        let minutes = hour * 60..(hour + 1) * 60;
        assert!(commit(&mut store, minutes.map(|m| closed(m * 60, 60, &packets))));
    }
    assert!(used(&store) > 3 << 20);
    drop(store);
    let mut options = options(&[("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 200);
    options.max_size = 1 << 20;
    let mut store = Store::open(&path, options).unwrap();
    for hour in 20..24 {
        assert!(commit(&mut store, [closed(hour * 3_600, 3_600, &packets)]));
    }
    assert!(used(&store) <= 1 << 20, "{}", used(&store));
    assert_eq!(
        sum(&store, "SELECT count(DISTINCT start) FROM v_interface WHERE tier = 'hour'"),
        24
    );
}

/// Rows of interfaces were deleted some time after the others. When minutes were then kept for
/// longer, a late one brought them back into the view, or was added to them.
#[test]
fn what_comes_after_its_time_has_been_let_go_is_added_up_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = |keep| options(&[("minute", 60, keep), ("five", 300, YEAR)], 200);
    let mut store = Store::open(&path, tiers(600)).unwrap();
    for minute in 0..14 {
        assert!(commit(&mut store, [some(minute * 60)]));
    }
    let count = |store: &Store, table: &str| {
        sum(store, &format!("SELECT count(DISTINCT start) FROM {table} WHERE start < 240"))
    };
    assert!(count(&store, "interface_60") == 0 && count(&store, "traffic_60") == 0);
    drop(store);
    let mut store = Store::open(&path, tiers(YEAR)).unwrap();
    for late in [2, 1, 2] {
        assert!(commit(&mut store, [some(late * 60)]));
        assert_conservation(&store);
    }
    let bytes = "SELECT sum(bytes) FROM v_interface WHERE tier =";
    assert_eq!(sum(&store, &format!("{bytes} 'minute' AND start < 240")), 3 * 642);
    assert_eq!(sum(&store, &format!("{bytes} 'five'")), 17 * 642);
}

#[test]
fn a_tier_that_is_dropped_goes_when_the_next_one_does_and_the_coarsest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    assert!(commit(&mut store(&path), (0..1_440).map(|m| some(m * 60))));
    let mut hours = Store::open(&path, options(&[("hour", 3_600, 2 * 86_400)], 200)).unwrap();
    let count = |store: &Store, tier: &str| {
        sum(store, &format!("SELECT count(DISTINCT start) FROM v_interface WHERE tier = '{tier}'"))
    };
    let hour = |number: i64| closed(number * 3_600, 3_600, &[]);
    for number in 24..48 {
        assert!(commit(&mut hours, [hour(number)]));
    }
    assert_eq!((count(&hours, "minute"), count(&hours, "day")), (1_440, 1));
    for number in 48..80 {
        assert!(commit(&mut hours, [hour(number)]));
    }
    assert_eq!((count(&hours, "minute"), count(&hours, "day")), (0, 1));
    assert_eq!(sum(&hours, "SELECT min(start) FROM v_interface WHERE tier = 'hour'"), 32 * 3_600);
}

/// A minute with `count` more hosts, which are there only then.
fn flood(start: i64, seed: u32, count: u32) -> ClosedInterval {
    let mut interval = some(start);
    let one = Volume { packets: 1, bytes: 60 };
    interval.hosts.extend((0..count).map(|n| IntervalHost {
        address: Addr::v4((0x0a00_0000 + seed * count + n).to_be_bytes()),
        mac: Mac([2, 0, 0, 0, 0, n as u8]),
        local: true,
        traffic: InOut { received: one, sent: one },
        rates: Default::default(),
    }));
    interval
}

#[test]
fn hardware_addresses_of_hosts_without_history_do_not_pile_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = [("minute", 60, 7_200), ("hour", 3_600, 86_400)];
    let mut store = Store::open(&path, options(&tiers, 20)).unwrap();
    store.writer.catalog.many_macs = 3_000;
    for minute in 0..400 {
        assert!(commit(&mut store, [flood(minute * 60, minute as u32, 20)]));
        store.writer.catalog.many_macs = store.writer.catalog.many_macs.min(3_000);
        while store.tidy_up(&Status::default()) {}
        assert!(sum(&store, "SELECT count(*) FROM host_mac") <= 3_020);
    }
    // Every host with history has kept its hardware address.
    let without = "SELECT count(*) FROM v_host WHERE mac IS NULL AND local IS NOT NULL";
    assert_eq!(sum(&store, without), 0);
    let forgotten = 0x0a00_0000 + 30 * 20;
    let its = format!("SELECT count(*) FROM host_mac WHERE low = {forgotten}");
    assert_eq!(sum(&store, &its), 0);
}

/// Somebody invents addresses, and each has a service. Their numbers are deleted when no tier has a
/// row of theirs any more, a step with each commit; all other numbers stay.
#[test]
fn numbers_of_hosts_without_rows_do_not_pile_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = [("minute", 60, 7_200), ("hour", 3_600, 86_400)];
    let mut store = Store::open(&path, options(&tiers, 20)).unwrap();
    let mut most = 0;
    let mut sweeps = 0;
    for minute in 0..900_u32 {
        let mut interval = flood(i64::from(minute) * 60, minute, 20);
        interval.services = interval
            .hosts
            .iter()
            .map(|host| crate::account::IntervalService {
                address: host.address,
                local: host.local,
                service: crate::account::Service::Protocol(1),
                traffic: host.traffic,
                rates: host.rates,
            })
            .collect();
        assert!(commit(&mut store, [interval]));
        store.writer.hosts.set_many(3_000);
        sweeps += u32::from(store.writer.hosts.is_sweeping());
        most = most.max(sum(&store, "SELECT count(*) FROM host"));
    }
    assert!(sweeps > 20, "{sweeps} commits went on with a sweep");
    // During a sweep hosts keep arriving: 20 with each commit.
    assert!((3_000..4_500).contains(&most), "{most}");
    let without = format!(
        "SELECT count(*) FROM {} WHERE {} AND k1 NOT IN (SELECT id FROM host)",
        SERVICE.table(60),
        SERVICE.condition()
    );
    assert_eq!(sum(&store, &without), 0);
    assert_eq!(sum(&store, &without.replace("_60", "_3600")), 0);
    assert!(sum(&store, "SELECT count(*) FROM v_service WHERE protocol = 'icmp'") > 1_000);
}

/// It has traffic again after the rows were read, and before its turn to be deleted.
#[test]
fn a_host_that_comes_back_during_a_sweep_keeps_its_number() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = Store::open(&path, options(&[("minute", 60, 7_200)], 20)).unwrap();
    let former = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 5000)
        INSERT INTO host SELECT n, 4, 0, 0x0a000000 + n FROM n";
    store.writer.connection.execute(former, []).unwrap();
    store.writer.hosts.set_many(3_000);
    let mut minute = 0;
    while !store.writer.hosts.is_deleting() {
        assert!(commit(&mut store, [some(minute * 60)]));
        minute += 1;
        assert!(minute < 20);
    }
    let mut back = some(minute * 60);
    back.hosts.push(IntervalHost {
        address: Addr::v4((0x0a00_0000_u32 + 4_000).to_be_bytes()),
        ..flood(0, 0, 1).hosts.pop().unwrap()
    });
    back.services = back
        .hosts
        .iter()
        .map(|host| crate::account::IntervalService {
            address: host.address,
            local: true,
            service: crate::account::Service::Protocol(1),
            traffic: host.traffic,
            rates: host.rates,
        })
        .collect();
    assert!(commit(&mut store, [back]));
    // The numbers are more than a sweep marks at once.
    while sum(&store, "SELECT count(*) FROM host WHERE id <= 5000") > 1 {
        minute += 1;
        assert!(minute < 40);
        assert!(commit(&mut store, [some(minute * 60)]));
    }
    assert_eq!(sum(&store, "SELECT count(*) FROM host WHERE id = 4000"), 1);
    let its = "SELECT count(*) FROM v_service WHERE address = '10.0.15.160' AND protocol = 'icmp'";
    assert_eq!(sum(&store, its), 1);
}

/// A commit that fails is rolled back: rows that it had deleted are there again, and unmarked.
#[test]
fn a_commit_that_fails_ends_a_sweep() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    store.writer.hosts.set_many(0);
    assert!(commit(&mut store, [some(0)]));
    assert!(store.writer.hosts.is_sweeping());
    assert!(commit(&mut store, [some(60)]));
    assert!(store.writer.hosts.is_sweeping());
    let batch = batch::Batch::default();
    let fails = |_: rusqlite::Transaction<'_>, _| Err(rusqlite::Error::InvalidQuery);
    assert!(store.writer.commit(&batch, fails).is_err());
    store.writer.hosts.begin_commit();
    assert!(!store.writer.hosts.is_sweeping());
}

#[test]
fn the_newest_events_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let many = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 10500)
        INSERT INTO event (time, kind, message) SELECT n, 'test', '' FROM n";
    store.writer.connection.execute(many, []).unwrap();
    store.note(Severity::Information, "started", "the last".to_owned(), None);
    assert!(commit(&mut store, [some(0)]));
    assert_eq!(sum(&store, "SELECT count(*) FROM event"), 10_000);
    assert_eq!(sum(&store, "SELECT count(*) FROM event WHERE message = 'the last'"), 1);
    assert_eq!(sum(&store, "SELECT min(time) FROM event"), 502);
}
