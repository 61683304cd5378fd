//! Names from real interfaces: what the daemon's second handle hears.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::common::{Cable, Daemon, directory, wait_for};
use super::made;

/// An announcement by multicast DNS, sent by `sender`: this address is called `name`.
fn announcement(sender: [u8; 4], address: [u8; 4], name: &str) -> Vec<u8> {
    let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4]);
    message.extend(address);
    let mut frame = vec![1, 0, 0x5e, 0, 0, 0xfb, 2, 0, 0, 0, 0, sender[3], 8, 0];
    let length = (28 + message.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    // The sum of the header is not looked at here.
    frame.extend([0, 0, 0, 0, 255, 17, 0, 0]);
    frame.extend(sender);
    frame.extend([224, 0, 0, 251, 0x14, 0xe9, 0x14, 0xe9]);
    frame.extend((length - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(message);
    frame
}

fn named(daemon: &Daemon<'_>, address: &str) -> Value {
    daemon.json("/api/v1/names")["names"][address].clone()
}

#[test]
fn hosts_are_named_live_by_what_is_said_on_the_cable() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\"]\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: listening for names");
    let frames: Vec<Vec<u8>> = made::names::frames().into_iter().map(|frame| frame.bytes).collect();
    cable.send(&frames);
    let live = daemon.wait_for_frames(frames.len() as u64);
    assert_eq!(live["totals"]["packets"], frames.len());
    // The best name of each address that the frames name.
    for (address, name, source) in [
        ("192.168.1.10", "nas", "nbns"),
        ("192.168.1.20", "phone", "dhcp"),
        ("192.168.1.30", "tv.local", "mdns"),
        ("203.0.113.5", "hello.example.org", "tls"),
        ("fe80::211:22ff:fe33:4455", "six", "llmnr"),
    ] {
        let want = json!({ "name": name, "source": source });
        wait_for(&format!("{address} to be {name}"), 10, || {
            (named(&daemon, address) == want).then_some(())
        });
    }
    // A host speaks of itself, not of the router.
    cable.send(&[
        announcement([192, 168, 1, 66], [192, 168, 1, 1], "evil.local"),
        announcement([192, 168, 1, 66], [192, 168, 1, 66], "honest.local"),
    ]);
    wait_for("the host's own name", 10, || {
        (named(&daemon, "192.168.1.66")["name"] == "honest.local").then_some(())
    });
    assert_eq!(named(&daemon, "192.168.1.1"), Value::Null);
    // The owner wants fewer: a reload forgets all, and what comes next is sorted out.
    let set = |level: &str| {
        let text = format!("[capture]\ninterfaces = [\"rx\"]\n[names]\nlevel = \"{level}\"\n");
        std::fs::write(&config, text).unwrap();
        daemon.signal(Signal::SIGHUP);
        let want = json!({ "level": level, "names": {} });
        wait_for(&format!("the names to be forgotten for {level}"), 10, || {
            (daemon.json("/api/v1/names") == want).then_some(())
        });
    };
    set("local");
    cable.send(&frames);
    wait_for("the local name", 10, || {
        (named(&daemon, "192.168.1.30")["name"] == "tv.local").then_some(())
    });
    assert_eq!(named(&daemon, "203.0.113.5"), Value::Null);
    set("none");
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn a_flood_of_names_is_bounded_and_costs_no_count() {
    let cable = Cable::new();
    let directory = directory();
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &["--interface", "rx"]);
    daemon.wait_for_log("rx: listening for names");
    let frames: Vec<Vec<u8>> = (0..40_000_u32)
        .map(|number| {
            let [_, _, high, low] = number.to_be_bytes();
            let own = [10, 1, high, low];
            announcement(own, own, &format!("invented-{number}.local"))
        })
        .collect();
    cable.send(&frames);
    let counted = |daemon: &Daemon<'_>| {
        let live = daemon.json("/api/v1/live");
        let drops: u64 =
            live["drops"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        live["totals"]["packets"].as_u64().unwrap() + drops
    };
    wait_for("all frames to be counted or dropped", 30, || {
        (counted(&daemon) == frames.len() as u64).then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    let status = daemon.json("/api/v1/status")["names"].clone();
    let number = |key: &str| status[key].as_u64().unwrap();
    assert!(number("skipped") > 0 && number("packets") > 1_000, "{status}");
    assert!((1_000..=8_192).contains(&number("names")), "{status}");
    assert_eq!(counted(&daemon), frames.len() as u64);
    assert_eq!(daemon.stop(), 0);
}
