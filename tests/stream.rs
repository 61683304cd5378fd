//! `/api/v1/history.csv`: a year of hours, sent in parts. Its numbers match the command line's, and
//! a slow client costs the daemon little. Needs root, as `run` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/history.rs"]
mod history;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use brightstat::account::ClosedInterval;
use brightstat::config;
use brightstat::store::{Options, Status, Store};
use common::{Cable, Daemon, PORT, binary, directory};

const HOUR: i64 = 3_600;
const HOURS: i64 = 365 * 24;
/// Bytes a second that the slow client reads.
const PACE: usize = 10_000;
/// Memory that it may cost, kB.
const MOST: u64 = 256;

/// Writes a year of hours, each with a minute of traffic. Returns the configuration and the start.
fn fill(directory: &Path) -> (PathBuf, i64) {
    let file = directory.join("b.toml");
    fs::write(&file, "[history]\nkeep = \"hour:500d\"\n").unwrap();
    let loaded = config::load(Some(&file)).unwrap();
    let path = directory.join("db/brightstat.db");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let options = Options { tiers: loaded.config.tiers(), ..history::options() };
    let mut store = Store::open(&path, options).unwrap();
    let now = jiff::Timestamp::now().as_second().div_euclid(HOUR) * HOUR;
    let from = now - HOURS * HOUR;
    let minutes: Vec<_> = (0..50).map(history::interval).collect();
    for day in 0..HOURS / 24 {
        let hours = day * 24..(day + 1) * 24;
        let interval = |hour: i64| ClosedInterval {
            start: from + hour * HOUR,
            ..minutes[hour as usize % minutes.len()].clone()
        };
        assert!(store.commit_now(hours.map(interval), true, &Status::default()));
    }
    (file, from)
}

/// Requests a path and reads the head of the answer.
fn ask(daemon: &Daemon<'_>, path: &str) -> (TcpStream, String) {
    let mut stream = daemon.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).unwrap())
}

/// Reads a line up to CR LF.
fn line(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

/// The whole body of a chunked answer.
fn csv(daemon: &Daemon<'_>, query: &str) -> String {
    let (mut stream, head) = ask(daemon, &format!("/api/v1/history.csv?{query}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/csv"), "{head}");
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(&mut stream), 16).unwrap();
        let mut chunk = vec![0; length];
        stream.read_exact(&mut chunk).unwrap();
        assert_eq!(line(&mut stream), "");
        if length == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend(chunk);
    }
}

/// The same from the command line, sorted, because that prints it row by row.
fn on_the_command_line(path: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(binary())
        .args(["query", "--csv", "--tz", "Europe/Berlin", "--database"])
        .arg(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sorted(&String::from_utf8(output.stdout).unwrap())
}

fn sorted(csv: &str) -> Vec<String> {
    let mut lines: Vec<String> = csv.lines().map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

#[test]
fn a_year_of_hours_is_streamed_and_a_slow_client_costs_little() {
    let (cable, directory) = (Cable::new(), directory());
    let (config, from) = fill(directory.path());
    let path = directory.path().join("db/brightstat.db");
    let arguments = ["--interface", "rx", "--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");

    let (since, until) = (format!("@{from}"), format!("@{}", from + HOURS * HOUR));
    let span = format!("from={since}&to={until}&tz=Europe/Berlin");
    for (what, by, top) in [
        ("hosts", "hour", "20"),
        ("interfaces", "hour", "5"),
        ("services", "day", "30"),
        ("ports", "auto", "10"),
        ("protocols", "none", "100"),
    ] {
        let query = format!("what={what}&by={by}&points=400&top={top}&{span}");
        let told = csv(&daemon, &query);
        let starts: Vec<&str> = told.lines().skip(1).map(|line| &line[..20]).collect();
        // A graph of this many points consists of days.
        let by = if by == "auto" { "day" } else { by };
        let arguments = [what, "--by", by, "--top", top, "--from", &since, "--to", &until];
        let wanted = on_the_command_line(&path, &arguments);
        assert_eq!(told.lines().count(), wanted.len(), "{what} by {by}");
        let pairs = sorted(&told).into_iter().zip(wanted);
        let other: Vec<_> = pairs.filter(|(told, wanted)| told != wanted).take(3).collect();
        assert!(other.is_empty(), "{what} by {by}, told and wanted: {other:#?}");
        assert!(what != "hosts" || starts.len() > 8_760 * 20);
    }
    // Mistakes are reported as for the other questions.
    for (query, words) in
        [("by=lustrum", "lustrum"), ("what=cats", "hosts, ports"), ("top=0", "from 1")]
    {
        let (status, body) = daemon.get(&format!("/api/v1/history.csv?{query}"));
        assert!(status == 400 && body.contains(words), "{query}: {status} {body}");
    }
    // A HEAD request, and a client that does not know chunks.
    let head = daemon.talk(b"HEAD /api/v1/history.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let old = daemon.talk(b"GET /api/v1/history.csv HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.1 505 "), "{old}");

    // Other clients ask at the same time.
    let others = || {
        for path in ["/api/v1/pulse", "/api/v1/history?what=ports&from=30d"] {
            assert_eq!(daemon.get(path).0, 200, "{path}");
        }
    };
    // The peak memory during five seconds in which `each` is repeated.
    let most = |each: &mut dyn FnMut()| {
        let rounds = (0..20).map(|_| {
            each();
            thread::sleep(Duration::from_millis(250));
            others();
            daemon.proc_status("VmRSS")
        });
        rounds.max().unwrap()
    };
    let threads = daemon.proc_status("Threads");
    // Whatever else the daemon does only adds to it: one round of three is enough.
    let is_cheap = (0..3).any(|_| {
        let before = most(&mut || {});
        let path = format!("/api/v1/history.csv?what=hosts&by=hour&{span}");
        let (mut slow, head) = ask(&daemon, &path);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let most = most(&mut || slow.read_exact(&mut [0; PACE / 4]).unwrap());
        println!("{before} kB before, {most} kB at most while a slow client reads");
        most <= before + MOST
    });
    assert!(is_cheap, "a slow client costs more than {MOST} kB");
    common::wait_for("its thread to end", 20, || {
        (daemon.proc_status("Threads") <= threads).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}
