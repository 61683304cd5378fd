//! The answers to requests: odd ones, HEAD, compressed ones, and the pulse.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::common::frames::mixture;
use crate::common::{Cable, Daemon, PORT, directory, wait_for};
use crate::start;

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
    let head = "HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
    let get = |path: &str| format!("GET {path} {head}\r\n");
    let with = |header: &str| format!("GET / {head}{header}\r\n\r\n");
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
        ("400 Bad Request", with("Content-Length: 0\r\nContent-Length: 0")),
        ("400 Bad Request", with("Content-Length: 00")),
        ("400 Bad Request", with("Content-Length: 0\u{a0}")),
        ("400 Bad Request", with("Content-Length: 0\r\nTransfer-Encoding: chunked")),
        ("400 Bad Request", with("Content-Length: 99999999999999999999999")),
        ("400 Bad Request", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".into()),
        ("405 Method Not Allowed", post.replace("POST /", "POST /api/v1/status")),
        ("405 Method Not Allowed", post.replace("POST /", "PUT /api/v1/nothing")),
        ("405 Method Not Allowed", post.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")),
        (
            "405 Method Not Allowed",
            post.replace("Content-Length: 100000", "Transfer-Encoding: chunked"),
        ),
        ("405 Method Not Allowed", post.replace("\r\n\r\n", "\r\nOrigin: null\r\n\r\n")),
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

/// A decompressed answer, and its size on the wire, head included.
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
        // The hosts are those of the last second: rows + other + not IP = its total.
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

#[test]
fn what_a_host_does_is_all_of_its_traffic() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (frames, expected) = mixture(2_000);
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);
    let hosts = daemon.json("/api/v1/hosts?limit=20");
    let mut named = 0;
    for host in hosts["hosts"].as_array().unwrap() {
        let address = host["addr"].as_str().unwrap();
        let answer = daemon.json(&format!("/api/v1/hosts?name={address}"));
        let services = answer["services"].as_array().unwrap();
        for key in ["bytes_in", "bytes_out", "packets_in", "packets_out"] {
            let of = |row: &Value| row[key].as_u64().unwrap();
            let all = services.iter().map(of).sum::<u64>() + of(&answer["other_services"]);
            assert_eq!(all, of(&answer["hosts"][0]), "{address}: {key}");
        }
        for service in services {
            let protocol = service["protocol"].as_str().unwrap();
            let has_ports = ["tcp", "udp", "sctp"].contains(&protocol);
            assert!(has_ports || service["port"].is_null(), "{service}");
            named += 1;
        }
    }
    assert!(named >= 20, "{named} rows");
    let nobody = daemon.json("/api/v1/hosts?name=192.0.2.255");
    assert_eq!(nobody["services"].as_array().unwrap().len(), 0, "{nobody}");
    assert_eq!(nobody["other_services"]["packets_in"], 0);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn who_is_let_in_follows_the_addresses_of_the_interfaces_and_not_what_is_private() {
    let cable = Cable::new();
    let directory = directory();
    let daemon = start(&cable, directory.path());
    // Private and shared addresses, on no interface that counts as near (lo does not).
    for address in ["10.99.0.1", "192.168.99.1", "172.16.99.1", "169.254.99.1", "100.99.0.1"] {
        cable.receiver.ip(&format!("addr add {address}/32 dev lo"));
        let (status, body) = daemon.get_at(address, "/");
        assert_eq!(status, 403, "{address}");
        assert!(body.contains("web.allow"), "{body}");
    }
    // The watched interface gets addresses, as from DHCP; a provider's shared one admits nobody.
    cable.receiver.ip("addr add 100.70.0.1/10 dev rx");
    cable.receiver.ip("addr add 198.51.100.7/24 dev rx");
    wait_for("the new network to be let in", 30, || {
        (daemon.get_at("198.51.100.7", "/").0 == 200).then_some(())
    });
    assert_eq!(daemon.get_at("100.70.0.1", "/").0, 403);
    cable.receiver.ip("addr del 198.51.100.7/24 dev rx");
    cable.receiver.ip("addr add 198.51.100.7/32 dev lo");
    wait_for("the old network to be refused", 30, || {
        (daemon.get_at("198.51.100.7", "/").0 == 403).then_some(())
    });
    assert_eq!(daemon.stop(), 0);
}
