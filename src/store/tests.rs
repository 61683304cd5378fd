use super::*;
use crate::account::{InOut, IntervalHost, IntervalInterface, IntervalPort, Transport, Volume};
use crate::decode::{Addr, Mac};

fn volume(packets: u64, bytes: u64) -> Volume {
    Volume { packets, bytes }
}

fn interval(start: i64) -> ClosedInterval {
    let traffic = InOut { received: volume(1, 60), sent: volume(2, 120) };
    ClosedInterval {
        start,
        interfaces: vec![IntervalInterface {
            name: "eth0".into(),
            directions: [volume(1, 60), volume(2, 120), volume(0, 0), volume(0, 0), volume(1, 42)],
            dropped: 3,
            ..IntervalInterface::default()
        }],
        hosts: vec![IntervalHost {
            address: Addr::v4([192, 0, 2, 1]),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            local: true,
            traffic,
            rates: Default::default(),
        }],
        other_hosts: InOut { received: volume(2, 120), sent: volume(1, 60) },
        ports: vec![IntervalPort {
            transport: Transport::Tcp,
            port: 443,
            volume: volume(3, 180),
            rates: Default::default(),
        }],
        without_port: volume(1, 42),
        ..ClosedInterval::default()
    }
}

fn tiers() -> Vec<Tier> {
    let keep = Duration::from_secs(3_600);
    vec![Tier { name: "minute".into(), seconds: 60, keep, in_memory: false }]
}

fn store(path: &Path) -> Store {
    Store::open(path, &tiers()).unwrap()
}

fn sum(store: &Store, sql: &str) -> i64 {
    store.connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn commit(store: &mut Store, intervals: impl IntoIterator<Item = ClosedInterval>) -> bool {
    store.commit(&mut intervals.into_iter().collect(), &Status::default())
}

#[test]
fn the_views_show_what_was_written_and_splits_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    assert!(commit(&mut store, [interval(60), interval(120)]));
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface"), 2 * 222);
    assert_eq!(sum(&store, "SELECT sum(bytes_in) FROM v_host"), 2 * 222);
    assert_eq!(sum(&store, "SELECT sum(bytes_out) FROM v_host"), 2 * 222);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_port"), 2 * 222);
    assert_eq!(sum(&store, "SELECT port FROM v_port WHERE protocol = 'tcp'"), 443);
    assert_eq!(sum(&store, "SELECT bytes_in FROM v_host WHERE address = '192.0.2.1'"), 60);
    assert_eq!(sum(&store, "SELECT sum(dropped) FROM v_interface WHERE interface = 'eth0'"), 6);
}

#[test]
fn a_minute_that_is_written_twice_is_the_sum() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    assert!(commit(&mut store(&path), [interval(60)]));
    let mut again = store(&path);
    assert!(commit(&mut again, [interval(60)]));
    assert_eq!(sum(&again, "SELECT count(*) FROM v_interface"), 1);
    assert_eq!(sum(&again, "SELECT bytes FROM v_interface"), 444);
    assert_eq!(sum(&again, "SELECT count(*) FROM host"), 3);
}

#[test]
fn old_minutes_go_and_young_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    assert!(commit(&mut store, (0..100).map(|minute| interval(minute * 60))));
    assert!(commit(&mut store, [interval(100 * 60)]));
    assert_eq!(sum(&store, "SELECT min(start) FROM v_interface"), 40 * 60);
    assert_eq!(sum(&store, "SELECT min(start) FROM v_host"), 40 * 60);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface"), 61);
}

#[test]
fn a_damaged_database_is_kept_aside_and_a_new_one_begun() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    std::fs::write(&path, vec![b'x'; 8_192]).unwrap();
    let mut store = store(&path);
    assert!(commit(&mut store, [interval(60)]));
    let kept = directory.path().join("b.db.damaged-1");
    assert_eq!(std::fs::read(kept).unwrap(), vec![b'x'; 8_192]);
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let failure = Store::open(&path, &tiers()).err().unwrap();
    assert!(failure.message.contains("another program"), "{failure}");
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    store(&path).connection.execute_batch("PRAGMA user_version = 99").unwrap();
    let failure = Store::open(&path, &tiers()).err().unwrap();
    assert!(failure.message.contains("newer brightstat"), "{failure}");
}

#[test]
fn what_cannot_be_written_waits_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    let mut waiting: VecDeque<_> = [interval(60)].into();
    let status = Status::default();
    // A page limit is a full disk for SQLite.
    let pages = sum(&store, "PRAGMA page_count");
    store
        .connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        .unwrap();
    let mut large = interval(120);
    large.hosts = (0..5_000u32)
        .map(|n| IntervalHost { address: Addr::v4(n.to_be_bytes()), ..large.hosts[0] })
        .collect();
    waiting.push_back(large);
    assert!(!store.commit(&mut waiting, &status));
    assert_eq!(waiting.len(), 2);
    assert_eq!(status.trouble().unwrap(), "the disk is full; make room");
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface"), 0);
    store.connection.query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
    assert!(store.commit(&mut waiting, &status));
    assert_eq!(status.trouble(), None);
    assert_eq!(status.committed(), 2);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_host"), 3 + 5_002);
}
