//! The web server under attack, and its answers to odd requests.
//!
//! These tests need root (namespaces) and slowhttptest, and fail without them. Nothing leaves the
//! namespaces. They do not measure speed; they only assert that things happen at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod attacks;
mod shortage;
mod staying;

use std::path::Path;

use common::{Cable, Daemon, wait_for};

fn start<'a>(cable: &'a Cable, directory: &Path) -> Daemon<'a> {
    let mut daemon = Daemon::start(&cable.receiver, directory, &["--interface", "rx"]);
    daemon.wait_for_log("rx: capturing");
    assert_eq!(daemon.get("/").0, 200);
    wait_for("the first snapshot", 10, || {
        (daemon.json("/api/v1/live")["number"].as_u64() > Some(1)).then_some(())
    });
    daemon
}

/// Threads and descriptors return to their previous numbers. The store may hold one descriptor more
/// or less.
fn assert_as_before(daemon: &Daemon<'_>, threads: u64, descriptors: usize) {
    wait_for("threads and descriptors to be given back", 60, || {
        let is_back =
            daemon.proc_status("Threads") <= threads && daemon.descriptors() <= descriptors + 1;
        is_back.then_some(())
    });
    assert_eq!(daemon.get("/").0, 200);
}
