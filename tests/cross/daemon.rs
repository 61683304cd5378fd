//! The Pis' daemon under QEMU: opens a database, answers from it, serves the page, stops.
//!
//! QEMU's user-mode emulation has no packet sockets, so nothing can be captured here. The native
//! program has recorded the history from a cable: a home's traffic. `make test-boot` boots a whole
//! machine, which captures.

use std::path::Path;
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::common::{Cable, Daemon, directory};
use super::{Program, aarch64, armv6, made};

fn frames() -> Vec<Vec<u8>> {
    made::home::frames().into_iter().map(|frame| frame.bytes).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Records the capture with the native program. Returns the time span, for questions.
fn record(cable: &Cable, directory: &Path) -> String {
    let begin = now();
    let native = Program::native();
    let line = native.command_line();
    let arguments = ["--interface", "rx"];
    let mut daemon = Daemon::start_as(&line, &cable.receiver, directory, &arguments);
    daemon.wait_for_log("rx: capturing");
    let frames = frames();
    cable.send(&frames);
    daemon.wait_for_frames(frames.len() as u64);
    assert_eq!(daemon.stop(), 0);
    format!("from=@{begin}&to=@{}", now() + 1)
}

/// The page, and the API's answers for the recorded time, in every form.
fn answers(daemon: &Daemon<'_>, span: &str) -> Vec<(String, String)> {
    let mut paths = vec!["/".to_owned()];
    for what in ["interfaces", "hosts", "ports", "protocols"] {
        for by in ["none", "minute", "auto"] {
            paths.push(format!("/api/v1/history?what={what}&{span}&by={by}&tz=utc&top=100"));
        }
    }
    let answer = |path: String| {
        let (status, body) = daemon.get(&path);
        assert_eq!(status, 200, "{path}: {body}");
        (path, body)
    };
    paths.into_iter().map(answer).collect()
}

/// Runs a program's daemon on a copy of the database, and returns its answers.
fn serve(program: &Program, cable: &Cable, recorded: &Path, span: &str) -> Vec<(String, String)> {
    let directory = directory();
    let database = directory.path().join("db/brightstat.db");
    copy(program, recorded, &database);
    let line = program.command_line();
    // Nothing may be added to the recording.
    let config = directory.path().join("brightstat.toml");
    std::fs::write(&config, "[capture]\ninterfaces = [\"absent0\"]\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let mut daemon = Daemon::start_as(&line, &cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("the page is at");
    let answers = answers(&daemon, span);
    let status = daemon.json("/api/v1/status");
    assert_eq!(status["store"]["trouble"], Value::Null, "{status}");
    assert!(status["memory_resident_bytes"].as_u64() > Some(1 << 20), "{status}");
    let log = daemon.log.clone();
    assert_eq!(daemon.stop(), 0, "SIGTERM");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("stopped; all counts are written"), "{log}");
    let checked = run(program, &["db", "check", "--database", database.to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
    answers
}

fn run(program: &Program, arguments: &[&str]) -> Output {
    program.command().args(arguments).output().unwrap()
}

/// Copies a database with the program's own `backup`, so that it writes one as well.
fn copy(program: &Program, from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let output = run(program, &["backup", "--database", from, to]);
    assert!(output.status.success(), "{output:?}");
}

fn assert_answers_like_this_machine(program: &Program) {
    let cable = Cable::new();
    let directory = directory();
    let span = record(&cable, directory.path());
    let recorded = directory.path().join("db/brightstat.db");
    let want = serve(&Program::native(), &cable, &recorded, &span);
    let have = serve(program, &cable, &recorded, &span);
    let hosts = want.iter().find(|(path, _)| path.contains("hosts")).unwrap();
    let hosts: Value = serde_json::from_str(&hosts.1).unwrap();
    assert_eq!(hosts["count"], 70, "was the capture recorded? {hosts}");
    for ((path, want), (_, have)) in want.iter().zip(&have) {
        assert_eq!(have, want, "{path}");
    }

    // The command line reads it, too.
    let database = recorded.to_str().unwrap();
    for what in ["interfaces", "hosts", "ports", "protocols"] {
        let arguments =
            ["query", what, "--database", database, "--tz", "utc", "--csv", "--top", "100"];
        let (want, have) = (run(&Program::native(), &arguments), run(program, &arguments));
        assert!(want.status.success() && want.stdout.len() > 100, "{want:?}");
        assert_eq!(
            String::from_utf8_lossy(&have.stdout),
            String::from_utf8_lossy(&want.stdout),
            "{what}: {have:?}"
        );
    }
}

#[test]
#[ignore = "make test-cross"]
fn the_daemon_of_the_first_pi_answers_and_stops_like_this_machines() {
    assert_answers_like_this_machine(&armv6());
}

#[test]
#[ignore = "make test-cross"]
fn the_daemon_of_the_64_bit_pi_answers_and_stops_like_this_machines() {
    assert_answers_like_this_machine(&aarch64());
}
