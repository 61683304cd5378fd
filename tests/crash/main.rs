//! What remains of the history if the daemon is killed or the power fails at any moment.
//!
//! A child (this test binary again) runs a real store under load. Either it is killed, or its file
//! operations are recorded and replayed up to some moment, on a simulated disk that loses what was
//! not synced. Each time the database must open, be undamaged, and hold everything that was
//! reported as committed, and nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/history.rs"]
mod history;

mod disk;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use brightstat::store::{Message, Status, Store};
use disk::{Disk, MARKER, Record, Step};
use history::{Expected, Random};

const KILLS: usize = 200;
/// Kills per database.
const KILLS_EACH: usize = 25;
/// Recordings, each starting from what a power cut has left of the previous one.
const ROUNDS: usize = 2;
/// Power cuts per recording at random moments, besides those around each sync.
const CUTS: usize = 150;
/// The parent's order to the child: directory, seed, intervals to write.
const ORDER: &str = "BRIGHTSTAT_CRASH_CHILD";

fn database(directory: &Path) -> PathBuf {
    directory.join("b.db")
}

/// A seed that differs from run to run; set `BRIGHTSTAT_SEED` to reproduce a run.
fn random() -> Random {
    let given = std::env::var("BRIGHTSTAT_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = given.unwrap_or(now.as_nanos() as u64);
    println!("BRIGHTSTAT_SEED={seed}");
    Random(seed)
}

/// Feeds `count` intervals, from number `from` on, to a store as fast as it accepts them, and
/// stores in `marker` how many are committed. `is_abrupt`: the process exits while the store is
/// open.
fn feed(store: Store, from: i64, count: i64, period: Duration, marker: &File, is_abrupt: bool) {
    let status = &Status::new(period);
    let (sender, messages) = mpsc::sync_channel(8);
    let is_over = AtomicBool::new(false);
    let assert_well = || assert_eq!((status.trouble(), status.lost()), (None, 0));
    let note = |known: &mut u64| {
        assert_well();
        let committed = status.committed();
        if committed != *known {
            *known = committed;
            let all = from + committed as i64;
            marker.write_all_at(&all.to_le_bytes(), 0).unwrap();
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(move || store.run(&messages, status));
        let watcher = scope.spawn(|| {
            let mut known = 0;
            while !is_over.load(Ordering::Acquire) {
                note(&mut known);
                thread::sleep(Duration::from_micros(100));
            }
            note(&mut known);
        });
        for number in from..from + count {
            sender.send(Message::Closed(history::interval(number))).unwrap();
        }
        if is_abrupt {
            while status.committed() < count as u64 {
                assert_well();
                thread::sleep(Duration::from_millis(1));
            }
            is_over.store(true, Ordering::Release);
            watcher.join().unwrap();
            std::process::exit(0);
        }
        drop(sender);
        writer.join().unwrap();
        is_over.store(true, Ordering::Release);
    });
}

/// Not a test by itself: without an order it does nothing.
#[test]
fn the_child_does_what_it_is_told() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let mut order = order.split(' ');
    let mut next = || order.next().unwrap();
    let (directory, seed, mut left) =
        (PathBuf::from(next()), next().parse().unwrap(), next().parse::<i64>().unwrap());
    let mut random = Random(seed);
    let marker = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(MARKER))
        .unwrap();
    // The store is opened and closed all the time: that must be safe, too.
    while left > 0 {
        let store = Store::open(&database(&directory), history::options()).unwrap();
        let from = store.newest().map_or(0, |start| history::number(start).unwrap() + 1);
        let most = if random.chance(50) { 20 } else { 200 };
        let count = left.min(5 + random.below(most) as i64);
        left -= count;
        // A commit after each interval, or after some.
        let period = Duration::from_millis([0, 0, 1][random.below(3) as usize]);
        feed(store, from, count, period, &marker, left == 0);
    }
}

/// The command that starts the child; its standard error goes to a file.
fn child(directory: &Path, seed: u64, count: i64, words: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_child_does_what_it_is_told", "--nocapture"])
        .env(ORDER, format!("{} {seed} {count}", directory.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(words).unwrap());
    command
}

/// Kills the child at a random moment: mostly after it has begun to work, sometimes earlier.
fn kill_soon(mut child: Child, directory: &Path, words: &Path, random: &mut Random) {
    if !random.chance(15) {
        // After an earlier kill the marker may be old, which does no harm.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !directory.join(MARKER).exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
    thread::sleep(Duration::from_micros(5_000 + random.below(115_000)));
    if let Some(status) = child.try_wait().unwrap() {
        panic!("the child ended with {status}: {}", std::fs::read_to_string(words).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn committed(directory: &Path) -> i64 {
    let marker = std::fs::read(directory.join(MARKER)).unwrap_or_default();
    marker.try_into().map_or(0, i64::from_le_bytes)
}

/// Checks that a database survived: it opens, is undamaged, and holds what it must.
fn survived(
    directory: &Path,
    committed: i64,
    expected: &mut Expected,
    look_first: bool,
) -> Result<i64, String> {
    let path = database(directory);
    if look_first && path.exists() {
        // Like a script that reads while the daemon is down.
        let newest = rusqlite::Connection::open(&path).and_then(|connection| {
            let sql = "SELECT max(start) FROM interface_60";
            connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
        });
        // Without tables there has been no commit.
        if let Ok(newest) = newest {
            let count = newest.map_or(0, |start| history::number(start).unwrap() + 1);
            expected.check(&path, count, false).map_err(|e| format!("looked at first: {e}"))?;
        }
    }
    let count = history::start_and_stop(&path)?;
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.contains("damaged") {
            return Err(format!("it was taken for damaged: there is {name}"));
        }
    }
    if count < committed {
        return Err(format!("{committed} intervals were committed, but only {count} are there"));
    }
    expected.check(&path, count, true)?;
    Ok(count)
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_committed_and_doubles_nothing() {
    let mut random = random();
    let mut expected = Expected::default();
    let mut total = 0;
    for _ in 0..KILLS / KILLS_EACH {
        let directory = tempfile::tempdir().unwrap();
        let words = directory.path().join("words");
        let mut count = 0;
        for kill in 0..KILLS_EACH {
            let mut command = child(directory.path(), random.next(), i64::MAX, &words);
            let child = command.spawn().unwrap();
            kill_soon(child, directory.path(), &words, &mut random);
            let committed = committed(directory.path());
            match survived(directory.path(), committed, &mut expected, random.chance(50)) {
                Ok(now) => {
                    assert!(now >= count, "there were {count} intervals before");
                    count = now;
                }
                Err(what) => {
                    let kept = directory.keep();
                    panic!("kill {kill}: {what}; see {}", kept.display());
                }
            }
        }
        total += count;
    }
    println!("{KILLS} kills, {total} intervals written");
    assert!(total > 2 * KILLS as i64, "only {total} intervals were written: too few to tell");
}

/// Compiles the library that records what a child does.
fn recorder() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/record.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-pthread"])
        .status()
        .expect("this test needs a C compiler (make test installs it)");
    assert!(compiled.success());
    library
}

/// Records a child that works in the directory, writes this many intervals and exits with the store
/// open; then the next child.
fn recorded(directory: &Path, seed: u64, counts: &[i64]) -> Vec<Record> {
    let library = recorder();
    let scratch = tempfile::tempdir().unwrap();
    let (log, words) = (scratch.path().join("log"), scratch.path().join("words"));
    for count in counts {
        let status = child(directory, seed, *count, &words)
            .env("LD_PRELOAD", &library)
            .env("RECORD_DIRECTORY", directory)
            .env("RECORD_LOG", &log)
            .status()
            .unwrap();
        assert!(status.success(), "{status}: {}", std::fs::read_to_string(&words).unwrap());
    }
    disk::read_log(&std::fs::read(&log).expect("something was recorded"))
}

/// Verifies that nothing was missed: a full replay gives the files on the disk.
fn assert_is_complete(mut disk: Disk, records: &[Record], directory: &Path) {
    records.iter().for_each(|record| disk.apply(record));
    let seen = disk.as_seen();
    assert!(seen.contains_key("b.db") && seen.contains_key("b.db-wal"), "{:?}", seen.keys());
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != MARKER && !name.ends_with("-shm") {
            let now = std::fs::read(directory.join(&name)).unwrap();
            assert!(seen.get(&name) == Some(&now), "{name} is not what was recorded");
        }
    }
}

/// A directory for a crashed disk: in memory, if possible.
fn crash_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The moments of the power cuts: around each sync, right after each known commit, and random ones.
fn moments(records: &[Record], random: &mut Random) -> Vec<usize> {
    let any = (0..CUTS).map(|_| 1 + random.below(records.len() as u64) as usize);
    let mut moments: Vec<usize> = any.collect();
    for (at, record) in records.iter().enumerate() {
        if matches!(record.step, Step::Sync) {
            moments.extend([at, at + 1]);
        } else if record.name == MARKER {
            moments.push(at + 1);
        }
    }
    moments.sort_unstable();
    moments
}

/// Cuts the power at each of these moments.
fn assert_survives_cuts(
    start: &Path,
    committed: i64,
    records: &[Record],
    moments: &[usize],
    random: &mut Random,
) {
    let mut disk = Disk::holding(start);
    disk.committed = committed;
    let (mut expected, mut done) = (Expected::default(), 0);
    for &moment in moments {
        records[done..moment].iter().for_each(|record| disk.apply(record));
        done = moment;
        let directory = crash_directory();
        disk.cut(directory.path(), random);
        let look_first = random.chance(20);
        if let Err(what) = survived(directory.path(), disk.committed, &mut expected, look_first) {
            let kept = directory.keep();
            panic!("power cut after step {moment}: {what}; see {}", kept.display());
        }
    }
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_committed_and_doubles_nothing() {
    let mut random = random();
    // Each round continues from what a power cut has left in the previous round: recovery may be
    // interrupted as well.
    let (mut start, mut committed) = (crash_directory(), 0);
    for round in 0..ROUNDS {
        let work = tempfile::tempdir().unwrap();
        let real = work.path().canonicalize().unwrap();
        for entry in std::fs::read_dir(start.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), real.join(entry.file_name())).unwrap();
        }
        let records = recorded(&real, random.next(), &[50, 180]);
        assert_is_complete(Disk::holding(start.path()), &records, &real);
        let moments = moments(&records, &mut random);
        let syncs = |name: &str| {
            let is = |record: &&Record| record.name == name && matches!(record.step, Step::Sync);
            records.iter().filter(is).count()
        };
        println!(
            "round {round}: {} steps, {} syncs of the log, {} of the database, {} power cuts",
            records.len(),
            syncs("b.db-wal"),
            syncs("b.db"),
            moments.len()
        );
        let seeds = [random.next(), random.next()];
        thread::scope(|scope| {
            for (moments, seed) in moments.chunks(moments.len().div_ceil(2)).zip(seeds) {
                let (start, records) = (start.path(), &records);
                scope.spawn(move || {
                    assert_survives_cuts(start, committed, records, moments, &mut Random(seed));
                });
            }
        });
        let mut disk = Disk::holding(start.path());
        disk.committed = committed;
        let middle = records.len() / 2 + random.below(records.len() as u64 / 2) as usize;
        records[..middle].iter().for_each(|record| disk.apply(record));
        start = crash_directory();
        disk.cut(start.path(), &mut random);
        committed = disk.committed;
    }
}
