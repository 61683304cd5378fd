//! The database or its log is deleted or replaced under the daemon; two daemons want one.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use super::fixtures::*;
use crate::failure::{Coded, Exit};
use crate::store::query::History;
use crate::store::*;

fn with(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// The minutes that another process finds in the file of this name.
fn minutes(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM v_interface WHERE tier = 'minute' AND interface = 'eth0'";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn gone(store: &Store, like: &str) -> i64 {
    let sql = "SELECT count(*) FROM v_event WHERE kind = 'database_gone' AND severity = 3";
    sum(store, &format!("{sql} AND message LIKE '%{like}%'"))
}

#[test]
fn a_database_that_is_deleted_is_begun_anew_and_that_is_told() {
    for suffixes in [&["", "-wal", "-shm"][..], &[""], &["", "-wal"]] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let mut store = store(&path);
        assert!(commit(&mut store, (0..20).map(|m| some(m * 60))));
        for suffix in suffixes {
            fs::remove_file(with(&path, suffix)).unwrap();
        }
        assert!(commit(&mut store, [some(20 * 60), some(21 * 60)]));
        assert_eq!(minutes(&path), 2, "{suffixes:?}");
        assert!(commit(&mut store, [some(22 * 60)]));
        assert_eq!((minutes(&path), gone(&store, "was deleted")), (3, 1));
        assert_eq!(evidence(&store, "database_gone")["change"], "deleted");
        assert_conservation(&store);
        drop(store);
        assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
        assert_eq!(minutes(&path), 3);
    }
}

/// A backup is put in place of the file, and the old log stays beside it.
#[test]
fn a_database_that_is_replaced_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("b.db"), directory.path().join("other.db"));
    // In it eth0 has another number.
    let mut foreign = store(&other);
    let mut first = some(0);
    first.interfaces[0].name = "wlan0".into();
    assert!(commit(&mut foreign, [first, some(60)]));
    drop(foreign);
    let mut store = store(&path);
    assert!(commit(&mut store, (0..20).map(|m| some(m * 60))));
    take(&mut store, [some(20 * 60)]);
    fs::rename(&other, &path).unwrap();
    assert!(commit(&mut store, [some(21 * 60)]));
    assert_eq!((minutes(&path), gone(&store, "was replaced")), (3, 1));
    assert_eq!(evidence(&store, "database_gone")["change"], "replaced");
    assert_eq!(sum(&store, "SELECT count(*) FROM v_interface WHERE interface = 'wlan0'"), 3);
    assert_conservation(&store);
    drop(store);
    assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
}

#[test]
fn what_the_log_held_is_saved_when_that_is_deleted() {
    for suffixes in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let mut store = store(&path);
        assert!(commit(&mut store, (0..20).map(|m| some(m * 60))));
        for suffix in suffixes {
            fs::remove_file(with(&path, suffix)).unwrap();
        }
        assert!(commit(&mut store, [some(20 * 60)]));
        assert_eq!((minutes(&path), gone(&store, "the log")), (21, 1), "{suffixes:?}");
        assert_eq!(evidence(&store, "database_gone")["change"], "log_gone");
        kill(store);
        assert_eq!(minutes(&path), 21);
        assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_file_of_another_program_in_its_place_is_left_alone_and_history_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let status = Status::default();
    let mut store = store(&path);
    assert!(commit(&mut store, [some(0)]));
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    take(&mut store, [some(60)]);
    for _ in 0..2 {
        assert!(!store.commit(false, &status));
        assert!(status.trouble().unwrap().contains("another program"), "{:?}", status.trouble());
    }
    fs::remove_file(&path).unwrap();
    assert!(store.commit(false, &status));
    assert_eq!((minutes(&path), status.trouble()), (1, None));
}

/// Two daemons counted the same frames, and both wrote them.
#[test]
fn a_second_daemon_does_not_start_and_everything_else_works() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, [some(0)]));
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for name in [&path, &link] {
        let failure = Store::open(name, usual()).err().unwrap();
        assert_eq!(failure.exit(), Exit::Unavailable);
        let number = format!("brightstat (process {})", std::process::id());
        for words in [number.as_str(), "b.db.lock", "systemctl stop brightstat", "--database"] {
            assert!(failure.to_string().contains(words), "{failure}");
        }
    }
    assert!(History::open(&path).is_ok());
    assert!(admin::backup(&path, &directory.path().join("copy.db")).is_ok());
    assert!(admin::compact(&path).is_ok());
    assert!(commit(&mut store, [some(60)]));
    drop(store);
    assert!(Store::open(&path, usual()).is_ok(), "the lock goes with its process");
}

#[test]
fn whoever_has_lost_the_lock_does_not_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let status = Status::default();
    let mut first = store(&path);
    assert!(commit(&mut first, [some(0)]));
    fs::remove_file(with(&path, ".lock")).unwrap();
    let second = store(&path);
    take(&mut first, [some(60)]);
    assert!(!first.commit(false, &status));
    assert!(status.trouble().unwrap().contains("another brightstat"), "{:?}", status.trouble());
    drop(second);
    assert!(first.commit(false, &status));
    assert_eq!(minutes(&path), 2);
}
