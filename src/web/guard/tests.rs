//! Requests with a body, over sockets: a guard with routes of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use serde_json::Value;

use super::*;
use crate::account::Snapshot;
use crate::store::{Error, question};
use crate::web::method::Takes;
use crate::web::names::Admission;
use crate::web::routes::{Handler, Route};
use crate::web::source::IsOver;

/// A source that knows nothing.
struct Empty;

impl Source for Empty {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }
    fn age(&self) -> u64 {
        0
    }
    fn status(&self) -> Value {
        Value::Null
    }
    fn names(&self) -> Value {
        Value::Null
    }
    fn history(&self, _: &question::Question, _: IsOver) -> Result<question::Answer, Error> {
        Err(Error::NoTiers)
    }
}

/// Bytes of the longest body: more than the buffer for heads.
const MOST: usize = 20_000;

/// `/api/v1/echo` answers a POST with what came, `/api/v1/status` takes GET.
const TABLE: &[Route] = &[
    Route::of(
        "echo",
        Takes { get: false, post: Some(MOST) },
        Handler::Request(|request| {
            let body = String::from_utf8_lossy(&request.body);
            format!("<{} {:?} {body}>", request.address, request.query.get("q"))
        }),
    ),
    Route::of("status", Takes::GET, Handler::Status),
];

struct Served {
    guard: Arc<Guard>,
    port: u16,
}

/// Runs a guard on a port of the loopback around `body`. No connection is left afterwards.
fn serving(body: impl FnOnce(&Served)) {
    let guard = Arc::new(Guard {
        admission: RwLock::new(Admission::new(vec![], vec![], vec![], "pi", &[])),
        connections: 64,
        connections_per_address: 16,
        counts: Counts::default(),
    });
    let answers = Arc::new(Answers::new(Arc::new(Empty), 64).with_routes(TABLE));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let served = Served { guard: guard.clone(), port: listener.local_addr().unwrap().port() };
    let stop = StopSignal::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| answers.run());
        let running = scope.spawn(|| run(&guard, &answers, &[listener], &stop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&served)));
        stop.stop();
        let _ = running.join();
        answers.close();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Served {
    /// A connection from 127.0.0.`host`.
    fn connect(&self, host: u8) -> TcpStream {
        let end = |host, port| SockaddrIn::from(SocketAddrV4::new([127, 0, 0, host].into(), port));
        let (kind, flags) = (SockType::Stream, SockFlag::empty());
        let socket = socket(AddressFamily::Inet, kind, flags, None).unwrap();
        bind(socket.as_raw_fd(), &end(host, 0)).unwrap();
        connect(socket.as_raw_fd(), &end(1, self.port)).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Everything that is answered to `bytes`.
    fn talk(&self, bytes: &str) -> String {
        let mut stream = self.connect(1);
        let _ = stream.write_all(bytes.as_bytes());
        rest(&mut stream)
    }

    fn refused(&self) -> u64 {
        self.guard.counts.refused.load(Ordering::Relaxed)
    }
}

fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until the answer ends with `end`.
fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let read = stream.read_exact(&mut byte);
        assert!(read.is_ok(), "{read:?} after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /api/v1/echo HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n{body}")
}

fn sized(body: &str) -> String {
    post(&format!("Content-Length: {}", body.len()), body)
}

const STATUS: &str = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_body_is_read_to_its_end_and_the_next_request_begins_there() {
    serving(|served| {
        let long = "0123456789abcdef".repeat(MOST / 16);
        let mut stream = served.connect(7);
        for body in ["name=me", "", "GET / HTTP/1.1\r\n\r\n", &long, "\0\r\n\r\n", "last"] {
            stream.write_all(sized(body).as_bytes()).unwrap();
            let answer = until(&mut stream, ">");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(!answer.contains("Connection: close"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n<127.0.0.7 None {body}>")), "{answer}");
        }
        // All at once, and then byte by byte.
        let all = [&sized("one"), STATUS, &sized("two"), &sized(""), &sized("five")].concat();
        stream.write_all(all.as_bytes()).unwrap();
        let pieces = all.clone();
        let mut writer = stream.try_clone().unwrap();
        let writing = thread::spawn(move || {
            for byte in pieces.bytes() {
                writer.write_all(&[byte]).unwrap();
            }
        });
        for _ in 0..2 {
            for end in ["None one>", "\r\n\r\nnull", "None two>", "None >", "None five>"] {
                let answer = until(&mut stream, end);
                assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
            }
        }
        writing.join().unwrap();
        assert_eq!(
            (served.refused(), served.guard.counts.answered.load(Ordering::Relaxed)),
            (0, 16)
        );
    });
}

#[test]
fn a_body_that_is_refused_is_not_read_and_nothing_behind_it_is_a_request() {
    serving(|served| {
        let large = "x".repeat(MOST + 1);
        let length = |length: &str| format!("Content-Length: {length}");
        for (status, request) in [
            ("413", sized(&large)),
            // Before any of it has come.
            ("413", post(&length("20001"), "")),
            ("413", post(&length("99999999999999999999999"), "")),
            ("413", post(&format!("{}\r\nExpect: 100-continue", length("20001")), "")),
            ("411", post("X: y", "")),
            ("411", post("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n")),
            ("501", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")),
            ("400", post("Transfer-Encoding: identity", "body")),
            ("400", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n")),
            ("400", post("Content-Length: 4\r\nTransfer-Encoding: xchunked", "0\r\n\r\n")),
            ("400", post("Content-Length: 4\r\nContent-Length: 4", "body")),
            ("400", post("Content-Length: 4\r\nContent-Length: 0", "body")),
            ("400", post(&length("4, 4"), "body")),
            ("400", post(&length("+4"), "body")),
            ("400", post(&length("0x4"), "body")),
            ("400", post(&length("4\u{a0}"), "body")),
            ("400", post("Content-Length : 4", "body")),
            ("400", post("Content-Length:\r\n 4", "body")),
            ("403", post("Content-Length: 4\r\nOrigin: http://evil.example", "body")),
            ("405", sized("body").replace("POST", "PUT")),
            ("405", sized("body").replace("echo", "status")),
            ("421", sized("body").replace("localhost", "evil.example")),
        ] {
            let before = served.refused();
            let answer = served.talk(&format!("{request}{STATUS}"));
            let start: String = request.chars().take(120).collect();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{start}:\n{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{start}:\n{answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{start}:\n{answer}");
            assert!(!answer.contains("100 Continue"), "{start}:\n{answer}");
            assert_eq!(served.refused(), before + 1, "{start}");
        }
        let answer = served.talk(&STATUS.replace("status", "echo"));
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
        assert!(answer.contains("\r\nAllow: POST\r\n"), "{answer}");
        // A request that may have two meanings is the last of its connection, with a body as well.
        let answer = served.talk(&format!("{}{STATUS}", sized("body").replace("\r\n", "\n")));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    });
}

#[test]
fn a_client_that_waits_with_its_body_is_told_to_send_it() {
    serving(|served| {
        let mut stream = served.connect(1);
        for _ in 0..2 {
            let head = post("Content-Length: 4\r\nExpect: 100-continue", "");
            stream.write_all(head.as_bytes()).unwrap();
            assert_eq!(until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
            stream.write_all(b"bo").unwrap();
            thread::sleep(Duration::from_millis(20));
            stream.write_all(b"dy").unwrap();
            let answer = until(&mut stream, "None body>");
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
        // It did not wait, or has nothing to send.
        for body in ["body", ""] {
            let expect = format!("Content-Length: {}\r\nExpect: 100-continue", body.len());
            stream.write_all(post(&expect, body).as_bytes()).unwrap();
            let answer = until(&mut stream, &format!("None {body}>"));
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    });
}

/// As with slow headers: others are served, every slow one is ended and counted.
#[test]
fn slow_bodies_hold_up_only_who_sends_them_and_are_ended() {
    serving(|served| {
        let begun = Instant::now();
        let mut slow: Vec<_> = (0..12).map(|_| served.connect(2)).collect();
        slow.extend((0..100).map(|number| served.connect(10 + number)));
        for stream in &mut slow {
            // Some have lost their place by now.
            let _ = stream.write_all(post(&format!("Content-Length: {MOST}"), "x").as_bytes());
        }
        // Bytes keep coming, to one connection none: each was refused as too slow, or lost its
        // place to another.
        let mut first = slow.remove(0);
        let mut answered = 0;
        while served.refused() < 112 {
            for stream in &mut slow {
                let _ = stream.write_all(b"x");
            }
            let asked = Instant::now();
            let answer = served.talk(&sized("me").replace("Host", "Connection: close\r\nHost"));
            assert!(answer.ends_with("<127.0.0.1 None me>"), "{answer}");
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
            answered += 1;
            assert!(begun.elapsed() < Duration::from_secs(20), "{} ended", served.refused());
            // Seldom enough not to count as greedy.
            thread::sleep(Duration::from_millis(300));
        }
        assert!(answered > 5, "{answered}");
        assert_eq!(served.refused(), 112);
        let ends: Vec<String> = slow.iter_mut().chain([&mut first]).map(rest).collect();
        let timed_out = ends.iter().filter(|end| end.starts_with("HTTP/1.1 408 ")).count();
        assert!(timed_out > 0, "{ends:?}");
        assert!(ends.iter().all(|end| !end.contains("HTTP/1.1 200")), "{ends:?}");
    });
}

#[test]
fn a_client_that_leaves_within_a_body_is_counted_as_refused_and_one_between_requests_is_not() {
    serving(|served| {
        for (sent, refused) in [
            (sized(""), 0),
            (post("Content-Length: 4", ""), 1),
            (post("Content-Length: 4", "bod"), 1),
        ] {
            let before = served.refused();
            let mut stream = served.connect(1);
            stream.write_all(format!("{}{sent}", sized("first")).as_bytes()).unwrap();
            until(&mut stream, "None first>");
            stream.shutdown(Shutdown::Write).unwrap();
            let answer = rest(&mut stream);
            assert_eq!(answer.contains("200 OK"), refused == 0, "{answer}");
            let deadline = Instant::now() + Duration::from_secs(10);
            while served.refused() < before + refused && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(served.refused(), before + refused, "{sent:?}");
        }
    });
}
