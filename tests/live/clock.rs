//! The real daemon under a wrong clock: a day or twenty years ahead, from the start or stepped
//! there while it runs, and back. Whatever the clock does, no row of history is deleted or doubled,
//! and everything counted in the meantime is there once.
//!
//! The clock is libfaketime's (package faketime), whose offset is a file; the monotonic clock
//! remains the machine's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use brightstat::account::{ClosedInterval, InOut, IntervalHost, IntervalInterface, Volume};
use brightstat::config::Config;
use brightstat::decode::Addr;
use brightstat::store::{Limits, Message, Options, Status, Store};
use rusqlite::Connection;

use crate::common::frames::mixture;
use crate::common::{Cable, Daemon, binary, directory};

/// Minutes of history: slightly less than the tier keeps, so that none expires.
const MINUTES: i64 = 47 * 60;

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Writes history that ended five minutes ago.
fn write_history(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let config = Config::default();
    let options = Options {
        tiers: config.tiers(),
        limits: Limits { hosts: 10, ports: 10, services: 10 },
        max_size: config.max_size,
    };
    let store = Store::open(path, options).unwrap();
    let status = Status::new(Duration::from_secs(60));
    let (sender, messages) = mpsc::sync_channel(8);
    thread::scope(|scope| {
        let status = &status;
        scope.spawn(move || store.run(&messages, status));
        let end = now() / 60 * 60 - 300;
        for minute in 0..MINUTES {
            let volume = Volume { packets: 1, bytes: 1_000 + minute as u64 };
            let mut directions = [Volume::default(); 5];
            directions[0] = volume;
            let traffic = |received, sent| InOut { received, sent };
            let host = |last, traffic| IntervalHost {
                address: Addr::from(std::net::IpAddr::from([10, 0, 0, last])),
                mac: Default::default(),
                local: true,
                traffic,
                rates: Default::default(),
            };
            let none = Volume::default();
            let interval = ClosedInterval {
                start: end - (MINUTES - minute) * 60,
                length: 60,
                interfaces: vec![IntervalInterface {
                    name: "rx".to_owned(),
                    covered: 60_000,
                    directions,
                    rates: Default::default(),
                    dropped: 0,
                }],
                hosts: vec![host(1, traffic(none, volume)), host(2, traffic(volume, none))],
                without_port: volume,
                ..ClosedInterval::default()
            };
            sender.send(Message::Closed(interval)).unwrap();
        }
        drop(sender);
    });
    assert_eq!(status.lost(), 0);
}

/// Bytes of each interval, by tier and start.
type Rows = BTreeMap<(String, i64), i64>;

fn rows(path: &Path) -> Rows {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT tier, start, sum(bytes) FROM v_interface GROUP BY tier, start";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// All bytes of a tier.
fn sum(rows: &Rows, tier: &str) -> i64 {
    rows.iter().filter(|((name, _), _)| name == tier).map(|(_, bytes)| bytes).sum()
}

/// A daemon with a shifted clock.
struct Shifted<'a> {
    daemon: Daemon<'a>,
    offset: PathBuf,
}

impl<'a> Shifted<'a> {
    fn start(cable: &'a Cable, directory: &Path, commit: &str, offset: &str) -> Shifted<'a> {
        let config = directory.join("brightstat.toml");
        let text = "[capture]\ninterfaces = [\"rx\"]\n[history]\ncommit = ";
        std::fs::write(&config, format!("{text}\"{commit}\"\n")).unwrap();
        let file = directory.join("offset");
        set(&file, offset);
        let library = std::fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
            let path = entry.unwrap().path().join("faketime/libfaketimeMT.so.1");
            path.exists().then_some(path)
        });
        let library = library.expect("this test needs the package faketime");
        let environment = [
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
            "FAKETIME_NO_CACHE=1".to_owned(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        let mut program = vec!["env"];
        program.extend(environment.iter().map(String::as_str));
        program.push(binary());
        let arguments = ["--config", config.to_str().unwrap()];
        let mut daemon = Daemon::start_as(&program, &cable.receiver, directory, &arguments);
        daemon.wait_for_log("rx: capturing");
        Shifted { daemon, offset: file }
    }

    /// Steps the clock, and waits until the daemon has noticed.
    fn step(&mut self, offset: &str, words: &str) {
        set(&self.offset, offset);
        self.daemon.wait_for_log(words);
    }
}

fn set(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{offset}\n")).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// Runs `life` on a directory with history, and checks the remaining history. `life` returns how
/// often it has sent the frames.
fn history_survives(
    what: &str,
    life: impl FnOnce(&Cable, &Path, &dyn Fn(&Daemon<'_>, u64)) -> u64,
) {
    let cable = Cable::new();
    let directory = directory();
    let path = directory.path().join("db/brightstat.db");
    write_history(&path);
    let before = rows(&path);
    assert_eq!(before.iter().filter(|((tier, _), _)| tier == "minute").count() as i64, MINUTES);
    let (frames, expected) = mixture(200);
    let send = |daemon: &Daemon<'_>, times: u64| {
        cable.send(&frames);
        daemon.wait_for_frames(times * expected.packets);
    };
    let times = life(&cable, directory.path(), &send);
    let after = rows(&path);
    for (row, bytes) in before.iter().filter(|((tier, _), _)| tier == "minute") {
        assert_eq!(after.get(row), Some(bytes), "{what}: the row of {row:?}");
    }
    for ((tier, start), bytes) in &before {
        let found = after.get(&(tier.clone(), *start));
        // The newest hour and day may have grown.
        assert!(found.is_some_and(|found| found >= bytes), "{what}: {tier} {start}: {found:?}");
    }
    let sent = (times * expected.bytes) as i64;
    for tier in ["minute", "hour", "day"] {
        assert_eq!(sum(&after, tier), sum(&before, "minute") + sent, "{what}: the sum of {tier}");
    }
}

/// Every behaviour of the clock, with one commit period.
fn whatever_the_clock_does(commit: &str) {
    let started = |offset: &'static str| {
        move |cable: &Cable, directory: &Path, send: &dyn Fn(&Daemon<'_>, u64)| {
            let shifted = Shifted::start(cable, directory, commit, offset);
            send(&shifted.daemon, 1);
            assert_eq!(shifted.daemon.stop(), 0);
            // The next start has the right time.
            let right = Shifted::start(cable, directory, commit, "+0");
            send(&right.daemon, 1);
            assert_eq!(right.daemon.stop(), 0);
            2
        }
    };
    let started_and_back = |offset: &'static str| {
        move |cable: &Cable, directory: &Path, send: &dyn Fn(&Daemon<'_>, u64)| {
            let mut shifted = Shifted::start(cable, directory, commit, offset);
            send(&shifted.daemon, 1);
            // A minute ends and, with the short period, is written under the wrong clock.
            thread::sleep(Duration::from_secs(if commit == "1min" { 65 } else { 2 }));
            shifted.step("+0", "the clock was set back");
            send(&shifted.daemon, 2);
            assert_eq!(shifted.daemon.stop(), 0);
            2
        }
    };
    let stepped = |offset: &'static str, is_back: bool| {
        move |cable: &Cable, directory: &Path, send: &dyn Fn(&Daemon<'_>, u64)| {
            let mut shifted = Shifted::start(cable, directory, commit, "+0");
            send(&shifted.daemon, 1);
            shifted.step(offset, "the clock was stepped forward");
            send(&shifted.daemon, 2);
            if is_back {
                thread::sleep(Duration::from_secs(if commit == "1min" { 65 } else { 2 }));
                shifted.step("+0", "the clock is back where it was");
            }
            send(&shifted.daemon, 3);
            assert_eq!(shifted.daemon.stop(), 0);
            3
        }
    };
    thread::scope(|scope| {
        for offset in ["+1d", "+20y"] {
            scope.spawn(move || history_survives(&format!("started at {offset}"), started(offset)));
            let what = format!("started at {offset}, and back");
            scope.spawn(move || history_survives(&what, started_and_back(offset)));
            for is_back in [true, false] {
                let what = format!("stepped to {offset}, back: {is_back}");
                scope.spawn(move || history_survives(&what, stepped(offset, is_back)));
            }
        }
    });
}

#[test]
fn a_wrong_clock_deletes_and_doubles_nothing_when_history_is_written_each_minute() {
    whatever_the_clock_does("1min");
}

#[test]
fn a_wrong_clock_deletes_and_doubles_nothing_with_the_default_period() {
    whatever_the_clock_does("5min");
}
