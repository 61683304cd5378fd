//! A clock that is far ahead, and comes back: nothing is deleted, doubled or lost by it.

use std::sync::LazyLock;

use rusqlite::Connection;
use serde_json::json;

use super::fixtures::*;
use crate::event::Severity;
use crate::store::*;

const DAY: i64 = 86_400;
/// Twenty years.
const AHEAD: i64 = 7_305 * DAY;

/// Minutes for two hours, hours for a day.
fn usual_tiers() -> Options {
    options(&[("minute", 60, 7_200), ("hour", 3_600, 86_400), ("day", 86_400, 10 * YEAR)], 50)
}

/// A store with four days of minutes.
fn some_days(path: &Path) -> Store {
    static MADE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("b.db"), usual_tiers()).unwrap();
        for hour in 0..4 * 24 {
            assert!(commit(&mut store, (hour * 60..(hour + 1) * 60).map(|m| some(m * 60))));
        }
        directory
    });
    std::fs::copy(MADE.path().join("b.db"), path).unwrap();
    Store::open(path, usual_tiers()).unwrap()
}

fn count(store: &Store, tier: &str) -> i64 {
    let sql = "SELECT count(DISTINCT start) FROM v_interface WHERE start < 345600 AND tier";
    sum(store, &format!("{sql} = '{tier}'"))
}

fn counts(store: &Store) -> [i64; 3] {
    ["minute", "hour", "day"].map(|tier| count(store, tier))
}

/// Retention deleted all but one of 367 days in 70 seconds, with commits of a second.
#[test]
fn a_clock_far_ahead_lets_go_of_a_small_multiple_of_what_arrives_whatever_the_commit_period() {
    for period in [1, 60] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let before = counts(&some_days(&path));
        assert!(before[0] >= 120 && before[1] >= 24 && before[2] == 4, "{before:?}");
        let mut store = Store::open(&path, usual_tiers()).unwrap();
        for commits in 0..120 / period {
            let minutes = commits * period..(commits + 1) * period;
            assert!(commit(&mut store, minutes.map(|m| some(AHEAD + m * 60))));
        }
        let gone: Vec<i64> = before.iter().zip(counts(&store)).map(|(b, now)| b - now).collect();
        // Two hours arrived: at most 16 hours and an interval of each tier are deleted.
        assert!(gone[1] <= 8 * 2 + 1 && gone[2] <= 1, "{gone:?} in commits of {period}");
        assert!(gone[1] > 0, "what is too old goes in the end");
        assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'clock_jumped'"), 1);
        let told = "SELECT count(*) FROM v_event WHERE message LIKE
            'the clock is 7301 days past the newest row;%rows of minute, hour, day are too old%'";
        assert_eq!(sum(&store, told), 1);
        let evidence = evidence(&store, "clock_jumped");
        assert_eq!(evidence["tiers"], json!(["minute", "hour", "day"]));
        let [from, to, seconds] =
            ["from", "to", "seconds"].map(|name| evidence[name].as_i64().unwrap());
        assert_eq!((to, seconds), (AHEAD, to - from));
        assert!((0..4 * DAY).contains(&from), "{from}");
        assert_conservation(&store);
    }
}

/// A restart changes nothing: a row in the future does not become the present.
#[test]
fn restarts_under_a_wrong_clock_do_not_let_go_of_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let before = counts(&some_days(&path));
    for start in 0..10 {
        let mut store = Store::open(&path, usual_tiers()).unwrap();
        store.note(Severity::Information, "started", String::new(), None);
        assert!(commit(&mut store, [some(AHEAD + start * 60)]));
        store.note(Severity::Information, "stopped", String::new(), None);
        assert!(commit(&mut store, []));
    }
    let store = Store::open(&path, usual_tiers()).unwrap();
    let now = counts(&store);
    assert!(before[1] - now[1] <= 4 && before[2] == now[2], "{before:?} {now:?}");
}

/// A commit of events alone used the newest row as the present.
#[test]
fn a_stop_with_the_right_clock_deletes_nothing_though_there_is_a_row_of_the_future() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = some_days(&path);
    assert!(commit(&mut store, [some(AHEAD)]));
    let before = counts(&store);
    drop(store);
    for _ in 0..5 {
        let mut store = Store::open(&path, usual_tiers()).unwrap();
        store.note(Severity::Information, "stopped", "it has stopped".to_owned(), None);
        assert!(commit(&mut store, []));
        assert_eq!(counts(&store), before);
    }
}

/// How many intervals of each tier a database has, and the bytes of all minutes.
fn all_of(path: &Path) -> (Vec<i64>, i64) {
    let connection = Connection::open(path).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let counts = ["minute", "hour", "day"].map(|tier| {
        number(&format!("SELECT count(DISTINCT start) FROM v_interface WHERE tier = '{tier}'"))
    });
    let bytes = number("SELECT coalesce(sum(bytes), 0) FROM v_interface WHERE tier = 'minute'");
    (counts.to_vec(), bytes)
}

/// Runs with the right clock until the search for rows in the future is over.
fn go_on(path: &Path, options: Options, minutes: std::ops::Range<i64>) -> Store {
    let mut store = Store::open(path, options).unwrap();
    let status = Status::default();
    for minute in minutes {
        assert!(commit(&mut store, [some(minute * 60)]));
        while store.tidy_up(&status) {}
        assert_conservation(&store);
    }
    store
}

fn ages() -> Options {
    let keep = 30 * YEAR;
    options(&[("minute", 60, keep), ("hour", 3_600, keep), ("day", 86_400, keep)], 50)
}

#[test]
fn rows_of_the_future_are_put_aside_when_the_clock_is_back_and_none_is_lost() {
    for ahead in [DAY, AHEAD] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let mut store = Store::open(&path, ages()).unwrap();
        assert!(commit(&mut store, (0..100).map(|m| some(m * 60))));
        drop(store);
        let mut store = Store::open(&path, ages()).unwrap();
        assert!(commit(&mut store, (100..400).map(|m| some(ahead + m * 60))));
        drop(store);
        let mut store = go_on(&path, ages(), 400..410);
        let newest = "SELECT max(start) FROM v_interface";
        assert_eq!(sum(&store, newest), 409 * 60);
        let bytes = "SELECT sum(bytes) FROM v_interface WHERE tier =";
        for tier in ["minute", "hour", "day"] {
            assert_eq!(sum(&store, &format!("{bytes} '{tier}'")), 110 * 642, "{tier}");
        }
        let aside = ahead::aside(&path);
        assert_eq!(all_of(&aside), (vec![300, 6, 1], 300 * 642));
        assert_eq!(admin::check(&aside).unwrap(), Vec::<String>::new());
        assert!(commit(&mut store, []));
        assert_eq!(sum(&store, "SELECT count(*) FROM v_event WHERE kind = 'history_ahead'"), 1);
        let evidence = evidence(&store, "history_ahead");
        assert_eq!(evidence["file"].as_str(), aside.to_str());
        assert_eq!(evidence["from"], json!(410 * 60));
        assert_eq!(evidence["to"], json!(ahead + 400 * 60));
        let told = "SELECT count(*) FROM v_event WHERE message LIKE '%clock, ";
        assert_eq!(sum(&store, &format!("{told}{} intervals, %'", evidence["intervals"])), 1);
        drop(store);
        assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
    }
}

/// The clock was ahead for so long that it made all earlier minutes too old, and they were deleted.
#[test]
fn what_was_let_go_while_the_clock_was_ahead_does_not_make_the_present_look_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let tiers = || {
        options(&[("minute", 60, 7_200), ("hour", 3_600, 86_400), ("day", 86_400, 30 * YEAR)], 50)
    };
    let mut store = Store::open(&path, tiers()).unwrap();
    assert!(commit(&mut store, (0..100).map(|m| some(m * 60))));
    for hour in 0..48 {
        let minutes = hour * 60..(hour + 1) * 60;
        assert!(commit(&mut store, minutes.map(|m| some(AHEAD + m * 60))));
    }
    assert_eq!(
        sum(&store, "SELECT count(*) FROM v_interface WHERE tier = 'minute' AND start < 6000"),
        0
    );
    drop(store);
    let store = go_on(&path, tiers(), 600..720);
    let since = "SELECT max(kept_since) FROM v_tier";
    assert!(sum(&store, since) <= DAY, "{}", sum(&store, since));
    let bytes = "SELECT sum(bytes) FROM v_interface WHERE tier =";
    assert_eq!(sum(&store, &format!("{bytes} 'day'")), 220 * 642);
    assert_eq!(sum(&store, &format!("{bytes} 'minute'")), 120 * 642);
}

/// A machine without a battery starts some hours behind what it has written.
#[test]
fn rows_that_are_a_few_hours_ahead_stay_where_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    let mut store = Store::open(&path, usual()).unwrap();
    assert!(commit(&mut store, (0..300).map(|m| some(m * 60))));
    drop(store);
    let store = go_on(&path, usual(), 0..30);
    assert_eq!(sum(&store, "SELECT max(start) FROM v_interface"), 299 * 60);
    assert!(!ahead::aside(&path).exists());
}
