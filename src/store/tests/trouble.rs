//! Wrong clocks, damaged and foreign databases, full disks.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use super::fixtures::*;
use crate::failure::Coded;
use crate::store::*;

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
    assert_eq!(evidence(&store, "clock_set_back"), json!({ "seconds": by, "to": 155 * 60 }));
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface WHERE tier = 'minute'"), 156);
}

/// The clock was a day ahead for longer than minutes are kept. Hours of tomorrow stayed, and after
/// a crash tomorrow was recomputed, not today.
#[test]
fn what_a_crash_leaves_behind_is_made_good_though_there_are_hours_in_the_future() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = [("minute", 60, 7_200), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)];
    let options = options(&tiers, 200);
    let mut store = Store::open(&path, options.clone()).unwrap();
    for hour in 0..10 {
        assert!(commit(&mut store, (0..60).map(|m| some(86_400 + (hour * 60 + m) * 60))));
    }
    store.take(Message::SetBack { now: 600 * 60, by: 86_400 }, &Status::default());
    assert!(store.commit(false, &Status::default()));
    take(&mut store, [some(601 * 60)]);
    assert!(store.commit(false, &Status::default()));
    let day = "SELECT sum(bytes) FROM v_interface WHERE tier = 'day'";
    assert_eq!(sum(&store, day), 600 * 642, "else this test shows nothing");
    let tomorrow = "SELECT count(*) FROM v_interface WHERE tier = 'hour' AND start >= 86400";
    assert!(sum(&store, tomorrow) > 0, "else this test shows nothing");
    // Killed.
    drop(store);
    let mut store = Store::open(&path, options).unwrap();
    assert!(store.commit(true, &Status::default()));
    assert_eq!(sum(&store, day), 601 * 642);
    assert_conservation(&store);
}

/// The clock was a year ahead until the daemon was stopped. From then on all minutes and hours were
/// too old, measured from the newest row.
#[test]
fn what_lies_in_the_future_does_not_make_the_present_look_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = [("minute", 60, 7_200), ("hour", 3_600, 2 * 86_400), ("day", 86_400, YEAR)];
    let options = options(&tiers, 200);
    let ahead = 365 * 86_400;
    let mut store = Store::open(&path, options.clone()).unwrap();
    assert!(commit(&mut store, (0..10).map(|m| some(ahead + m * 60))));
    drop(store);
    let mut store = Store::open(&path, options).unwrap();
    for hour in 0..10 {
        assert!(commit(&mut store, (hour * 60..(hour + 1) * 60).map(|m| some(m * 60))));
    }
    let count = |tier: &str| {
        let sql = "SELECT count(DISTINCT start) FROM v_interface WHERE start < 86400 AND tier";
        sum(&store, &format!("{sql} = '{tier}'"))
    };
    assert!((120..=180).contains(&count("minute")), "{}", count("minute"));
    assert_eq!(count("hour"), 10);
    assert_eq!(sum(&store, "SELECT sum(bytes) FROM v_interface WHERE tier = 'day'"), 610 * 642);
    assert_conservation(&store);
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
    let kept = directory.path().join("b.db.damaged-1");
    assert_eq!(evidence(&store, "database_damaged"), json!({ "file": kept.to_str() }));
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

/// The damaged file is renamed while it is open, and closed when the new one is in its place. If
/// SQLite then removed the log by its name, it would remove that of the new database.
#[test]
fn what_is_written_after_a_damaged_database_was_put_aside_is_there_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, [some(60)]));
    store.writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    std::fs::write(&path, vec![0xff; length]).unwrap();
    store.writer.connection.execute_batch("PRAGMA shrink_memory").unwrap();
    for minute in [2, 3] {
        assert!(commit(&mut store, [some(minute * 60)]));
        let other = Connection::open(&path).unwrap();
        let sql = "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'";
        let bytes: i64 = other.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(bytes, (minute - 1) * 642);
    }
    // Killed: nothing is cleaned up at the end.
    kill(store);
    let again = self::store(&path);
    assert_eq!(sum(&again, "SELECT sum(bytes) FROM v_interface WHERE tier = 'day'"), 2 * 642);
    assert_eq!(std::fs::read(directory.path().join("b.db.damaged-1")).unwrap(), vec![0xff; length]);
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let failure = Store::open(&path, usual()).err().unwrap();
    assert!(failure.to_string().contains("another program"), "{failure}");
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    store(&path).writer.connection.execute_batch("PRAGMA user_version = 99").unwrap();
    let failure = Store::open(&path, usual()).err().unwrap();
    assert!(failure.to_string().contains("newer brightstat"), "{failure}");
}

#[test]
fn what_cannot_be_written_waits_and_is_written_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    let status = Status::default();
    // For SQLite a page limit is a full disk.
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
    assert_eq!(evidence(&store, "write_failed"), json!({ "intervals": 2, "from": 60 }));
    assert_conservation(&store);
}

/// An hour of large intervals was more than may wait, and the oldest were dropped although the disk
/// was well.
#[test]
fn what_is_too_much_to_wait_for_the_next_commit_is_written_early() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut options = usual();
    options.limits = Limits { hosts: 1_000, ports: 1_000, services: 1_000 };
    let store = Store::open(&path, options).unwrap();
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: n.wrapping_add(1), port: n, bytes: 100 })
        .collect();
    let status = Status::new(Duration::from_secs(3_600));
    let (sender, messages) = std::sync::mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let status = &status;
        scope.spawn(move || store.run(&messages, status));
        for minute in 0..200 {
            sender.send(Message::Closed(closed(minute * 60, 60, &packets))).unwrap();
        }
        drop(sender);
    });
    assert_eq!((status.lost(), status.committed(), status.trouble()), (0, 200, None));
    let store = self::store(&path);
    assert_eq!(sum(&store, "SELECT sum(packets) FROM v_interface WHERE tier = 'day'"), 200 * 257);
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
    let told = "SELECT count(*) FROM v_event WHERE kind = 'history_lost' AND message LIKE";
    assert_eq!(sum(&store, &format!("{told} '{} intervals were given up%'", status.lost())), 1);
    let lost = status.lost();
    let evidence = json!({
        "intervals": lost, "seconds": lost * 60, "bytes": lost * (256 * 100 + 42),
        "from": 0, "to": lost * 60,
    });
    assert_eq!(self::evidence(&store, "history_lost"), evidence);
    // The next loss is reported as well.
    let before = status.lost();
    for minute in 200..400 {
        store.take(Message::Closed(closed(minute * 60, 60, &packets)), &status);
    }
    assert!(store.commit(true, &status));
    let more = status.lost() - before;
    assert!(more > 0);
    assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'history_lost'"), 2);
    assert!(sum(&store, &format!("{told} '{more} intervals were given up%'")) > 0);
    let evidence = self::evidence(&store, "history_lost");
    assert_eq!((&evidence["intervals"], &evidence["from"]), (&json!(more), &json!(200 * 60)));
    assert_eq!(evidence["to"], json!((200 + more) * 60));
}

/// The clock was ahead when the disk was full: the event named a time that history no longer has.
#[test]
fn what_was_lost_moves_with_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = store(&directory.path().join("b.db"));
    let status = Status::default();
    let ahead = 3 * 86_400;
    let packets: Vec<Packet> = (0..=255)
        .map(|n: u8| Packet { source: n, destination: n.wrapping_add(1), port: n, bytes: 100 })
        .collect();
    for minute in 0..200 {
        store.take(Message::Closed(closed(ahead + minute * 60, 60, &packets)), &status);
    }
    store.take(Message::SetBack { now: ahead - 60, by: ahead }, &status);
    assert!(store.commit(true, &status));
    let lost = status.lost();
    let evidence = self::evidence(&store, "history_lost");
    assert!(lost > 1);
    assert_eq!((&evidence["from"], &evidence["to"]), (&json!(0), &json!(lost * 60)));
}

/// The interval that came last decided whether a coarse interval had ended.
#[test]
fn what_came_late_is_in_coarser_intervals_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let options = options(&[("ten", 10, 40), ("twenty", 20, 172_800), ("day", 86_400, YEAR)], 2);
    let mut store = Store::open(&path, options.clone()).unwrap();
    for starts in [vec![0], vec![10, 20, 0]] {
        for start in starts {
            take(&mut store, [spread(6_000_000 + start, 10, &[])]);
        }
        assert!(store.commit(false, &Status::default()));
    }
    drop(store);
    let store = Store::open(&path, options).unwrap();
    assert_conservation_since(&store, i64::MIN);
}

/// Only the daemon moves a damaged database aside: this may run beside it.
#[test]
fn compacting_a_damaged_database_says_so_and_leaves_it_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, [some(60)]));
    drop(store);
    // Behind the file's header, where the schema is.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..1_024].fill(b'x');
    std::fs::write(&path, &bytes).unwrap();
    let failure = crate::store::admin::compact(&path).unwrap_err();
    assert_eq!(failure.exit(), crate::failure::Exit::Data, "{failure}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!directory.path().join("b.db.damaged-1").exists());
}
