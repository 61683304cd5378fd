//! A question to the history takes little memory, whatever it is about: ten years of days, each
//! with a new crowd of hosts. Each question runs in a process of its own, whose peak is compared
//! with that of a small question.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/history.rs"]
mod history;

use std::fs;
use std::path::Path;
use std::process::Command;

use brightstat::account::ClosedInterval;
use brightstat::ask::{Words, question};
use brightstat::export::{history_csv, history_json, history_text};
use brightstat::store::query::History;
use brightstat::store::{Status, Store};
use rusqlite::Connection;

/// Days with history, and hosts in each. No host returns, so there are more than are summed at a
/// time.
const DAYS: i64 = 3_600;
const HOSTS: i64 = 30;
/// Memory that a question may take, kB.
const MOST: u64 = 8_192;

/// Words of a question: what, by, points and top; and the host for services.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);
const SMALL: Asked<'_> = ("protocols", "none", "2", "1", "");
const QUESTIONS: [Asked<'_>; 9] = [
    ("hosts", "none", "2", "20", ""),
    ("hosts", "none", "2", "0", ""),
    ("hosts", "auto", "500", "100", ""),
    ("hosts", "day", "500", "20", ""),
    ("services", "none", "2", "1000", ""),
    ("services", "auto", "400", "50", "10.0.0.7"),
    ("ports", "day", "500", "40", ""),
    ("protocols", "day", "500", "20", ""),
    ("interfaces", "day", "500", "20", ""),
];

/// Ten years: each day has its own hosts, one in thirty of them ten times as busy; one host and a
/// few ports are always there.
fn fill(path: &Path) {
    let mut store = Store::open(path, history::options()).unwrap();
    // Sets the present: coarse tiers are not searched beyond it.
    let now = (DAYS + 11) * 86_400;
    let newest = (0..50)
        .map(|n| ClosedInterval { start: now + n * 60, ..history::interval(n) })
        .collect::<Vec<_>>();
    assert!(store.commit_now(newest, true, &Status::default()));
    drop(store);
    let connection = Connection::open(path).unwrap();
    let days = format!(
        "WITH RECURSIVE day(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM day WHERE n < {DAYS} + 9),
            host(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM host WHERE n < {HOSTS} - 1)"
    );
    let columns = "(start, kind, k1, k2, k3, packets_in, bytes_in, least_in, greatest_in,
        packets_out, bytes_out, least_out, greatest_out, extra)";
    let bytes = "(1 + (host.n = 0) * 9) * (1000 + (day.n * 7919 + host.n * 31) % 9973)";
    let total = format!("(SELECT sum({bytes}) FROM host)");
    connection
        .execute_batch(&format!(
            "BEGIN;
             {days} INSERT OR REPLACE INTO traffic_86400 {columns}
                SELECT day.n * 86400, 1, 4, 0, day.n * 64 + host.n, 9, {bytes}, 0, 99, 9, {bytes}, 0, 9, 0
                FROM day, host;
             {days} INSERT OR REPLACE INTO traffic_86400 {columns}
                SELECT day.n * 86400, 1, 4, 0, 167772167, 9, 5000, 0, 99, 9, 5000, 0, 9, 1 FROM day;
             INSERT INTO host (id, family, high, low) SELECT 100000 + row_number() OVER (), 4, 0, k3
                FROM (SELECT DISTINCT k3 FROM traffic_86400 WHERE kind = 1 AND k1 = 4 AND k3 > 0);
             INSERT OR REPLACE INTO traffic_86400 {columns}
                SELECT start, 5, h.id, 393216 + 443, 0, packets_in, bytes_in, 0, 99, packets_out, bytes_out, 0, 9, extra
                FROM traffic_86400 x JOIN host h ON h.family = 4 AND h.high = 0 AND h.low = x.k3
                WHERE x.kind = 1 AND x.start >= 864000;
             {days} INSERT OR REPLACE INTO traffic_86400 {columns}
                SELECT day.n * 86400, 3, 393216 + host.n, 0, 0, 9, {bytes}, 0, 99, 0, 0, 0, 0, 0
                FROM day, host;
             {days} INSERT OR REPLACE INTO traffic_86400 {columns}
                SELECT day.n * 86400, 4, 6, 0, 0, 9, {total}, 0, 99, 0, 0, 0, 0, 0 FROM day;
             {days} INSERT INTO interface_86400 SELECT day.n * 86400, 1, 9, {total}, 0, 99,
                    9, 5000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 86400000, 0
                FROM day;
             COMMIT;"
        ))
        .unwrap();
}

/// Runs in the process that is measured.
fn answer(path: &Path, (what, by, points, top, host): Asked<'_>) {
    let (to, number) = (format!("@{}", (DAYS + 20) * 86_400), |text: &str| text.parse().unwrap());
    let words = Words {
        what,
        host,
        from: "@0",
        to: &to,
        by,
        tz: "utc",
        points: number(points),
        most: 12_000,
        top: number(top),
        ..Words::default()
    };
    let (question, zone) = question(&words, &jiff::Zoned::now()).unwrap();
    let answer = History::open(path).unwrap().ask(&question, None).unwrap();
    if what == "hosts" && top == "20" && by == "none" {
        assert_eq!(answer.rows.len(), 20);
        let busiest = &answer.rows[0];
        assert_eq!(busiest.total[0].bytes, 5_000 * DAYS.cast_unsigned(), "{:?}", busiest.label);
        let count = (DAYS * HOSTS) as usize;
        assert!(answer.count.abs_diff(count) < count / 20, "{} of {count}", answer.count);
    }
    // As the API and the command line do.
    if number(points) as u64 * number(top) as u64 <= 50_000 {
        drop(history_json::to_json(&answer, &zone));
    }
    history_json::write_json(&answer, &zone, &mut std::io::sink()).unwrap();
    history_csv::write_csv(&answer, &zone, &mut std::io::sink()).unwrap();
    history_text::write_table(&answer, &zone, &mut std::io::sink()).unwrap();
}

/// The peak memory of a process that answers this, kB.
fn peak(path: &Path, asked: Asked<'_>) -> u64 {
    let (what, by, points, top, host) = asked;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_measured", "--ignored", "--nocapture"])
        .env("BRIGHTSTAT_MEASURED", [what, by, points, top, host].join(" "))
        .env("BRIGHTSTAT_DATABASE", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let peak = text.split("peak of ").nth(1).and_then(|rest| rest.split(' ').next());
    let Some(peak) = peak.filter(|_| output.status.success()) else {
        panic!("{asked:?}: {text} {errors}");
    };
    peak.parse().unwrap()
}

#[test]
#[ignore = "is started by the other test"]
fn a_process_that_is_measured() {
    let Ok(asked) = std::env::var("BRIGHTSTAT_MEASURED") else { return };
    let path = std::env::var_os("BRIGHTSTAT_DATABASE").unwrap();
    let mut asked = asked.split(' ');
    let mut next = || asked.next().unwrap_or_default();
    answer(Path::new(&path), (next(), next(), next(), next(), next()));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak of {} kB", peak.trim().trim_end_matches(" kB"));
}

#[test]
fn any_question_takes_at_most_8_mb() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.db");
    fill(&path);
    let small = peak(&path, SMALL);
    for asked in QUESTIONS {
        let more = peak(&path, asked).saturating_sub(small);
        println!("{asked:?}: {more} kB");
        assert!(more <= MOST, "{asked:?}: {more} kB more than a small question");
    }
}
