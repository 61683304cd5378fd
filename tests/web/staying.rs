//! Persistent connections: several requests on one, and where each request ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Cable, Daemon, PORT, directory, wait_for};
use crate::{assert_as_before, start};

const LIVE: &str = "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn connect(cable: &Cable) -> TcpStream {
    cable.receiver.run(|| {
        let stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    })
}

/// Reads exactly one answer: its head and its body.
fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    if !head.starts_with("HTTP/1.1 304") {
        stream.read_exact(&mut body).unwrap();
    }
    (head, body)
}

/// Everything until the connection is closed.
fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

/// Counts accepted sockets.
fn accepted(cable: &Cable) -> usize {
    let tables = ["tcp", "tcp6"].map(|table| {
        let path = format!("/proc/thread-self/net/{table}");
        cable.receiver.run(|| std::fs::read_to_string(path).unwrap_or_default())
    });
    let local = format!(":{PORT:04X}");
    let is_open = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.len() > 3 && fields[1].ends_with(&local) && fields[3] == "01"
    };
    tables.iter().flat_map(|table| table.lines()).filter(is_open).count()
}

#[test]
fn a_page_asks_every_second_on_one_connection() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let mut stream = connect(&cable);
    for _ in 0..100 {
        stream.write_all(LIVE.as_bytes()).unwrap();
        let (head, body) = answer(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("\r\nConnection:"));
        assert!(body.starts_with(b"{") && body.ends_with(b"}"));
    }
    // An error of the API does not end the connection.
    stream.write_all(&LIVE.replace("live", "nothing").into_bytes()).unwrap();
    assert!(answer(&mut stream).0.starts_with("HTTP/1.1 404"));
    stream.write_all(LIVE.as_bytes()).unwrap();
    assert!(answer(&mut stream).0.starts_with("HTTP/1.1 200"));
    assert_eq!(accepted(&cable), 1);
    assert_eq!(daemon.stop(), 0);
    // The daemon does not wait for idle connections.
    assert_eq!(rest(&mut stream), "");
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let request =
        |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut stream = connect(&cable);
    let all = [
        request("GET", "/api/v1/live"),
        request("HEAD", "/api/v1/interfaces"),
        request("GET", "/api/v1/history"),
        request("GET", "/api/v1/nothing"),
        request("GET", "/api/v1/protocols"),
    ];
    // In one piece, and then byte by byte.
    stream.write_all(all.concat().as_bytes()).unwrap();
    let pieces = all.concat();
    let mut writer = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        for byte in pieces.bytes() {
            writer.write_all(&[byte]).unwrap();
        }
    });
    for _ in 0..2 {
        assert!(answer(&mut stream).1.starts_with(b"{\"time\""));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 200"));
        let (_, body) = answer(&mut stream);
        assert!(String::from_utf8(body).unwrap().contains("\"from\""));
        assert!(answer(&mut stream).0.starts_with("HTTP/1.1 404"));
        let (_, body) = answer(&mut stream);
        assert!(String::from_utf8(body).unwrap().contains("\"protocols\""));
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn nothing_that_is_hidden_behind_a_request_is_taken_for_one() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    for hidden in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 60\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 060\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length:\u{a0}60\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n",
        "POST /api/v1/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "POST /api/v1/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: y\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut stream = connect(&cable);
        stream.write_all(format!("{hidden}{LIVE}").as_bytes()).unwrap();
        let text = rest(&mut stream);
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{hidden:?}:\n{text}");
        assert!(text.contains("\r\nConnection: close\r\n"), "{hidden:?}:\n{text}");
        assert!(!text.contains("\"totals\""), "{hidden:?}:\n{text}");
    }
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_connection_carries_a_thousand_requests_and_the_last_answer_says_so() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let mut stream = connect(&cable);
    let request = b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut writer = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        // Some come too late: the connection may have ended.
        (0..1_100).take_while(|_| writer.write_all(request).is_ok()).count()
    });
    let text = rest(&mut stream);
    writing.join().unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 1_000);
    assert_eq!(text.matches("Connection: close").count(), 1);
    let last = text.rfind("HTTP/1.1").unwrap();
    assert!(text[last..].starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn idle_connections_make_room_and_end_by_themselves() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (threads, descriptors) = (daemon.proc_status("Threads"), daemon.descriptors());
    let idle = || {
        let mut stream = connect(&cable);
        stream.write_all(LIVE.as_bytes()).unwrap();
        assert!(answer(&mut stream).0.starts_with("HTTP/1.1 200"));
        stream
    };
    let mut held = Vec::new();
    for _ in 0..40 {
        // Each is admitted: an idle connection of the same client is closed for it.
        held.push(idle());
        // web.connections_per_address, and one whose thread is just ending.
        assert!(accepted(&cable) <= 17, "{}", accepted(&cable));
    }
    // The oldest have been closed, the newest stay.
    assert_eq!(rest(&mut held[0]), "");
    let newest = held.last_mut().unwrap();
    newest.write_all(LIVE.as_bytes()).unwrap();
    assert!(answer(newest).0.starts_with("HTTP/1.1 200"));
    let before = refused(&daemon);
    wait_for("the idle ones to be closed", 60, || (accepted(&cable) <= 1).then_some(()));
    assert_eq!(rest(held.last_mut().unwrap()), "");
    // No request was refused.
    assert_eq!(refused(&daemon), before);
    assert_as_before(&daemon, threads, descriptors);
    assert_eq!(daemon.stop(), 0);
}

fn refused(daemon: &Daemon<'_>) -> u64 {
    daemon.json("/api/v1/status")["web"]["requests_refused"].as_u64().unwrap()
}
