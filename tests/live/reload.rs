//! A reload changes everything requested or nothing, reports which, and loses no count.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::frames::mixture;
use crate::common::{Cable, Daemon, Namespace, binary, directory, query, wait_for};

/// Frames that the kernel has received on `rx`.
fn received(namespace: &Namespace) -> u64 {
    let text = namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = text.lines().find_map(|line| line.trim().strip_prefix("rx:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn counted_and_dropped(daemon: &Daemon<'_>) -> (u64, u64) {
    let live = daemon.json("/api/v1/live?top=0");
    let drops = live["drops"].as_object().unwrap().values();
    (live["totals"]["packets"].as_u64().unwrap(), drops.map(|n| n.as_u64().unwrap()).sum())
}

fn write(config: &Path, capture: &str) {
    std::fs::write(config, format!("[capture]\ninterfaces = [\"rx\"]\n{capture}")).unwrap();
}

/// Once, a capture that a reload reopened forgot its drops: 17,574 dropped frames became 0, in the
/// status, in the history and in the database.
#[test]
fn whatever_is_reloaded_under_load_received_is_counted_and_dropped() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    write(&config, "kernel_buffer = \"512KiB\"\nring = 1024\n");
    let arguments = ["--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");
    let before = received(&cable.receiver);
    let (frames, _) = mixture(500);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            cable.sender.run(|| {
                let mut out = pcap::Capture::from_device("send0").unwrap().open().unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    for frame in &frames {
                        // With a full queue the frame was not sent, which is just as good.
                        let _ = out.sendpacket(&frame[..]);
                    }
                }
            });
        });
        let reload = |capture: &str, times: usize| {
            write(&config, capture);
            daemon.signal(Signal::SIGHUP);
            wait_for(&format!("reload {times} to: {capture}"), 15, || {
                let log = daemon.log_text();
                (log.matches("configuration reloaded").count() == times).then_some(())
            });
        };
        // A stopped daemon drops frames on any machine.
        daemon.signal(Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(700));
        daemon.signal(Signal::SIGCONT);
        wait_for("drops", 10, || (counted_and_dropped(&daemon).1 > 0).then_some(()));
        reload("kernel_buffer = \"600KiB\"\n", 1);
        reload("kernel_buffer = \"600KiB\"\nsnap_length = 96\n", 2);
        reload("kernel_buffer = \"512KiB\"\npromiscuous = false\n", 3);
        daemon.signal(Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(700));
        daemon.signal(Signal::SIGCONT);
        reload("kernel_buffer = \"8MiB\"\nfilter = \"not port 1\"\n", 4);
        is_over.store(true, Ordering::Relaxed);
    });
    let sent = wait_for("the last frame to arrive", 10, || {
        let sent = received(&cable.receiver) - before;
        thread::sleep(Duration::from_millis(300));
        (sent == received(&cable.receiver) - before).then_some(sent)
    });
    let sum = |(counted, dropped): (u64, u64)| counted + dropped;
    wait_for("all to be counted", 20, || (sum(counted_and_dropped(&daemon)) >= sent).then_some(()));
    // Anything counted twice would appear late.
    thread::sleep(Duration::from_millis(1_500));
    let (counted, dropped) = counted_and_dropped(&daemon);
    assert_eq!(counted + dropped, sent, "{counted} counted, {dropped} dropped");
    assert!(dropped > 0 && counted > 0);
    assert_eq!(daemon.stop(), 0);
    let written = |what: &str| {
        query(directory.path(), &format!("SELECT {what} FROM v_interface WHERE tier = 'minute'"))
            as u64
    };
    assert_eq!((written("sum(packets)"), written("sum(dropped)")), (counted, dropped));
}

#[test]
fn an_interface_that_is_taken_out_is_no_longer_waited_for_and_keeps_its_counts() {
    let cable = Cable::new();
    cable.receiver.ip("link add usb0 type veth peer name usb1");
    cable.receiver.ip("link set usb1 up");
    cable.receiver.ip("link set usb0 up");
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"rx\", \"usb0\", \"usb9\"]\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");
    daemon.wait_for_log("usb0: capturing");
    let (frames, expected) = mixture(300);
    cable.send(&frames);
    daemon.wait_for_frames(expected.packets);
    let waiting = || daemon.json("/api/v1/pulse")["waiting"].clone();
    assert_eq!(waiting(), serde_json::json!(["usb9"]));

    let set = |interfaces: &str, waits: &[&str]| {
        std::fs::write(&config, format!("[capture]\ninterfaces = {interfaces}\n")).unwrap();
        daemon.signal(Signal::SIGHUP);
        let waits = serde_json::json!(waits);
        wait_for(&format!("{waits} to be waited for"), 10, || (waiting() == waits).then_some(()));
    };
    set("[\"rx\", \"usb0\"]", &[]);
    set("[\"usb0\"]", &[]);
    let rx = wait_for("rx to be left", 10, || {
        let rows = daemon.json("/api/v1/interfaces")["interfaces"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["name"] == "rx" && row["is_watched"] == false)
    });
    assert_eq!(rx["packets"], expected.packets);
    set("[\"usb0\", \"rx\", \"usb9\"]", &["usb9"]);
    cable.send(&frames);
    let live = daemon.wait_for_frames(2 * expected.packets);
    assert_eq!(live["totals"]["bytes"], 2 * expected.bytes);
    assert_eq!(daemon.stop(), 0);
}

fn run(program: &str, arguments: &[&str], environment: &str) -> Output {
    let mut command = std::process::Command::new("env");
    command.arg(environment).arg(program).args(arguments).output().unwrap()
}

fn notices(daemon: &Daemon<'_>) -> Vec<Value> {
    daemon.json("/api/v1/status")["notices"].as_array().unwrap().clone()
}

/// The limit that leaves a daemon exactly one free descriptor while it has no connections.
fn one_more_descriptor(daemon: &Daemon<'_>) -> usize {
    let numbers = || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut numbers: Vec<usize> =
            entries.map(|entry| name(entry).to_str().unwrap().parse().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    let numbers = wait_for("the last connection to end", 20, || {
        let before = numbers();
        thread::sleep(Duration::from_millis(1_500));
        (before == numbers()).then_some(before)
    });
    let free = (0..).find(|number| !numbers.contains(number)).unwrap();
    free + 1
}

/// Once, a bad filter passed `check-config` and `reload`, and then nothing was captured any more.
#[test]
fn what_cannot_be_put_in_force_leaves_the_old_configuration_in_force_and_is_told() {
    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    let runtime = directory.path().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o777)).unwrap();
    let environment = format!("RUNTIME_DIRECTORY={}", runtime.display());
    write(&config, "");
    let program = ["env", &environment, binary()];
    let path = config.to_str().unwrap();
    let mut daemon =
        Daemon::start_as(&program, &cable.receiver, directory.path(), &["--config", path]);
    daemon.wait_for_log("rx: capturing");
    let (frames, expected) = mixture(300);
    let mut times = 0;
    let mut still_counts = |daemon: &Daemon<'_>| {
        times += 1;
        cable.send(&frames);
        let live = daemon.wait_for_frames(times * expected.packets);
        assert_eq!(live["totals"]["packets"], times * expected.packets);
    };
    still_counts(&daemon);

    write(&config, "filter = \"not prot 22\"\n");
    let pid = daemon.pid().to_string();
    let reload = || run(binary(), &["reload", &pid, "--config", path], &environment);
    for output in [run(binary(), &["check-config", path], &environment), reload()] {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{message}");
        assert!(
            message.contains("brightstat.toml:3: capture.filter: \"not prot 22\""),
            "{message}"
        );
    }
    // After the bare signal, the daemon finds the mistake itself.
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("capture.filter: \"not prot 22\"");
    wait_for("the page to tell", 10, || {
        let notices = notices(&daemon);
        notices.iter().any(|n| n.as_str().unwrap().contains("not prot 22")).then_some(())
    });
    still_counts(&daemon);

    // Valid as such, but the daemon has one descriptor left: enough to read the configuration and
    // to answer, too few to reopen the interface.
    write(&config, "kernel_buffer = \"1MiB\"\n[history]\ncommit = \"7min\"\n");
    let limit = |most: &str| {
        // The same user may do this; root without CAP_SYS_RESOURCE may not.
        let [user, group] = ["Uid", "Gid"].map(|key| daemon.proc_status(key).to_string());
        let who = ["--reuid", &user, "--regid", &group, "--clear-groups", "prlimit"];
        let what = ["--pid", &pid, &format!("--nofile={most}:")];
        let output = run("setpriv", &[&who[..], &what[..]].concat(), "LC_ALL=C");
        assert!(output.status.success(), "{output:?}");
    };
    limit(&one_more_descriptor(&daemon).to_string());
    let output = reload();
    limit("1024");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{message}");
    assert!(message.contains("rx: cannot capture") && message.contains("goes on"), "{message}");
    assert_eq!(notices(&daemon).len(), 1);
    still_counts(&daemon);

    let output = reload();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(notices(&daemon), Vec::<Value>::new());
    still_counts(&daemon);
    assert_eq!(daemon.stop(), 0);
}
