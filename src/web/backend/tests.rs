//! The connections to a server that answers well, late, or not at all.

use std::os::unix::net::UnixListener;
use std::thread;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn request(path: &str) -> Sound {
    Sound { text: format!("GET {path} HTTP/1.1\r\n\r\n"), is_head: false, is_long: false }
}

/// A server that answers each request with its own path, `/slow` after a while.
fn server(listener: UnixListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 1_024];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let path = text.split(' ').nth(1).unwrap();
                if path == "/broken" {
                    return;
                }
                if path.starts_with("/slow") {
                    thread::sleep(SECOND / 2);
                }
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len());
                stream.write_all(head.as_bytes()).unwrap();
                if text.starts_with("GET") {
                    stream.write_all(path.as_bytes()).unwrap();
                }
            }
        });
    }
}

fn backend() -> (tempfile::TempDir, Backend) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || server(listener));
    let backend = Backend::new(path);
    backend.make_ready().unwrap();
    assert_eq!(backend.lock().idle.iter().flatten().count(), CONNECTIONS);
    (directory, backend)
}

fn ask(backend: &Backend, path: &str) -> String {
    match backend.ask(&request(path), 20 * SECOND, |_| true) {
        Ok(answer) => String::from_utf8(answer).unwrap(),
        Err(_) => panic!("no answer"),
    }
}

fn expected(path: &str) -> String {
    let length = path.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{path}")
}

#[test]
fn connections_are_kept_and_each_answer_is_that_of_its_request() {
    let (_directory, backend) = backend();
    thread::scope(|scope| {
        for thread in 0..10 {
            let backend = &backend;
            scope.spawn(move || {
                for number in 0..200 {
                    let path = format!("/{thread}/{number}");
                    assert_eq!(ask(backend, &path), expected(&path));
                }
            });
        }
    });
    assert_eq!(backend.lock().idle.iter().flatten().count(), CONNECTIONS);
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_the_next_one() {
    let (_directory, backend) = backend();
    for _ in 0..CONNECTIONS {
        match backend.ask(&request("/slow"), SECOND / 10, |_| true) {
            Err(NoAnswer::Late(lease)) => lease.wait(),
            _ => panic!("it came in time"),
        }
    }
    for _ in 0..2 * CONNECTIONS {
        assert_eq!(ask(&backend, "/next"), expected("/next"));
    }
}

#[test]
fn an_answer_without_room_is_thrown_away() {
    let (_directory, backend) = backend();
    match backend.ask(&request("/large"), SECOND, |_| false) {
        Err(NoAnswer::NoRoom(lease)) => lease.wait(),
        _ => panic!("it was taken"),
    }
    assert_eq!(ask(&backend, "/next"), expected("/next"));
}

#[test]
fn a_broken_connection_is_made_anew() {
    let (_directory, backend) = backend();
    for _ in 0..2 * CONNECTIONS {
        assert!(matches!(
            backend.ask(&request("/broken"), SECOND, |_| true),
            Err(NoAnswer::Broken)
        ));
    }
    for _ in 0..2 * CONNECTIONS {
        assert_eq!(ask(&backend, "/next"), expected("/next"));
    }
}

#[test]
fn who_waits_in_vain_for_a_connection_is_told() {
    let (_directory, backend) = backend();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| assert_eq!(ask(&backend, "/slow"), expected("/slow")));
        }
        while !backend.lock().idle.is_empty() {
            thread::yield_now();
        }
        let answer = backend.ask(&request("/next"), SECOND / 100, |_| true);
        assert!(matches!(answer, Err(NoAnswer::Busy)));
    });
    assert_eq!(ask(&backend, "/next"), expected("/next"));
}
