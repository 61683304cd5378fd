//! The daemon on real interfaces: known frames over a cable between two namespaces.
//!
//! These tests need root (namespaces, raw sockets) and fail without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "live/clock.rs"]
mod clock;
mod common;
mod made;
#[path = "live/names.rs"]
mod names;
#[path = "live/privileges.rs"]
mod privileges;
#[path = "live/reload.rs"]
mod reload;

use std::time::Duration;

use common::frames::{Expected, mixture};
use common::{Cable, Daemon, binary, directory, query, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;

fn pair(row: &Value) -> (u64, u64) {
    (row["packets"].as_u64().unwrap(), row["bytes"].as_u64().unwrap())
}

/// Compares the API's tables with what was sent, row by row.
fn assert_api_agrees(daemon: &Daemon<'_>, expected: &Expected) {
    let hosts = daemon.json("/api/v1/hosts?limit=0");
    let counted = hosts["hosts"].as_array().unwrap();
    assert_eq!(counted.len(), expected.hosts.len());
    for row in counted {
        let want = expected.hosts[row["addr"].as_str().unwrap()];
        let names = ["bytes_in", "bytes_out", "packets_in", "packets_out"];
        assert_eq!(names.map(|name| row[name].as_u64().unwrap()), want, "{row}");
    }
    assert_eq!(pair(&hosts["none"]), expected.not_ip);

    let ports = daemon.json("/api/v1/ports?limit=0");
    assert_eq!(ports["ports"].as_array().unwrap().len(), expected.ports.len());
    for row in ports["ports"].as_array().unwrap() {
        let key = (row["protocol"].as_str().unwrap().to_owned(), row["port"].as_u64().unwrap());
        assert_eq!(pair(row), expected.ports[&key], "{row}");
    }
    assert_eq!(pair(&ports["none"]), expected.without_port);

    let protocols = daemon.json("/api/v1/protocols");
    assert_eq!(protocols["protocols"].as_array().unwrap().len(), expected.protocols.len());
    for row in protocols["protocols"].as_array().unwrap() {
        assert_eq!(pair(row), expected.protocols[row["protocol"].as_str().unwrap()], "{row}");
    }

    let interfaces = daemon.json("/api/v1/interfaces");
    assert_eq!(pair(&interfaces["interfaces"][0]), (expected.packets, expected.bytes));
    assert_eq!(interfaces["interfaces"][0]["link_type"], "EN10MB");
    // A page's rows, its "other" and "none" add up to the same total.
    let page = daemon.json("/api/v1/hosts?limit=3&offset=2");
    let rows = page["hosts"].as_array().unwrap().iter().chain([&page["other"]]);
    let bytes: u64 = rows.map(|row| row["bytes_in"].as_u64().unwrap()).sum();
    assert_eq!(bytes + page["none"]["bytes"].as_u64().unwrap(), expected.bytes);
}

#[test]
fn known_traffic_agrees_in_api_and_database_to_the_byte() {
    let cable = Cable::new();
    let directory = directory();
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    let (frames, expected) = mixture(5_000);
    cable.send(&frames);

    let live = daemon.wait_for_frames(expected.packets);
    assert_eq!(live["totals"]["packets"], expected.packets);
    assert_eq!(live["totals"]["bytes"], expected.bytes);
    assert_eq!(live["drops"], serde_json::json!({ "kernel": 0, "interface": 0, "ring": 0 }));
    let (inward, outward) = (&live["totals"]["bytes_in"], &live["totals"]["bytes_out"]);
    let directed = inward.as_u64().unwrap() + outward.as_u64().unwrap();
    assert_eq!(directed + expected.not_ip.1, expected.bytes);
    assert_api_agrees(&daemon, &expected);

    assert_eq!(daemon.stop(), 0);
    let sum = |sql: &str| query(directory.path(), sql) as u64;
    assert_eq!(sum("SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'"), expected.bytes);
    assert_eq!(sum("SELECT sum(packets) FROM v_interface WHERE tier = 'minute'"), expected.packets);
    assert_eq!(sum("SELECT sum(bytes_in) FROM v_host WHERE tier = 'minute'"), expected.bytes);
    assert_eq!(sum("SELECT sum(bytes_out) FROM v_host WHERE tier = 'minute'"), expected.bytes);
    assert_eq!(sum("SELECT sum(bytes) FROM v_port WHERE tier = 'minute'"), expected.bytes);
    assert_eq!(sum("SELECT sum(bytes) FROM v_protocol WHERE tier = 'minute'"), expected.bytes);
    for (address, row) in &expected.hosts {
        let of = |column: &str| {
            sum(&format!(
                "SELECT sum({column}) FROM v_host WHERE tier = 'minute' AND address = '{address}'"
            ))
        };
        let names = ["bytes_in", "bytes_out", "packets_in", "packets_out"];
        assert_eq!(names.map(of), *row, "{address}");
    }
    for ((protocol, port), row) in &expected.ports {
        let of = |column: &str| {
            sum(&format!(
                "SELECT sum({column}) FROM v_port WHERE tier = 'minute' AND protocol = '{protocol}' AND port = {port}"
            ))
        };
        assert_eq!((of("packets"), of("bytes")), *row, "{protocol}/{port}");
    }
}

#[test]
fn history_goes_on_after_kill_9() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\"]\n[history]\ncommit = \"1min\"\n")
        .unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let (frames, expected) = mixture(2_000);

    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);
    // A minute must be closed and then committed.
    wait_for("the first minute to be written", 150, || {
        let written = daemon.json("/api/v1/status")["store"]["intervals_written"].as_u64();
        (written > Some(0)).then_some(())
    });
    cable.send(&frames[..500]);
    daemon.kill();

    assert_eq!(
        query(directory.path(), "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'") as u64,
        expected.bytes
    );
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);
    assert_eq!(daemon.stop(), 0);
    assert_eq!(
        query(directory.path(), "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'") as u64,
        2 * expected.bytes,
        "what was written before the kill and what came after it"
    );
    let path = directory.path().join("db/brightstat.db");
    let check: String = rusqlite::Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn an_interface_may_be_absent_go_down_and_come_back() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\", \"usb0\"]\n").unwrap();
    let mut daemon =
        Daemon::start(&cable.receiver, directory.path(), &["--config", config.to_str().unwrap()]);
    daemon.wait_for_log("rx: capturing");
    daemon.wait_for_log("usb0: there is no such interface");
    let (frames, expected) = mixture(300);
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);

    cable.receiver.ip("link set rx down");
    daemon.wait_for_log("rx: the interface is down");
    cable.receiver.ip("link set rx up");
    wait_for("rx to be captured again", 15, || {
        (daemon.log_text().matches("rx: capturing").count() == 2).then_some(())
    });
    cable.send(&frames);
    let live = daemon.wait_for_frames(2 * expected.packets);
    assert_eq!(live["totals"]["bytes"], 2 * expected.bytes);

    // Not a dummy interface: some kernels lack that module, and veth is needed anyway.
    cable.receiver.ip("link add usb0 type veth peer name usb1");
    cable.receiver.ip("link set usb1 up");
    cable.receiver.ip("link set usb0 up");
    daemon.wait_for_log("usb0: capturing");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_reload_takes_over_what_it_can_and_keeps_the_counts() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    write("[capture]\ninterfaces = [\"rx\"]\n");
    let mut daemon =
        Daemon::start(&cable.receiver, directory.path(), &["--config", config.to_str().unwrap()]);
    daemon.wait_for_log("rx: capturing");
    let (frames, expected) = mixture(300);
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);

    write("[capture]\nsnap_length = \"long\"\n");
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("brightstat.toml:2: capture.snap_length: expected a whole number");

    write(
        "[capture]\ninterfaces = [\"rx\"]\n[network]\nlocal = [\"198.51.100.0/24\", \"10.9.9.9/32\"]\n\
         [limits]\nhosts = 99\n",
    );
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("limits.hosts has changed; that takes a restart");
    daemon.wait_for_log("configuration reloaded");
    // Being local does not let a client in.
    cable.receiver.ip("addr add 10.9.9.9/32 dev lo");
    let status = || daemon.get_at("10.9.9.9", "/api/v1/status").0;
    assert_eq!(status(), 403);

    write(
        "[capture]\ninterfaces = [\"rx\"]\n[network]\nlocal = [\"198.51.100.0/24\"]\n\
         [web]\nallow = [\"10.9.9.9/32\"]\n",
    );
    daemon.signal(Signal::SIGHUP);
    wait_for("the second reload", 10, || (status() == 200).then_some(()));
    cable.send(&frames);
    let live = daemon.wait_for_frames(2 * expected.packets);
    assert_eq!(live["totals"]["bytes"], 2 * expected.bytes);
    let transit = live["totals"]["bytes_transit"].as_u64().unwrap();
    assert_eq!(transit, expected.bytes - expected.not_ip.1, "all of it is transit now");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_guard_turns_away_what_is_not_sound_and_goes_on() {
    let cable = Cable::new();
    let directory = directory();
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    let status = |request: &str| -> u16 {
        let answer = daemon.talk(request.as_bytes());
        answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    };
    assert_eq!(status("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 200);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n"), 400);
    assert_eq!(status("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 405);
    assert_eq!(
        status("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        400
    );
    assert_eq!(status("GET /api/v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 404);
    assert_eq!(status("GET /api/v1/hosts?limit=x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 400);
    let long = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(status(&long), 431);
    assert_eq!(status("\x16\x03\x01 TLS, perhaps\r\n\r\n"), 400);

    // Half-sent requests take slots, but not all, and not for long.
    let held: Vec<_> = cable.receiver.run(|| {
        let connect = |_| std::net::TcpStream::connect(("127.0.0.1", common::PORT)).unwrap();
        (0..100).map(connect).collect()
    });
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();
    assert!(threads < 64, "{threads} threads");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(status("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 200);
    drop(held);
    let counts = daemon.json("/api/v1/status");
    assert!(counts["web"]["requests_refused"].as_u64().unwrap() >= 84, "{counts}");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn root_is_given_up_but_for_the_right_to_capture() {
    let cable = Cable::new();
    let directory = directory();
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    assert_ne!(field("Uid:"), "0");
    assert_ne!(field("Gid:"), "0");
    // Bit 13 is CAP_NET_RAW (capabilities(7)).
    assert_eq!(u64::from_str_radix(&field("CapEff:"), 16).unwrap(), 1 << 13);
    assert_eq!(u64::from_str_radix(&field("CapPrm:"), 16).unwrap(), 1 << 13);
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(daemon.stop(), 0);
}

/// A socket that plays systemd's part, and the environment variable that points to it.
fn listen_as_systemd(directory: &std::path::Path) -> (std::os::unix::net::UnixDatagram, String) {
    let path = directory.join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (socket, format!("NOTIFY_SOCKET={}", path.display()))
}

fn hear(socket: &std::os::unix::net::UnixDatagram, wanted: &str) {
    let mut buffer = [0; 1_024];
    wait_for(wanted, 25, || {
        let length = socket.recv(&mut buffer).ok()?;
        String::from_utf8_lossy(&buffer[..length]).contains(wanted).then_some(())
    });
}

#[test]
fn systemd_hears_when_the_daemon_is_ready_alive_and_stopping() {
    let cable = Cable::new();
    let directory = directory();
    let (systemd, environment) = listen_as_systemd(directory.path());
    let program = ["env", &environment, "WATCHDOG_USEC=4000000", binary()];
    let arguments = ["--interface", "rx"];
    let daemon = Daemon::start_as(&program, &cable.receiver, directory.path(), &arguments);
    for wanted in ["READY=1", "STATUS=", "WATCHDOG=1"] {
        hear(&systemd, wanted);
    }
    daemon.signal(Signal::SIGTERM);
    hear(&systemd, "STOPPING=1");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn ready_means_that_what_comes_next_is_counted() {
    let cable = Cable::new();
    let directory = directory();
    let (systemd, environment) = listen_as_systemd(directory.path());
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\"]\n").unwrap();
    let program = ["env", &environment, binary()];
    let arguments = ["--config", config.to_str().unwrap()];
    let daemon = Daemon::start_as(&program, &cable.receiver, directory.path(), &arguments);
    let (frames, expected) = mixture(200);
    // Open before READY=1, so that the first frame follows it at once.
    cable.sender.run(|| {
        let mut out = pcap::Capture::from_device("send0").unwrap().open().unwrap();
        let mut send = || frames.iter().for_each(|frame| out.sendpacket(&frame[..]).unwrap());
        hear(&systemd, "READY=1");
        send();
        daemon.wait_for_frames(expected.packets);
        // Reopens the capture, with another buffer.
        std::fs::write(&config, "[capture]\ninterfaces = [\"rx\"]\nkernel_buffer = 1048576\n")
            .unwrap();
        daemon.signal(Signal::SIGHUP);
        hear(&systemd, "READY=1");
        send();
    });
    let live = daemon.wait_for_frames(2 * expected.packets);
    assert_eq!(pair(&live["totals"]), (2 * expected.packets, 2 * expected.bytes));
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_full_disk_stops_no_counting() {
    let cable = Cable::new();
    let directory = directory();
    let disk = directory.path().join("db");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=400k,mode=755", "none"])
        .arg(&disk)
        .status()
        .unwrap();
    assert!(mounted.success());
    struct Unmount<'a>(&'a std::path::Path);
    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let _unmount = Unmount(&disk);
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\"]\n[history]\ncommit = \"1min\"\n")
        .unwrap();
    let mut daemon =
        Daemon::start(&cable.receiver, directory.path(), &["--config", config.to_str().unwrap()]);
    daemon.wait_for_log("rx: capturing");
    let filler = disk.join("filler");
    let _ = std::fs::write(&filler, vec![0; 1 << 20]);
    let (frames, expected) = mixture(2_000);
    cable.send(&frames);
    wait_for("the store to notice", 150, || {
        let trouble = daemon.json("/api/v1/status")["store"]["trouble"].clone();
        (trouble == "the disk is full; make room").then_some(())
    });
    cable.send(&frames);
    let live = daemon.wait_for_frames(2 * expected.packets);
    assert_eq!(live["totals"]["bytes"], 2 * expected.bytes);
    std::fs::remove_file(&filler).unwrap();
    wait_for("the store to recover", 60, || {
        let trouble = daemon.json("/api/v1/status")["store"]["trouble"].clone();
        trouble.is_null().then_some(())
    });
    assert_eq!(daemon.stop(), 0);
    assert_eq!(
        query(directory.path(), "SELECT sum(bytes) FROM v_interface WHERE tier = 'minute'") as u64,
        2 * expected.bytes
    );
}
