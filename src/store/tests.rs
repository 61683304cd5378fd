use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::Connection;

use super::kind::KINDS;
use super::*;
use crate::account::{
    InOut, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol, Rates, Transport,
    Volume,
};
use crate::decode::{Addr, Mac};

/// A packet between two hosts, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) source: u8,
    pub(super) destination: u8,
    pub(super) port: u8,
    pub(super) bytes: u16,
}

pub(super) fn host(number: u8) -> Addr {
    match number % 3 {
        0 => Addr::v4([192, 168, 1, number]),
        1 => Addr::v4([203, 0, 113, number]),
        _ => Addr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]),
    }
}

/// What the worker would close after these packets and one ARP frame of 42 bytes.
pub(super) fn closed(start: i64, length: u32, packets: &[Packet]) -> ClosedInterval {
    let mut hosts: BTreeMap<u8, InOut> = BTreeMap::new();
    let mut ports: BTreeMap<u8, Volume> = BTreeMap::new();
    let mut inward = Volume::default();
    for packet in packets {
        let bytes = u64::from(packet.bytes);
        hosts.entry(packet.source).or_default().sent.count(bytes);
        hosts.entry(packet.destination).or_default().received.count(bytes);
        ports.entry(packet.port).or_default().count(bytes);
        inward.count(bytes);
    }
    let rates = |volume: Volume| {
        let rate = volume.bytes / u64::from(length);
        Rates { least: rate, greatest: rate }
    };
    let arp = Volume { packets: 1, bytes: 42 };
    let none = Volume::default();
    ClosedInterval {
        start,
        length,
        interfaces: vec![IntervalInterface {
            name: "eth0".into(),
            covered: u64::from(length) * 1_000,
            directions: [inward, none, none, none, arp],
            rates: [inward, none, none, none, arp].map(rates),
            dropped: 3,
        }],
        hosts: hosts
            .into_iter()
            .map(|(number, traffic)| IntervalHost {
                address: host(number),
                mac: Mac([2, 0, 0, 0, 0, number]),
                local: number % 3 == 0,
                traffic,
                rates: [rates(traffic.received), rates(traffic.sent)],
            })
            .collect(),
        ports: ports
            .into_iter()
            .map(|(port, volume)| IntervalPort {
                transport: Transport::Tcp,
                port: u16::from(port) + 1,
                volume,
                rates: rates(volume),
            })
            .collect(),
        without_port: arp,
        protocols: match inward.is_zero() {
            true => Vec::new(),
            false => vec![IntervalProtocol { number: 6, volume: inward, rates: rates(inward) }],
        },
        ..ClosedInterval::default()
    }
}

pub(super) fn some(start: i64) -> ClosedInterval {
    closed(start, 60, &[Packet { source: 0, destination: 1, port: 1, bytes: 600 }])
}

pub(super) fn options(schema: &[(&str, u32, u64)], hosts: usize) -> Options {
    let tier = |(name, seconds, keep): &(&str, u32, u64)| Tier {
        name: (*name).to_owned(),
        seconds: *seconds,
        keep: Duration::from_secs(*keep),
        in_memory: false,
    };
    let tiers = schema.iter().map(tier).collect();
    Options { tiers, limits: Limits { hosts, ports: hosts }, max_size: 1 << 30 }
}

const YEAR: u64 = 366 * 86_400;

fn usual() -> Options {
    options(&[("minute", 60, YEAR), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 200)
}

fn store(path: &Path) -> Store {
    Store::open(path, usual()).unwrap()
}

fn sum(store: &Store, sql: &str) -> i64 {
    let value: Option<i64> = store.writer.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    value.unwrap_or(0)
}

fn take(store: &mut Store, intervals: impl IntoIterator<Item = ClosedInterval>) {
    for interval in intervals {
        store.take(Message::Closed(interval), &Status::default());
    }
}

fn commit(store: &mut Store, intervals: impl IntoIterator<Item = ClosedInterval>) -> bool {
    take(store, intervals);
    store.commit(true, &Status::default())
}

/// In every tier and interval the splits add up, and each coarser row is the sum of its
/// finer ones.
fn assert_conservation(store: &Store) {
    let total = "SELECT tier, start, sum(packets), sum(bytes) FROM v_interface GROUP BY 1, 2";
    for split in ["in", "out", ""] {
        let (view, ending) = match split {
            "" => ("v_port", ""),
            way => ("v_host", if way == "in" { "_in" } else { "_out" }),
        };
        for view in [view, if split.is_empty() { "v_protocol" } else { view }] {
            let rows = format!(
                "SELECT tier, start, sum(packets{ending}), sum(bytes{ending}) FROM {view} GROUP BY 1, 2"
            );
            let differ = format!(
                "SELECT (SELECT count(*) FROM ({total} EXCEPT {rows})) + \
                 (SELECT count(*) FROM ({rows} EXCEPT {total}))"
            );
            assert_eq!(sum(store, &differ), 0, "{view}{ending} against v_interface");
        }
    }
    for at in 1..store.writer.tiers.len() {
        let (fine, coarse) = (&store.writer.tiers[at - 1], &store.writer.tiers[at]);
        // Open intervals may be behind.
        let stale: Vec<String> = store.writer.stale[at].iter().map(i64::to_string).collect();
        let stale = stale.join(", ");
        for kind in KINDS {
            let (keys, condition) = (kind.key_columns().join(", "), kind.condition());
            let sums: Vec<String> = kind
                .endings()
                .iter()
                .flat_map(|way| [format!("sum(packets{way})"), format!("sum(bytes{way})")])
                .collect();
            let not_rest = match kind.other {
                Some(other) => format!("k1 <> {}", other[0]),
                None => "1".to_owned(),
            };
            let span = coarse.seconds;
            let rows = |tier: i64| {
                let table = kind.table(tier);
                format!(
                    "SELECT start / {span} * {span} AS s, {keys}, {} FROM {table} \
                     WHERE {condition} AND {not_rest} AND start >= {} AND s NOT IN ({stale}) GROUP BY s, {keys}",
                    sums.join(", "),
                    (fine.kept_since + span - 1) / span * span
                )
            };
            // Rows that were folded on the way up are in the finer tier only.
            let wrong = format!(
                "SELECT count(*) FROM ({} EXCEPT {})",
                rows(coarse.seconds),
                rows(fine.seconds)
            );
            assert_eq!(
                sum(store, &wrong),
                0,
                "{}: {} against {}",
                kind.plural,
                coarse.name,
                fine.name
            );
        }
    }
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
    // Ten o'clock has no row at all: not covered, which is not the same as silent.
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
    // What comes late, for an hour whose minutes are gone, is not lost.
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
        // Besides: what the open hour is made of is never let go.
        assert!(pages * sum(&store, "PRAGMA page_size") < 3 << 20, "{pages}");
    }
    assert_eq!(sum(&store, "SELECT count(DISTINCT start) FROM v_interface WHERE tier = 'day'"), 1);
    assert_eq!(sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'day'"), 1_440 * 257);
    assert!(
        sum(&store, "SELECT count(DISTINCT start) FROM v_interface WHERE tier = 'minute'") <= 120
    );
    assert_conservation(&store);
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
    // Finer than before.
    let fine = options(&[("ten", 10, YEAR), ("minute", 60, YEAR), ("day", 86_400, YEAR)], 200);
    let mut fine = Store::open(&path, fine).unwrap();
    assert!(commit(&mut fine, (0..30).map(|n| closed(400 * 60 + 30 + n * 10, 10, &[]))));
    assert_eq!(
        sum(&fine, "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'"),
        401 * 642 + 30 * 42
    );
    assert_conservation(&fine);
}

/// Rows of interfaces are let go some time after the others. When minutes were then kept
/// for longer, one that came late brought them back into the view, or was added to them.
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
fn what_lay_in_the_future_of_a_wrong_clock_is_moved() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let wrong = 90 * 86_400;
    assert!(commit(&mut store, (0..100).map(|m| some(m * 60))));
    assert!(commit(&mut store, (0..50).map(|m| some(wrong + m * 60))));
    take(&mut store, (50..55).map(|m| some(wrong + m * 60)));
    // Now it is minute 155 after all.
    let by = wrong + 55 * 60 - 155 * 60;
    store.take(Message::SetBack { now: 155 * 60, by }, &Status::default());
    assert!(commit(&mut store, [some(155 * 60)]));
    assert_conservation(&store);
    assert_eq!(sum(&store, "SELECT max(start) FROM v_interface"), 155 * 60);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'day'"), 156 * 642);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'clock_set_back'"), 1);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface WHERE tier = 'minute'"), 156);
}

#[test]
fn a_damaged_database_is_kept_aside_and_a_new_one_begun() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    std::fs::write(&path, vec![b'x'; 8_192]).unwrap();
    let mut store = store(&path);
    assert!(commit(&mut store, [some(60)]));
    let kept = directory.path().join("b.db.damaged-1");
    assert_eq!(std::fs::read(kept).unwrap(), vec![b'x'; 8_192]);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'database_damaged'"), 1);
}

#[test]
fn a_database_that_is_damaged_while_it_is_open_is_kept_aside_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, [some(60)]));
    store.writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    std::fs::write(&path, vec![0xff; length]).unwrap();
    store.writer.connection.execute_batch("PRAGMA shrink_memory").unwrap();
    assert!(commit(&mut store, [some(120)]));
    assert!(directory.path().join("b.db.damaged-1").exists());
    assert_eq!(
        sum(
            &store,
            "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute' AND interface = 'eth0'"
        ),
        642
    );
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let failure = Store::open(&path, usual()).err().unwrap();
    assert!(failure.message.contains("another program"), "{failure}");
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    store(&path).writer.connection.execute_batch("PRAGMA user_version = 99").unwrap();
    let failure = Store::open(&path, usual()).err().unwrap();
    assert!(failure.message.contains("newer brightstat"), "{failure}");
}

#[test]
fn what_cannot_be_written_waits_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    let status = Status::default();
    // A page limit is a full disk for SQLite.
    let pages = sum(&store, "PRAGMA page_count");
    let limit = |store: &Store, pages: i64| sum(store, &format!("PRAGMA max_page_count = {pages}"));
    limit(&store, pages);
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: n.wrapping_add(1), port: n, bytes: 100 })
        .collect();
    take(&mut store, [closed(60, 60, &packets), closed(120, 60, &packets)]);
    assert!(!store.commit(false, &status));
    assert_eq!(store.recent.lock().pending.len(), 2);
    assert_eq!(status.trouble().unwrap(), "the disk is full; make room");
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface"), 0);
    limit(&store, 100_000);
    assert!(store.commit(true, &status));
    assert_eq!(status.trouble(), None);
    assert_eq!(status.committed(), 2);
    assert_eq!(sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'minute'"), 2 * 257);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'write_failed'"), 1);
    assert_conservation(&store);
}

#[test]
fn a_disk_that_stays_full_costs_the_oldest_intervals_and_that_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: n.wrapping_add(1), port: n, bytes: 100 })
        .collect();
    let status = Status::default();
    for minute in 0..200 {
        store.take(Message::Closed(closed(minute * 60, 60, &packets)), &status);
    }
    let kept = store.recent.lock().pending.len() as u64;
    assert!(kept < 200 && status.lost() == 200 - kept, "{kept} {}", status.lost());
    assert!(store.commit(true, &status));
    assert_eq!(sum(&store, "SELECT min(start) FROM v_interface"), 0, "the hour begins there");
    assert_eq!(
        sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'day'"),
        kept as i64 * 257
    );
    assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'history_lost'"), 1);
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
    let back: Vec<Interval> = state.fine(1_990, 1_995).collect();
    assert_eq!(back, sums[1_990..1_995]);
}

#[test]
fn a_backup_is_whole_and_a_check_finds_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, (0..200).map(|m| some(m * 60))));
    take(&mut store, [some(200 * 60)]);
    let copy = directory.path().join("copy.db");
    let size = admin::backup(&path, &copy).unwrap();
    assert_eq!(size, std::fs::metadata(&copy).unwrap().len());
    assert!(admin::backup(&path, &copy).unwrap_err().message.contains("is there already"));
    assert_eq!(admin::check(&copy).unwrap(), Vec::<String>::new());
    let stats = admin::stats(&copy).unwrap();
    let intervals: Vec<u64> = stats.tiers.iter().map(|tier| tier.intervals).collect();
    assert_eq!(intervals, [200, 4, 1]);
    // The copy is a database like any other.
    let mut second = Store::open(&copy, usual()).unwrap();
    assert!(commit(&mut second, [some(200 * 60)]));
    assert_conservation(&second);
    second
        .writer
        .connection
        .execute("DELETE FROM traffic_60 WHERE kind = 1 AND start = 60", [])
        .unwrap();
    let raise = "UPDATE interface_3600 SET bytes_in = bytes_in + 1 WHERE start = 0";
    second.writer.connection.execute(raise, []).unwrap();
    let problems = admin::check(&copy).unwrap();
    assert!(
        problems.iter().any(|p| p == "hosts of minute: 1 intervals do not add up, the first at 60"),
        "{problems:?}"
    );
    assert!(
        problems.iter().any(|p| p == "hour: 1 intervals are not the sums of those of minute"),
        "{problems:?}"
    );
    // While it is open, too.
    assert!(admin::compact(&copy).unwrap().1 > 0);
    assert!(commit(&mut second, [some(201 * 60)]));
}

pub(super) fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let packet = (0u8..12, 0u8..12, 0u8..6, 60u16..1_514)
        .prop_map(|(source, destination, port, bytes)| Packet { source, destination, port, bytes });
    prop::collection::vec(packet, 0..12)
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Step {
    /// Some intervals pass, this long after the last.
    Traffic(i64, Vec<Vec<Packet>>),
    /// An interval comes late.
    Late(i64, Vec<Packet>),
    Commit,
    /// The daemon is killed: what waits is gone.
    Kill,
    /// The daemon is stopped and started again.
    Restart,
    /// The clock is set back by some intervals.
    SetBack(i64),
    /// The tiers are other ones from now on.
    Reconfigure(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (prop_oneof![9 => Just(0i64), 1 => 1i64..2_000], prop::collection::vec(packets(), 1..8))
            .prop_map(|(gap, all)| Step::Traffic(gap, all)),
        1 => (1i64..500, packets()).prop_map(|(ago, packets)| Step::Late(ago, packets)),
        4 => Just(Step::Commit),
        1 => Just(Step::Kill),
        1 => Just(Step::Restart),
        1 => (1i64..200).prop_map(Step::SetBack),
        1 => (0usize..SCHEMAS.len()).prop_map(Step::Reconfigure),
    ]
}

const SCHEMAS: [&[(&str, u32, u64)]; 5] = [
    &[("minute", 60, YEAR), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)],
    &[("minute", 60, 7_200), ("hour", 3_600, 2 * 86_400), ("day", 86_400, YEAR)],
    &[("minute", 60, YEAR), ("five", 300, YEAR), ("quarter", 900, YEAR), ("day", 86_400, YEAR)],
    &[("minute", 60, 600), ("five", 300, YEAR)],
    &[("minute", 60, YEAR)],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_doubled_whatever_happens(
        schema in 0usize..SCHEMAS.len(),
        hosts in 2usize..14,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let mut options = options(SCHEMAS[schema], hosts);
        let mut store = Store::open(&path, options.clone()).unwrap();
        let mut at = 100_000 * 60;
        // Bytes that must be in the coarsest tier: committed, and waiting.
        let (mut committed, mut waiting) = (0, 0);
        for step in steps {
            match step {
                Step::Traffic(gap, all) => {
                    at += gap * 60;
                    for packets in all {
                        at += 60;
                        let interval = closed(at, 60, &packets);
                        waiting += interval.total().bytes as i64;
                        take(&mut store, [interval]);
                    }
                }
                Step::Late(ago, packets) => {
                    let interval = closed(at - ago * 60, 60, &packets);
                    waiting += interval.total().bytes as i64;
                    take(&mut store, [interval]);
                }
                Step::Commit => {
                    prop_assert!(store.commit(false, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                }
                Step::Kill => {
                    drop(store);
                    waiting = 0;
                    store = Store::open(&path, options.clone()).unwrap();
                }
                Step::Restart => {
                    prop_assert!(store.commit(true, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                    drop(store);
                    store = Store::open(&path, options.clone()).unwrap();
                }
                Step::SetBack(by) => {
                    at -= by * 60;
                    let message = Message::SetBack { now: at + 60, by: by * 60 };
                    store.take(message, &Status::default());
                    // As the store thread does at once.
                    prop_assert!(store.commit(false, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                }
                Step::Reconfigure(schema) => {
                    prop_assert!(store.commit(true, &Status::default()));
                    committed += std::mem::take(&mut waiting);
                    drop(store);
                    options.tiers = self::options(SCHEMAS[schema], hosts).tiers;
                    store = Store::open(&path, options.clone()).unwrap();
                }
            }
            if waiting == 0 {
                assert_conservation(&store);
            }
        }
        prop_assert!(store.commit(true, &Status::default()));
        committed += waiting;
        assert_conservation(&store);
        let coarsest = store.writer.tiers.last().unwrap();
        // Where the coarsest tier has always been there and keeps everything, all is in it.
        if coarsest.kept_since == 0 && coarsest.keep == YEAR as i64 {
            let all = format!("SELECT sum(bytes) FROM v_interface WHERE seconds = {}", coarsest.seconds);
            prop_assert_eq!(sum(&store, &all), committed);
        }
        if store.writer.tiers.iter().all(|tier| tier.kept_since == 0) {
            let future = format!("SELECT count(*) FROM v_interface WHERE start > {at}");
            prop_assert_eq!(sum(&store, &future), 0);
        }
        let check: String = store.writer.connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        prop_assert_eq!(check, "ok");
    }
}

#[test]
fn a_file_that_is_mostly_free_is_made_small_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let store = Store::open(&path, usual()).unwrap();
    store
        .writer
        .connection
        .execute_batch(
            "CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(20000000));
             DROP TABLE ballast; PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    drop(store);
    assert!(std::fs::metadata(&path).unwrap().len() > 20_000_000);
    let mut store = Store::open(&path, usual()).unwrap();
    assert_eq!(sum(&store, "PRAGMA freelist_count"), 0);
    assert!(commit(&mut store, [some(0)]));
    store.writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 1_000_000);
}
