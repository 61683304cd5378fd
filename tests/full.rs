//! A disk that is full for a while: history continues once there is room again, and what could not
//! be kept is counted and reported.
//!
//! The disk is a small file system in memory, mounted in a namespace of this test. That needs root;
//! without it these tests fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/history.rs"]
mod history;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use brightstat::store::{Message, Status, Store};
use history::Expected;
use nix::sched::{CloneFlags, unshare};
use rusqlite::Connection;

/// Runs a closure with a new file system of `bytes` bytes. It disappears with the threads that see
/// it: the one started here and its children.
fn with_disk(bytes: u64, body: impl FnOnce(&Path) + Send) {
    let place = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).arg(place.path()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {message}");
    };
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).expect("these tests need root");
            let output = Command::new("mount").args(["--make-rprivate", "/"]).status().unwrap();
            assert!(output.success());
            run(&format!("mount -t tmpfs -o size={bytes} brightstat-test"));
            body(place.path());
            run("umount --lazy");
        });
        inside.join().unwrap();
    });
}

/// Fills the disk to the last byte.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("ballast");
    let mut ballast = File::create(&path).unwrap();
    for size in [65_536, 4_096, 1] {
        while ballast.write(&vec![1; size]).is_ok_and(|written| written > 0) {}
    }
    path
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited a minute for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a store while a closure feeds it.
fn with_store(path: &Path, body: impl FnOnce(&Status, SyncSender<Message>)) -> Status {
    let status = Status::new(Duration::from_millis(20));
    let store = Store::open(path, history::options()).unwrap();
    let (sender, messages) = mpsc::sync_channel(8);
    thread::scope(|scope| {
        let status = &status;
        scope.spawn(move || store.run(&messages, status));
        body(status, sender);
    });
    status
}

fn feed(sender: &SyncSender<Message>, numbers: std::ops::Range<i64>) {
    for number in numbers {
        sender.send(Message::Closed(history::interval(number))).unwrap();
    }
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn events(path: &Path, kind: &str) -> i64 {
    number(path, &format!("SELECT count(*) FROM v_event WHERE kind = '{kind}'"))
}

const FULL: &str = "the disk is full; make room";

#[test]
fn a_disk_that_was_full_for_a_while_costs_nothing() {
    with_disk(2 << 20, |disk| {
        let path = disk.join("b.db");
        let status = with_store(&path, |status, sender| {
            feed(&sender, 0..20);
            wait_for("the first to be written", || status.committed() == 20);
            let mut next = 20;
            // Several times, at different moments of the file's life.
            for _ in 0..5 {
                let ballast = fill(disk);
                // The log may have room of its own for a while.
                while status.trouble().is_none() {
                    feed(&sender, next..next + 1);
                    next += 1;
                    thread::sleep(Duration::from_millis(10));
                    assert!(next < 5_000, "a full disk was never noticed");
                }
                assert_eq!(status.trouble().as_deref(), Some(FULL));
                feed(&sender, next..next + 30);
                next += 30;
                thread::sleep(Duration::from_millis(300));
                assert_eq!(status.trouble().as_deref(), Some(FULL));
                // The existing history stays readable.
                assert!(number(&path, "SELECT count(*) FROM v_interface") > 0);
                std::fs::remove_file(ballast).unwrap();
                wait_for("writing to work again", || {
                    status.trouble().is_none() && status.committed() == next as u64
                });
            }
            drop(sender);
        });
        assert_eq!((status.trouble(), status.lost(), status.waiting()), (None, 0, 0));
        Expected::default().check(&path, status.committed() as i64, true).unwrap();
        assert_eq!(events(&path, "write_failed"), 5);
        assert_eq!(events(&path, "history_lost"), 0);
        assert_eq!((events(&path, "started"), events(&path, "stopped")), (1, 1));
    });
}

#[test]
fn a_disk_that_stays_full_costs_the_oldest_and_that_is_counted_and_said() {
    with_disk(64 << 20, |disk| {
        let path = disk.join("b.db");
        let (mut before, mut next) = (0, 0);
        let status = with_store(&path, |status, sender| {
            feed(&sender, 0..20);
            next = 20;
            wait_for("the first to be written", || status.committed() == 20);
            let ballast = fill(disk);
            // A long period, so that it does not constantly retry with everything that waits.
            while status.trouble().is_none() {
                feed(&sender, next..next + 1);
                next += 1;
                thread::sleep(Duration::from_millis(10));
            }
            before = status.committed() as i64;
            status.set_period(Duration::from_secs(5));
            while status.lost() < 100 {
                feed(&sender, next..next + 1);
                next += 1;
            }
            assert_eq!(status.trouble().as_deref(), Some(FULL));
            std::fs::remove_file(ballast).unwrap();
            wait_for("writing to work again", || status.trouble().is_none());
            feed(&sender, next..next + 20);
            next += 20;
            drop(sender);
        });
        let (lost, committed) = (status.lost() as i64, status.committed() as i64);
        assert_eq!((status.trouble(), status.waiting()), (None, 0));
        assert_eq!(lost + committed, next, "each was written or counted as lost");
        let is_lost = |number| (before..before + lost).contains(&number);
        Expected::default().check_but(&path, next, true, &is_lost).unwrap();
        assert_eq!((events(&path, "write_failed"), events(&path, "history_lost")), (1, 1));
    });
}
