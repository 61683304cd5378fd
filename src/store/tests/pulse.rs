//! Work that is not bounded by what arrives: it goes in steps, beats, and can be interrupted.

use std::time::Duration;

use super::fixtures::*;
use crate::decode::Mac;
use crate::failure::{Coded, Exit};
use crate::store::*;

/// Hosts with history, and hardware addresses of hosts that never had any.
const HOSTS: i64 = 30_000;
const INVENTED: i64 = 20_500;

/// Steps of SQLite's virtual machine for each beat.
const STEPS: u64 = 1_000;

fn flooded(path: &Path) {
    let store = store(path);
    let numbers = |count: i64| {
        format!("WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT {count})")
    };
    store
        .writer
        .connection
        .execute_batch(&format!(
            "{} INSERT INTO traffic_86400 (start, kind, k1, k2, k3, packets_in, bytes_in)
                SELECT n / 300 * 86400, 1, 4, 0, n, 1, 60 FROM n;
             {} INSERT INTO host_mac SELECT 4, 0, n + 1000000, '02:00:00:00:00:01' FROM n;
             INSERT INTO host_mac VALUES (4, 0, 7, '02:00:00:00:00:07');",
            numbers(HOSTS),
            numbers(INVENTED)
        ))
        .unwrap();
}

/// With 20,500 invented addresses and 300,000 hosts a commit took 346 s, could not be interrupted,
/// and began again at each start.
#[test]
fn a_flood_of_hardware_addresses_is_forgotten_in_short_steps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    flooded(&path);
    let status = Status::default();
    let mut store = Store::open_under(&path, usual(), status.pulse()).unwrap();
    let (mut all, mut longest) = (status.heartbeat(), status.heartbeat());
    let mut minute = 100 * 1_440;
    loop {
        let before = status.heartbeat();
        // Intervals are written between any two steps.
        take(&mut store, [some(minute * 60)]);
        assert!(store.commit(false, &status));
        minute += 1;
        let more = store.tidy_up(&status);
        let beats = status.heartbeat() - before;
        (all, longest) = (all + beats, longest.max(beats));
        assert!(all * STEPS < 20_000_000, "{all} after {} minutes", minute - 100 * 1_440);
        if !more {
            break;
        }
    }
    assert!(all > 100, "the watchdog hears of it: {all}");
    assert!(longest * STEPS < 500_000, "{longest}");
    let invented = "SELECT count(*) FROM host_mac WHERE low >= 1000000";
    assert!(sum(&store, invented) < 20, "{}", sum(&store, invented));
    assert_eq!(sum(&store, "SELECT count(*) FROM host_mac WHERE low = 7"), 1);
    let without = "SELECT count(*) FROM v_host WHERE tier = 'minute' AND mac IS NULL AND local";
    assert_eq!(sum(&store, without), 0);
}

/// An invented address that gets history during the sweep keeps its hardware address.
#[test]
fn a_host_that_arrives_during_a_sweep_keeps_its_hardware_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    flooded(&path);
    let status = Status::default();
    let mut store = Store::open(&path, usual()).unwrap();
    assert!(commit(&mut store, [some(0)]));
    let mac = "UPDATE host_mac SET low = 203 * 16777216 + 113 * 256 + 4 - 4294967296
        WHERE low = 1000000";
    assert_eq!(store.writer.connection.execute(mac, []).unwrap(), 1);
    assert!(store.tidy_up(&status), "the tiers are about to be read");
    let packet = Packet { source: 0, destination: 4, port: 1, bytes: 600 };
    let mut late = closed(60, 60, &[packet]);
    late.hosts.iter_mut().for_each(|host| host.mac = Mac::default());
    take(&mut store, [late]);
    while store.tidy_up(&status) {}
    assert!(store.commit(true, &status));
    let its = "SELECT count(*) FROM v_host WHERE tier = 'minute' AND address = '203.0.113.4'
        AND mac IS NOT NULL";
    assert_eq!(sum(&store, its), 1);
}

#[test]
fn a_start_that_takes_long_is_ended_by_a_stop_and_begins_again_the_next_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let two = options(&[("minute", 60, YEAR), ("day", 86_400, YEAR)], 200);
    let mut store = Store::open(&path, two).unwrap();
    assert!(commit(&mut store, (0..600).map(|m| some(m * 60))));
    drop(store);
    // The added tier is computed from all minutes.
    let pulse = Arc::new(Pulse::default());
    pulse.stop();
    let failure = Store::open_under(&path, usual(), &pulse).err().unwrap();
    assert_eq!(failure.exit(), Exit::Unavailable, "{failure}");
    let status = Status::default();
    let store = Store::open_under(&path, usual(), status.pulse()).unwrap();
    assert!(status.heartbeat() > 10, "{}", status.heartbeat());
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'hour'"), 600 * 642);
    assert_conservation(&store);
}

#[test]
fn a_stop_ends_what_can_wait_and_everything_that_arrived_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    flooded(&path);
    let store = store(&path);
    let status = Status::new(Duration::from_secs(60));
    status.stop();
    let (sender, messages) = std::sync::mpsc::sync_channel(200);
    (0..100).for_each(|m| sender.send(Message::Closed(some(m * 60))).unwrap());
    drop(sender);
    store.run(&messages, &status);
    assert_eq!((status.committed(), status.waiting(), status.lost()), (100, 0, 0));
    let store = self::store(&path);
    assert!(sum(&store, "SELECT count(*) FROM host_mac") > INVENTED, "no time for that");
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface WHERE tier = 'minute'"), 100);
}
