//! Questions and other writers while a commit is under way.

use super::fixtures::*;
use crate::store::InMemory;
use crate::store::kind::INTERFACE;
use crate::store::query::History;
use crate::store::question::{Question, Step};
use crate::store::*;

/// All bytes, as another thread's question finds them; `None` if it has to wait.
fn asked(path: &Path, recent: &Arc<Recent>) -> Option<u64> {
    let (path, recent) = (path.to_owned(), recent.clone());
    let (answered, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let question = Question {
            kind: &INTERFACE,
            only: None,
            from: 0,
            to: 86_400,
            step: Step::Whole,
            most: 10,
            rows: None,
            top: 0,
        };
        let fresh = InMemory { recent: &recent, tier: None };
        let all = History::open(&path).unwrap().ask(&question, Some(fresh)).unwrap();
        let _ = answered.send(all.total.total.iter().map(|cell| cell.bytes).sum());
    });
    answer.recv_timeout(std::time::Duration::from_secs(20)).ok()
}

/// Readers had to wait for the disk during a commit.
#[test]
fn a_question_during_a_commit_is_answered_at_once_and_sees_everything_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, (0..10).map(|m| some(m * 60))));
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ask = || {
        let (path, recent, seen) = (path.clone(), store.recent(), seen.clone());
        move || seen.lock().unwrap().push(asked(&path, &recent))
    };
    // Before the disk is written to, and when the rows are there but the commit has not ended.
    let (before, after) = (ask(), ask());
    let connection = &mut store.writer.connection;
    connection
        .commit_hook(Some(move || {
            before();
            false
        }))
        .unwrap();
    connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, _| {
            after();
            Ok(())
        }))
        .unwrap();
    // The minute of a restart, which is there already, is among them.
    assert!(commit(&mut store, (9..15).map(|m| some(m * 60))));
    let all = Some(16 * 642);
    assert_eq!(*seen.lock().unwrap(), [all, all]);
    assert_eq!(asked(&path, &store.recent()), all);
}

/// A transaction that began with reading failed if another connection wrote before it did.
#[test]
fn nobody_writes_between_the_first_look_of_a_commit_and_its_first_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = store(&path);
    assert!(commit(&mut store, [some(0)]));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let written = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tries = written.clone();
    store
        .writer
        .connection
        .progress_handler(
            1,
            Some(move || {
                let sql = "INSERT INTO event (time, kind, message) VALUES (0, 'test', '')";
                tries.lock().unwrap().push(other.execute(sql, []).is_ok());
                false
            }),
        )
        .unwrap();
    assert!(commit(&mut store, [some(60)]));
    assert!(written.lock().unwrap().iter().any(|is_written| !is_written), "it never tried");
}
