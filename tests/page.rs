//! The page in a real browser, against a daemon that gets a home's traffic (tests/made/home.rs).
//!
//! This test needs root (namespaces, raw sockets), Node.js and Chromium, and fails without them.
//! The checks themselves are in src/web/ui/test/page.mjs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod made;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{Cable, Daemon, directory};

#[test]
fn the_page_shows_what_was_captured_and_can_be_used() {
    let made = tempfile::tempdir().unwrap();
    let capture = made::write(made.path(), &[made::home::capture()]).remove(0);
    let frames: Vec<Vec<u8>> = made::home::frames().into_iter().map(|frame| frame.bytes).collect();

    let cable = Cable::new();
    let directory = directory();
    let config = directory.path().join("brightstat.toml");
    std::fs::write(
        &config,
        // The whole capture arrives within a second or two. Every pair of host and service must be
        // named, so that the page's sums can be compared with the truth.
        "[capture]\ninterfaces = [\"rx\"]\n[network]\nlocal = [\"192.168.0.0/16\"]\n\
         [history]\nservices_per_interval = 1000\n",
    )
    .unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let start = || {
        let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
        daemon.wait_for_log("rx: capturing");
        daemon
    };
    let running = start();
    cable.send(&frames);
    running.wait_for_frames(frames.len() as u64);
    let mut daemon = Some(running);

    let mut browser = cable
        .receiver
        .command("node")
        .arg("src/web/ui/test/page.mjs")
        .env("PAGE_URL", format!("http://127.0.0.1:{}/", common::PORT))
        .env("PAGE_TRUTH", format!("{}.truth.json", capture.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs node (make test installs it)");
    let mut input = browser.stdin.take().unwrap();
    let mut said = String::new();
    for line in BufReader::new(browser.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.as_str() {
            "daemon: stop" => assert_eq!(daemon.take().map(Daemon::stop), Some(0)),
            "daemon: start" => daemon = Some(start()),
            _ => {
                println!("{line}");
                said.push_str(&line);
                said.push('\n');
                continue;
            }
        }
        writeln!(input, "done").unwrap();
    }
    assert!(browser.wait().unwrap().success(), "{said}");
    assert!(said.contains("all is well"), "{said}");
    assert_eq!(daemon.map(Daemon::stop), Some(0));
}
