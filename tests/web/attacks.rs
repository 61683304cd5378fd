//! Slow clients, two thousand at a time (slowhttptest), or from many addresses: others are served,
//! threads and memory stay bounded, and afterwards everything returns to normal.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::frames::crowd;
use crate::common::{Cable, Daemon, PORT, directory, wait_for};
use crate::{assert_as_before, start};

/// Connections of an attack.
const ATTACKERS: &str = "2000";
/// The duration of an attack, seconds.
const ATTACK_SECONDS: u64 = 12;
/// Threads that an attack may cost: web.connections_per_address for the attacker, the same for us,
/// and a few that are just ending.
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

/// Another client is served during the attack, and afterwards everything returns to normal.
fn assert_withstands(options: &[&str], least_refused: u64) {
    let cable = Cable::new();
    address(&cable, 1);
    let directory = directory();
    let daemon = start(&cable, directory.path());
    // Make the long answers some 200 kB.
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

const TARGET: &str = "http://10.66.0.1:667/";
const LONG: &str = "/api/v1/hosts?limit=1000";

#[test]
fn slow_headers_hold_up_only_who_sends_them() {
    assert_withstands(&["-H", "-i", "1", "-x", "24", "-u", TARGET], 1_000);
}

#[test]
fn slow_bodies_hold_up_only_who_sends_them() {
    for target in [TARGET, "http://10.66.0.1:667/api/v1/status"] {
        assert_withstands(&["-B", "-i", "1", "-s", "8192", "-x", "10", "-u", target], 1_000);
    }
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
        // Each slot is free only after its thread has ended: the first attempt may be too early.
        wait_for(&format!("an answer in round {round}"), 20, || {
            (daemon.get("/").0 == 200).then_some(())
        });
        // web.connections, those that lost their slots, and one being created. The kernel counts a
        // thread that has released its slot until it has run to its end, which takes a moment when
        // the processor is busy.
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

#[test]
fn a_crowd_that_asks_the_history_does_not_lock_out_others() {
    let cable = Cable::new();
    address(&cable, 1);
    for host in 10..74 {
        cable.sender.ip(&format!("addr add 10.66.0.{host}/24 dev send0"));
    }
    let directory = directory();
    let daemon = start(&cable, directory.path());
    let (threads, descriptors) = (daemon.proc_status("Threads"), daemon.descriptors());
    let attack =
        "GET /api/v1/history?what=hosts&points=500&top=100 HTTP/1.1\r\nHost: 10.66.0.1\r\n\r\n";
    let mut held = Vec::new();
    for round in 0..3 {
        cable.sender.run(|| {
            for number in 0..64 * 15 {
                let from = format!("10.66.0.{}:0", 10 + number % 64);
                let socket = nix::sys::socket::socket(
                    nix::sys::socket::AddressFamily::Inet,
                    nix::sys::socket::SockType::Stream,
                    nix::sys::socket::SockFlag::empty(),
                    None,
                )
                .unwrap();
                let from: nix::sys::socket::SockaddrIn =
                    from.parse::<std::net::SocketAddrV4>().unwrap().into();
                nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &from).unwrap();
                let to = std::net::SocketAddrV4::new([10, 66, 0, 1].into(), PORT);
                let to: nix::sys::socket::SockaddrIn = to.into();
                nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &to).unwrap();
                let mut stream = TcpStream::from(socket);
                let _ = stream.write_all(attack.as_bytes());
                held.push(stream);
            }
        });
        for path in ["/api/v1/pulse", "/api/v1/history"] {
            // Too early while threads of closed connections end. The refusal says to wait a second
            // (Retry-After); a client that retries all the time joins the crowd.
            wait_for(&format!("{path} in round {round}"), 20, || {
                let is_answered = daemon.get(path).0 == 200;
                if !is_answered {
                    std::thread::sleep(Duration::from_secs(1));
                }
                is_answered.then_some(())
            });
        }
        // web.connections, and threads that are ending; a few more until the kernel is done.
        let most = threads + 64 + 16 + 16;
        assert!(daemon.proc_status("Threads") <= most + 16);
    }
    drop(held);
    assert_as_before(&daemon, threads, descriptors);
    assert_eq!(daemon.stop(), 0);
}
