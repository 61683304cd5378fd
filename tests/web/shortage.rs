//! A lack of descriptors, and clients that abort: neither ends the listener.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use crate::common::{Cable, Daemon, PORT, directory, wait_for};
use crate::{assert_as_before, start};

/// Sets the descriptor limit of a daemon, 0 for plenty. Done as the daemon's own user, because root
/// may not everywhere.
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

    // Before the first request.
    limit_descriptors(&daemon, daemon.descriptors() + 4);
    assert_eq!(daemon.get("/").0, 200);
    let held = open(30);
    std::thread::sleep(Duration::from_millis(500));
    drop(held);
    limit_descriptors(&daemon, 0);
    wait_for("the first answer", 20, || (daemon.get("/").0 == 200).then_some(()));

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
