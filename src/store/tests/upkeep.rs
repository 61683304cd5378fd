//! Backup, check, compaction.

use std::time::Duration;

use super::fixtures::*;
use crate::store::*;

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
    assert!(admin::backup(&path, &copy).unwrap_err().to_string().contains("is there already"));
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

/// Commits are five minutes apart: a power cut loses at most four closed minutes and the open one.
#[test]
fn a_commit_comes_with_the_interval_that_makes_its_period_full() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory.path().join("b.db"));
    let status = &Status::new(Duration::from_secs(300));
    let (sender, messages) = std::sync::mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || store.run(&messages, status));
        for minute in 0..23_i64 {
            // Returns when the thread receives it: those before are done, this one may be.
            sender.send(Message::Closed(some(minute * 60))).unwrap();
            let full = |minutes: i64| minutes.cast_unsigned() / 5 * 5;
            let committed = status.committed();
            assert!(
                [full(minute), full(minute + 1)].contains(&committed),
                "{committed} at minute {minute}"
            );
        }
        drop(sender);
    });
    assert_eq!(status.committed(), 23);
}
