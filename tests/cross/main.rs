//! The programs for the Raspberry Pis, run on this machine by QEMU. `make test-cross` builds them
//! and these tests, and runs the tests.
//!
//! `qemu-arm-static -cpu arm1176` emulates the CPU of the first Pi and the Zero: a newer
//! instruction ends the program. The tests need root (namespaces), QEMU and binutils, and fail
//! without them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../made/mod.rs"]
mod made;

mod daemon;
mod inside;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;

/// A program and its runner on this machine.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    runner: &'static [&'static str],
}

impl Program {
    pub(crate) fn new(target: &str, runner: &'static [&'static str]) -> Program {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let path = root.join(target).join("release/brightstat");
        assert!(path.is_file(), "{}: not built; 'make test-cross' does that", path.display());
        Program { path, runner }
    }

    /// The native release program: the reference for the others. It contains the same version of
    /// libpcap, because versions differ in how they read damaged capture files.
    pub(crate) fn native() -> Program {
        Program::new("", &[])
    }

    pub(crate) fn command_line(&self) -> Vec<&str> {
        self.runner.iter().copied().chain([self.path.to_str().unwrap()]).collect()
    }

    pub(crate) fn command(&self) -> Command {
        let line = self.command_line();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).stdin(Stdio::null());
        command
    }
}

pub(crate) fn armv6() -> Program {
    Program::new("arm-unknown-linux-musleabihf", &["qemu-arm-static", "-cpu", "arm1176"])
}

pub(crate) fn aarch64() -> Program {
    Program::new("aarch64-unknown-linux-musl", &["qemu-aarch64-static", "-cpu", "cortex-a53"])
}

/// The captures of tests/made, written to this folder; and those of the foreign corpus, if
/// `BRIGHTSTAT_CORPUS` names it (tests/stages.sh sets it if the corpus exists).
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files = made::write(folder, &made::all());
    if let Some(corpus) = std::env::var_os("BRIGHTSTAT_CORPUS").filter(|name| !name.is_empty()) {
        let corpus = PathBuf::from(corpus);
        let before = files.len();
        for group in ["normal", "linktypes", "hostile"] {
            for entry in std::fs::read_dir(corpus.join(group)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "json") {
                    files.push(path);
                }
            }
        }
        assert!(files.len() - before >= 200, "the corpus is incomplete: {}", files.len() - before);
    }
    files.sort();
    files
}

fn report(program: &Program, file: &Path) -> Output {
    program.command().args(["report", "--json", "--top", "0"]).arg(file).output().unwrap()
}

/// The differences between a program's and the native one's account of every capture.
fn differences(program: &Program) -> (usize, Vec<String>) {
    let native = Program::native();
    let folder = tempfile::tempdir().unwrap();
    let queue = Mutex::new(captures(folder.path()));
    let (seen, wrong) = (Mutex::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(file) = { queue.lock().unwrap().pop() } {
            let (want, have) = (report(&native, &file), report(program, &file));
            let is_same = want.status.code() == have.status.code() && want.stdout == have.stdout;
            *seen.lock().unwrap() += 1;
            if !is_same {
                let text = format!(
                    "{}: exit {:?}, {} bytes; this machine's: exit {:?}, {} bytes; {}",
                    file.display(),
                    have.status.code(),
                    have.stdout.len(),
                    want.status.code(),
                    want.stdout.len(),
                    String::from_utf8_lossy(&have.stderr).trim()
                );
                wrong.lock().unwrap().push(text);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    (seen.into_inner().unwrap(), wrong.into_inner().unwrap())
}

fn assert_every_capture_is_reported_alike(program: &Program) {
    let (seen, wrong) = differences(program);
    println!("{}: {seen} captures, {} reported otherwise", program.path.display(), wrong.len());
    assert!(seen >= 100, "{seen} captures");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// This reveals a time_t of the wrong width: the length of every frame would read as 0.
#[test]
#[ignore = "make test-cross"]
fn the_first_pi_reports_every_capture_like_this_machine_to_the_byte() {
    assert_every_capture_is_reported_alike(&armv6());
}

#[test]
#[ignore = "make test-cross"]
fn the_64_bit_pi_reports_every_capture_like_this_machine_to_the_byte() {
    assert_every_capture_is_reported_alike(&aarch64());
}

#[test]
#[ignore = "make test-cross"]
fn every_program_names_its_target_and_the_same_commit() {
    let version = |program: &Program| {
        let output = program.command().arg("--version").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let of = |program: &Program, target: &str| {
        let text = version(program);
        let head = text.strip_suffix(&format!(", {target})\n"));
        head.unwrap_or_else(|| panic!("{text} does not end with {target}")).to_owned()
    };
    let native = of(&Program::native(), env!("BRIGHTSTAT_TARGET"));
    assert_eq!(of(&armv6(), "arm-unknown-linux-musleabihf"), native);
    assert_eq!(of(&aarch64(), "aarch64-unknown-linux-musl"), native);
}
