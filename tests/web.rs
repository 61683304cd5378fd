//! The web server under attack, and what it makes of odd requests.
//!
//! These tests need root (namespaces) and slowhttptest, and fail without them. Nothing
//! leaves the namespaces. They assert nothing about speed but that things happen at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::frames::{crowd, mixture};
use common::{Cable, Daemon, PORT, directory, wait_for};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

/// Connections of an attack.
const ATTACKERS: &str = "2000";
/// How long one lasts, seconds.
const ATTACK_SECONDS: u64 = 12;
/// Threads that an attack may cost: web.connections_per_address for the attacker, the same
/// for us, and a few that are just ending.
const THREADS: u64 = 16 + 16 + 8;
/// Memory that an attack may cost, in a debug build: kB.
const MEMORY: u64 = 12 << 10;

/// Gives both ends of the cable addresses: 10.66.N.1 is ours, 10.66.N.2 the attacker's.
fn address(cable: &Cable, networks: u8) {
    for (namespace, device, host) in [(&cable.receiver, "rx", 1), (&cable.sender, "send0", 2)] {
        namespace.ip(&format!("link set {device} arp on"));
        for network in 0..networks {
            namespace.ip(&format!("addr add 10.66.{network}.{host}/24 dev {device}"));
        }
    }
}

fn start<'a>(cable: &'a Cable, directory: &Path) -> Daemon<'a> {
    let mut daemon = Daemon::start(&cable.receiver, directory, &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    assert_eq!(daemon.get("/").0, 200);
    wait_for("the first snapshot", 10, || {
        (daemon.json("/api/v1/live")["number"].as_u64() > Some(1)).then_some(())
    });
    daemon
}

/// A running slowhttptest; killed when dropped.
struct Attack(Child);

impl Attack {
    fn start(cable: &Cable, directory: &Path, options: &[&str]) -> Attack {
        let child = cable
            .sender
            .command("slowhttptest")
            .args(["-c", ATTACKERS, "-r", "500", "-p", "3", "-l", &ATTACK_SECONDS.to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("attack.log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need slowhttptest (make test installs it)");
        Attack(child)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refused(daemon: &Daemon<'_>) -> u64 {
    daemon.json("/api/v1/status")["web"]["requests_refused"].as_u64().unwrap()
}

/// During the attack somebody else is served, and afterwards all is as before.
fn assert_withstands(options: &[&str], least_refused: u64) {
    let cable = Cable::new();
    address(&cable, 1);
    let directory = directory();
    let daemon = start(&cable, directory.path());
    // So that there are long answers: some 200 kB.
    let frames = crowd(1_500);
    cable.send(&frames);
    daemon.wait_for_frames(frames.len() as u64);
    assert!(daemon.get(LONG).1.len() > 150_000);
    let before = refused(&daemon);
    let (threads, memory) = (daemon.proc_status("Threads"), daemon.proc_status("VmRSS"));
    let descriptors = daemon.descriptors();

    let mut attack = Attack::start(&cable, directory.path(), options);
    let (mut most_threads, mut most_memory, mut served) = (0, 0, 0);
    let started = Instant::now();
    while attack.0.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(60) {
        assert_eq!(daemon.get("/").0, 200);
        assert!(daemon.json("/api/v1/live")["totals"]["packets"].as_u64().is_some());
        assert!(daemon.get(LONG).1.len() > 150_000);
        served += 1;
        most_threads = most_threads.max(daemon.proc_status("Threads"));
        most_memory = most_memory.max(daemon.proc_status("VmRSS"));
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(attack);
    assert!(served >= 10, "served {served} times");
    assert!(most_threads <= threads + THREADS, "{threads} threads, then {most_threads}");
    assert!(most_memory <= memory + MEMORY, "{memory} kB, then {most_memory}");
    println!(
        "{options:?}: served {served} times; threads {threads}, at most {most_threads}; \
         memory {memory} kB, at most {most_memory}"
    );
    let after = refused(&daemon);
    assert!(after - before >= least_refused, "{before} refused, then {after}");
    assert_as_before(&daemon, threads, descriptors);
    let memory_after = daemon.proc_status("VmRSS");
    assert!(memory_after <= memory + MEMORY, "{memory} kB, then {memory_after}");
    assert_eq!(daemon.stop(), 0);
}

/// Threads and descriptors go back to what they were. One thread of `tiny_http`'s may be
/// more or less, and one descriptor of the store's.
fn assert_as_before(daemon: &Daemon<'_>, threads: u64, descriptors: usize) {
    wait_for("threads and descriptors to be given back", 60, || {
        let is_back =
            daemon.proc_status("Threads") <= threads + 1 && daemon.descriptors() <= descriptors + 1;
        is_back.then_some(())
    });
    assert_eq!(daemon.get("/").0, 200);
}

const TARGET: &str = "http://10.66.0.1:667/";
const LONG: &str = "/api/v1/hosts?limit=1000";

#[test]
fn slow_headers_hold_up_only_who_sends_them() {
    assert_withstands(&["-H", "-i", "1", "-x", "24", "-u", TARGET], 1_000);
}

#[test]
fn slow_bodies_hold_up_only_who_sends_them() {
    assert_withstands(&["-B", "-i", "1", "-s", "8192", "-x", "10", "-u", TARGET], 1_000);
}

#[test]
fn slow_readers_hold_up_only_themselves() {
    let target = format!("http://10.66.0.1:{PORT}{LONG}");
    let slow = ["-X", "-n", "5", "-z", "32", "-w", "512", "-y", "1024", "-k", "3", "-u", &target];
    assert_withstands(&slow, 1_000);
}

#[test]
fn an_attack_from_many_addresses_does_not_take_all_places() {
    let cable = Cable::new();
    const NETWORKS: u8 = 8;
    address(&cable, NETWORKS);
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (threads, descriptors) = (daemon.proc_status("Threads"), daemon.descriptors());
    let mut held = Vec::new();
    for round in 0..20 {
        cable.sender.run(|| {
            for number in 0..u16::from(NETWORKS) * 16 {
                let network = number % u16::from(NETWORKS);
                let address = format!("10.66.{network}.1:{PORT}");
                let mut stream = TcpStream::connect(address).unwrap();
                let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 10.66.0.1\r\n");
                held.push(stream);
            }
        });
        // A thread each has to end before its place is free: once may be too soon.
        wait_for(&format!("an answer in round {round}"), 20, || {
            (daemon.get("/").0 == 200).then_some(())
        });
        // web.connections, those whose place was taken away, and one being made. A thread that
        // has given its place back is counted by the kernel until it has run to its end, which
        // takes a moment where others want the processor.
        let most = threads + 64 + 16 + 1;
        let now = daemon.proc_status("Threads");
        assert!(now <= 2 * most, "{threads} threads, then {now}");
        wait_for(&format!("at most {most} threads in round {round}"), 5, || {
            (daemon.proc_status("Threads") <= most).then_some(())
        });
    }
    drop(held);
    assert_as_before(&daemon, threads, descriptors);
    assert_eq!(daemon.stop(), 0);
}

/// Sets the descriptor limit of a daemon, 0 for plenty. As its own user, who may: root may
/// not everywhere.
fn limit_descriptors(daemon: &Daemon<'_>, most: usize) {
    let most = if most == 0 { 1_024 } else { most };
    let (user, group) = (daemon.proc_status("Uid"), daemon.proc_status("Gid"));
    let done = Command::new("setpriv")
        .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"])
        .args(["prlimit", "--pid", &daemon.pid().to_string(), &format!("--nofile={most}:")])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn a_lack_of_descriptors_is_survived() {
    let cable = Cable::new();
    let directory = directory();
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    let open = |count: usize| -> Vec<TcpStream> {
        let connect = |_| {
            let mut stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n");
            stream
        };
        cable.receiver.run(|| (0..count).map(connect).collect())
    };

    // Before anybody has asked: too few for the connections to the server inside.
    limit_descriptors(&daemon, daemon.descriptors() + 4);
    assert_eq!(daemon.get("/").0, 503);
    let held = open(30);
    std::thread::sleep(Duration::from_millis(500));
    drop(held);
    limit_descriptors(&daemon, 0);
    wait_for("the first answer", 20, || (daemon.get("/").0 == 200).then_some(()));

    // And once they are there.
    for spare in [0, 1, 3] {
        limit_descriptors(&daemon, daemon.descriptors() + spare);
        let held = open(30);
        std::thread::sleep(Duration::from_millis(500));
        assert!(Path::new(&format!("/proc/{}/fd", daemon.pid())).exists(), "it has ended");
        drop(held);
        limit_descriptors(&daemon, if spare == 0 { 0 } else { daemon.descriptors() + spare });
        wait_for("an answer", 20, || (daemon.get("/api/v1/live").0 == 200).then_some(()));
        limit_descriptors(&daemon, 0);
    }
    assert_eq!(daemon.get("/").0, 200);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn aborted_connections_are_survived() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (threads, descriptors) = (daemon.proc_status("Threads"), daemon.descriptors());
    for sent in ["", "GET", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"] {
        cable.receiver.run(|| {
            for _ in 0..1_000 {
                let mut stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
                let _ = stream.write_all(sent.as_bytes());
                let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
                setsockopt(&stream, sockopt::Linger, &linger).unwrap();
            }
        });
        wait_for("an answer", 20, || (daemon.get("/").0 == 200).then_some(()));
    }
    assert_as_before(&daemon, threads, descriptors);
    assert_eq!(daemon.stop(), 0);
}

/// Head and body of an answer.
fn ask(daemon: &Daemon<'_>, request: &[u8]) -> (String, Vec<u8>) {
    let answer = daemon.talk_bytes(request);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&answer)));
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

fn has(head: &str, header: &str) -> bool {
    head.lines().any(|line| line.eq_ignore_ascii_case(header))
}

#[test]
fn odd_requests_get_fitting_answers_and_every_answer_is_safe() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let with = |header: &str| format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n");
    let many = "X: y\r\n".repeat(100);
    let large = format!("X: {}", "y".repeat(20_000));
    let body = "x".repeat(100_000);
    let post =
        format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n{body}");
    let cases: Vec<(&str, String)> = vec![
        ("200 OK", get("/")),
        ("200 OK", get("/?x=1")),
        ("200 OK", get("/api/v1/live")),
        ("200 OK", "GET / HTTP/1.0\r\n\r\n".into()),
        ("200 OK", "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".into()),
        ("200 OK", "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n".into()),
        ("200 OK", "\r\nGET / HTTP/1.1\nHost: 127.0.0.1\n\n".into()),
        ("200 OK", with("Cookie: a=b\r\nTE: chunked\r\nUpgrade: h2c\r\nExpect: 200-ok")),
        ("421 Misdirected Request", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into()),
        (
            "421 Misdirected Request",
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        ("404 Not Found", get("/../etc/passwd")),
        ("404 Not Found", get("/%2e%2e/%2e%2e/etc/passwd")),
        ("404 Not Found", get("/%00")),
        ("404 Not Found", get("//x")),
        ("404 Not Found", get("//127.0.0.1/")),
        ("404 Not Found", get("/api/v1/../../app.js")),
        ("404 Not Found", get("/api/v1/../..")),
        ("404 Not Found", get("/./")),
        ("404 Not Found", get("/api/v1/")),
        ("404 Not Found", get("/\\..\\")),
        ("400 Bad Request", get("/api/v1/live?top=x")),
        ("400 Bad Request", get("/api/v1/live?seconds=99999999999999999999")),
        ("400 Bad Request", get("/api/v1/pulse?since=now")),
        ("400 Bad Request", get("../etc/passwd")),
        ("400 Bad Request", get("/a b")),
        ("400 Bad Request", "GET / HTTP/1.1\r\n\r\n".into()),
        ("400 Bad Request", "GET /\r\n\r\n".into()),
        ("400 Bad Request", "\0\0\0\0\r\n\r\n".into()),
        ("400 Bad Request", get("/\0")),
        ("400 Bad Request", with("X: a\0b")),
        ("400 Bad Request", with("Host: 127.0.0.1")),
        ("400 Bad Request", with("Transfer-Encoding: chunked")),
        ("400 Bad Request", with("Content-Length: 5")),
        ("400 Bad Request", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".into()),
        ("405 Method Not Allowed", post),
        ("405 Method Not Allowed", "BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".into()),
        ("405 Method Not Allowed", "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".into()),
        (
            "405 Method Not Allowed",
            "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        ("414 URI Too Long", get(&format!("/{}", "x".repeat(3_000)))),
        ("414 URI Too Long", get(&format!("/{}", "x".repeat(20_000)))),
        ("431 Request Header Fields Too Large", with(&large)),
        ("431 Request Header Fields Too Large", with(many.trim_end())),
        ("505 HTTP Version Not Supported", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
    ];
    for (wanted, request) in &cases {
        let shown = request.chars().take(80).collect::<String>();
        let (head, body) = ask(&daemon, request.as_bytes());
        assert_eq!(head.lines().next(), Some(&*format!("HTTP/1.1 {wanted}")), "{shown:?}");
        for header in [
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cross-Origin-Resource-Policy: same-origin",
            "Connection: close",
        ] {
            assert!(has(&head, header), "{shown:?}: no {header} in\n{head}");
        }
        assert!(
            head.contains("Content-Security-Policy: default-src 'none';"),
            "{shown:?}:\n{head}"
        );
        assert!(has(&head, &format!("Content-Length: {}", body.len())), "{shown:?}:\n{head}");
        assert_eq!(wanted.starts_with("405"), has(&head, "Allow: GET, HEAD"), "{shown:?}");
    }
    // Not in a local network.
    let outside = |request: &str| {
        cable.receiver.ip("addr replace 203.0.113.5/32 dev lo");
        cable.receiver.run(|| {
            let mut stream = TcpStream::connect(("203.0.113.5", PORT)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        })
    };
    let answer = outside(&get("/"));
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{answer}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn head_answers_have_no_body_and_the_next_one_is_right() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    for _ in 0..10 {
        for path in ["/", "/api/v1/live", "/api/v1/nothing", "/api/v1/status"] {
            let request = |method| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let (head, body) = ask(&daemon, request("HEAD").as_bytes());
            assert!(head.contains("Content-Length: ") && body.is_empty(), "{head}");
            let (_, body) = ask(&daemon, request("GET").as_bytes());
            assert!(!body.is_empty());
        }
        let (head, _) = ask(&daemon, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let etag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
        let known = format!("GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n");
        let (head, body) = ask(&daemon, known.as_bytes());
        assert!(head.starts_with("HTTP/1.1 304") && body.is_empty(), "{head}");
    }
    assert_eq!(daemon.stop(), 0);
}

/// An answer, unpacked, and its bytes on the wire, head and all.
fn packed(daemon: &Daemon<'_>, path: &str) -> (Value, usize) {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, br\r\n\r\n");
    let (head, body) = ask(daemon, request.as_bytes());
    assert!(has(&head, "Vary: Accept-Encoding") && has(&head, "Content-Encoding: gzip"), "{head}");
    let value = serde_json::from_reader(flate2::read::GzDecoder::new(&body[..])).unwrap();
    (value, head.len() + 4 + body.len())
}

fn numbers(row: &Value) -> Vec<u64> {
    row.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn the_pulse_adds_up_to_the_byte_and_is_small() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (frames, expected) = mixture(5_000);
    let mut since = daemon.json("/api/v1/pulse")["time"].as_u64().unwrap() - 2;
    let (mut seconds, mut busy, mut size) = (std::collections::BTreeMap::new(), 0, 0);
    cable.send(&frames);
    let totals = wait_for("all frames in the pulse", 30, || {
        let (pulse, bytes) = match daemon.json(&format!("/api/v1/pulse?since={since}")) {
            small if small["hosts"]["rows"].as_array().is_none_or(|rows| rows.len() < 50) => {
                (small, 0)
            }
            _ => packed(&daemon, &format!("/api/v1/pulse?since={since}")),
        };
        size = size.max(bytes);
        for row in pulse["seconds"].as_array().unwrap() {
            let row = numbers(row);
            assert!(row[0] > since && row.len() == 11, "{row:?}");
            since = row[0];
            seconds.insert(row[0], row);
        }
        // The hosts are those of the last second: rows + other + not IP = all of it.
        let hosts = &pulse["hosts"];
        if let Some(second) = hosts["start"].as_u64().and_then(|start| seconds.get(&start)) {
            let rows = hosts["rows"].as_array().unwrap().iter();
            let of = |way: usize| rows.clone().map(|row| row[way].as_u64().unwrap()).sum::<u64>();
            let other = numbers(&hosts["other"]);
            let bytes: u64 = second[1..6].iter().sum();
            assert_eq!(of(1) + other[0] + second[5], bytes);
            assert_eq!(of(2) + other[1] + second[5], bytes);
            busy += u64::from(bytes > 0);
        }
        let packets: u64 = seconds.values().flat_map(|row| &row[6..]).sum();
        (packets == expected.packets).then(|| numbers(&pulse["totals"]))
    });
    assert!(busy > 0, "no second with traffic was met");
    assert_eq!(totals[..5].iter().sum::<u64>(), expected.bytes);
    assert_eq!(totals[5..].iter().sum::<u64>(), expected.packets);
    let packets = |name: &str| expected.protocols.get(name).map_or(0, |row| row.0);
    assert_eq!(totals[5..8], [packets("tcp"), packets("udp"), packets("icmp")]);
    assert_eq!((totals[9], totals[4]), expected.not_ip);
    for column in 0..10 {
        let sum: u64 = seconds.values().map(|row| row[column + 1]).sum();
        assert_eq!(sum, totals[column], "column {column}");
    }
    println!("50 hosts: {size} bytes on the wire");
    assert!(size > 0 && size < 2_048, "{size} bytes");
    let none = daemon.json("/api/v1/pulse?top=0&since=99999999999");
    assert!(none["hosts"]["rows"].is_null() && none["seconds"].as_array().unwrap().is_empty());
    assert!(none["hosts"]["active"].as_u64().unwrap() >= 100, "{none}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn packed_and_plain_answers_say_the_same() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (frames, expected) = mixture(500);
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);
    for path in ["live", "hosts"] {
        let path = format!("/api/v1/{path}");
        wait_for("both from the same snapshot", 20, || {
            let (plain, (unpacked, _)) = (daemon.json(&path), packed(&daemon, &path));
            (plain == unpacked).then_some(())
        });
    }
    assert_eq!(daemon.stop(), 0);
    assert_ne!(std::fs::metadata(directory.path().join("db/brightstat.db")).unwrap().size(), 0);
}
