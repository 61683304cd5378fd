//! The command line: its output and exit codes. Needs root, as `run` does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/history.rs"]
mod history;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use brightstat::store::{Status, Store};
use common::{binary, frames::mixture};
use serde_json::Value;

fn brightstat(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Asserts the exit code, and that standard error has one line of ours with all these words.
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let own: Vec<&str> = message.lines().filter(|line| line.starts_with("brightstat: ")).collect();
    assert_eq!(own.len(), 1, "{message}");
    for word in words {
        assert!(own[0].contains(word), "'{word}' is not in: {}", own[0]);
    }
}

/// The variant of a classic capture file.
#[derive(Clone, Copy)]
struct Format {
    big_endian: bool,
    nanoseconds: bool,
}

/// A capture file with these frames, one each millisecond from 2026-01-01 on.
fn capture(directory: &Path, name: &str, frames: &[Vec<u8>], format: Format) -> PathBuf {
    let word = |n: u32| if format.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if format.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut file = Vec::new();
    file.extend(word(if format.nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }));
    file.extend([half(2), half(4)].concat());
    file.extend([word(0), word(0), word(65_535), word(1)].concat());
    for (n, frame) in frames.iter().enumerate() {
        let unit = if format.nanoseconds { 1_000_000 } else { 1_000 };
        let (seconds, fraction) = (1_767_225_600 + n as u32 / 1_000, n as u32 % 1_000 * unit);
        let length = frame.len() as u32;
        file.extend([word(seconds), word(fraction), word(length), word(length)].concat());
        file.extend(frame);
    }
    let path = directory.join(name);
    fs::write(&path, file).unwrap();
    path
}

const PLAIN: Format = Format { big_endian: false, nanoseconds: false };

fn report(arguments: &[&str]) -> Value {
    let output = brightstat(&[&["report", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_format_of_a_capture_gives_the_same_account() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(1_000);
    for (big_endian, nanoseconds) in [(false, false), (false, true), (true, false), (true, true)] {
        let format = Format { big_endian, nanoseconds };
        let path = capture(directory.path(), "x.pcap", &frames, format);
        let report = report(&["--top", "0", path.to_str().unwrap()]);
        assert_eq!(report["frames"], expected.packets);
        assert_eq!(report["bytes"], expected.bytes);
        assert_eq!(report["captured_bytes"], expected.bytes);
        assert_eq!(report["first"], "2026-01-01T00:00:00.000000000Z");
        assert_eq!(report["last"], "2026-01-01T00:00:00.999000000Z");
        assert_eq!(report["hosts"].as_array().unwrap().len(), expected.hosts.len());
        assert_eq!(report["other"], serde_json::json!({}));
        assert_eq!(report["interfaces"][0]["link_type"], "EN10MB");
    }
}

#[test]
fn standard_input_and_several_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(400);
    let path = capture(directory.path(), "x.pcap", &frames, PLAIN);
    let path = path.to_str().unwrap();
    let output = Command::new(binary())
        .args(["report", "--json", "-"])
        .stdin(fs::File::open(path).unwrap())
        .output()
        .unwrap();
    let piped: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(piped["bytes"], expected.bytes);
    let twice = report(&[path, path]);
    assert_eq!(twice["bytes"], 2 * expected.bytes);
}

#[test]
fn the_top_rows_and_the_other_row_add_up_to_all() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(3_000);
    let path = capture(directory.path(), "x.pcap", &frames, PLAIN);
    for bound in [["--top", "5"], ["--max-hosts", "16"]] {
        let report = report(&[&bound[..], &[path.to_str().unwrap()]].concat());
        let rows = report["hosts"].as_array().unwrap();
        assert!(rows.len() <= 16);
        for (name, none) in [("bytes_in", "bytes"), ("packets_out", "packets")] {
            let sum: u64 = rows.iter().map(|row| row[name].as_u64().unwrap()).sum();
            let other = report["other"]["hosts"][name].as_u64().unwrap();
            let none = report["none"]["hosts"][none].as_u64().unwrap();
            let all = if none == expected.not_ip.1 { expected.bytes } else { expected.packets };
            assert_eq!(sum + other + none, all, "{bound:?} {name}");
        }
    }
}

#[test]
fn given_local_prefixes_decide_the_direction() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(1_000);
    let path = capture(directory.path(), "x.pcap", &frames, PLAIN);
    let path = path.to_str().unwrap();
    let inward = |report: &Value| report["directions"]["in"]["bytes"].as_u64().unwrap();
    let usual = report(&[path]);
    let turned = report(&["--local", "203.0.113.0/24", path]);
    assert!(inward(&usual) > 0);
    assert_eq!(usual["directions"]["in"], turned["directions"]["out"]);
    assert_eq!(usual["directions"]["out"], turned["directions"]["in"]);
    let both = report(&["--local", "203.0.113.0/24", "--local", "192.168.7.0/24", path]);
    assert_eq!(both["directions"]["internal"]["bytes"], expected.bytes - expected.not_ip.1);
    let neither = report(&["--local", "198.51.100.7", path]);
    assert_eq!(neither["directions"]["transit"]["bytes"], expected.bytes - expected.not_ip.1);
}

#[test]
fn the_tables_for_people_show_the_same_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(1_000);
    let path = capture(directory.path(), "x.pcap", &frames, PLAIN);
    let output = brightstat(&["report", path.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes = brightstat::export::table::grouped(expected.bytes);
    assert!(text.starts_with(&format!("1 000 frames, {bytes} bytes")), "{text}");
    for word in ["Host", "192.168.7.", "443/tcp", "(not IP)", "internal", "(other)"] {
        assert_eq!(text.contains(word), word != "internal", "{word}: {text}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_counted_up_to_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, _) = mixture(100);
    let path = capture(directory.path(), "cut.pcap", &frames, PLAIN);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let output = brightstat(&["report", "--json", path.to_str().unwrap()]);
    assert_fails(&output, 65, &["cut.pcap", "truncated", "before that are counted"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"], 99);
    assert!(report["problems"][0].as_str().unwrap().contains("cut.pcap"));
}

#[test]
fn a_link_type_that_is_not_decoded_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = capture(directory.path(), "usb.pcap", &mixture(100).0, PLAIN);
    let mut file = fs::read(&path).unwrap();
    file[20] = 189;
    fs::write(&path, &file).unwrap();
    let name = path.to_str().unwrap();
    let output = brightstat(&["report", "--json", name]);
    assert_fails(&output, 0, &["usb.pcap", "USB_LINUX", "not decoded"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interfaces"][0]["is_decoded"], false);
    assert!(report["notices"][0].as_str().unwrap().contains("USB_LINUX"));
    assert_eq!((&report["problems"], &report["frames"]), (&serde_json::json!([]), &100.into()));
    let text = brightstat(&["report", name]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("USB_LINUX (not decoded)"));
    fs::write(&path, &file[..file.len() - 5]).unwrap();
    let output = brightstat(&["report", "--json", name]);
    assert_fails(&output, 65, &["usb.pcap", "truncated", "counted, but not decoded"]);
    // All other link types here are decoded.
    let path = capture(directory.path(), "eth.pcap", &mixture(100).0, PLAIN);
    let output = brightstat(&["report", "--json", path.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interfaces"][0]["is_decoded"], true);
    assert_eq!(report["notices"], serde_json::json!([]));
}

#[test]
fn what_cannot_be_read_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "These are notes, not frames. ".repeat(10)).unwrap();
    let output = brightstat(&["report", path.to_str().unwrap()]);
    assert_fails(&output, 65, &["notes.txt", "not a capture file", "pcap and pcapng"]);
    assert_fails(&brightstat(&["report", "/no/such.pcap"]), 66, &["/no/such.pcap", "no such file"]);
    let output = brightstat(&["report", directory.path().to_str().unwrap()]);
    assert_fails(&output, 66, &["is a directory"]);
    // An empty file is not a capture either.
    fs::write(&path, "").unwrap();
    assert_fails(&brightstat(&["report", path.to_str().unwrap()]), 65, &["notes.txt"]);
}

#[test]
fn a_good_file_is_reported_even_if_another_is_bad() {
    let directory = tempfile::tempdir().unwrap();
    let (frames, expected) = mixture(50);
    let path = capture(directory.path(), "x.pcap", &frames, PLAIN);
    let output = brightstat(&["report", "--json", "/no/such.pcap", path.to_str().unwrap()]);
    assert_fails(&output, 66, &["/no/such.pcap"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["bytes"], expected.bytes);
}

#[test]
fn wrong_usage_ends_with_64_and_says_what_is_right() {
    for arguments in [&["report"][..], &["fly"], &["report", "--top", "many", "x"], &[]] {
        let output = brightstat(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("--help"), "{message}");
    }
    let output = brightstat(&["report", "--local", "300.1.2.3/8", "x"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected a prefix"));
    assert!(brightstat(&["--help"]).status.success());
}

#[test]
fn the_version_tells_what_the_program_was_built_from_and_for() {
    let told = |option| String::from_utf8(brightstat(&[option]).stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(told("-V"), format!("brightstat {version}\n"));

    // cargo sets the build script's variables for tests as well.
    let (commit, target) = (env!("BRIGHTSTAT_BUILT_FROM"), env!("BRIGHTSTAT_TARGET"));
    assert_eq!(told("--version"), format!("brightstat {version} ({commit}, {target})\n"));
    assert!(target.starts_with(std::env::consts::ARCH), "{target}");
    let hex = commit.trim_end_matches("-dirty");
    let is_hash = hex.len() >= 12 && hex.chars().all(|c| c.is_ascii_hexdigit());
    assert!(is_hash || std::env::var_os("BRIGHTSTAT_COMMIT").is_some(), "{commit}: no commit");
}

#[test]
fn bad_configuration_ends_with_78_and_names_file_line_and_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.toml");
    let path_text = path.to_str().unwrap();
    fs::write(&path, "[capture]\nring = 7\n").unwrap();
    let words = ["b.toml:2", "capture.ring", "from 1024"];
    assert_fails(&brightstat(&["check-config", path_text]), 78, &words);
    assert_fails(&brightstat(&["run", "--config", path_text]), 78, &words);
    fs::write(&path, "[capture\nring = 7\n").unwrap();
    assert_fails(&brightstat(&["run", "--config", path_text]), 78, &["b.toml:1", "not valid TOML"]);
    fs::write(&path, "[capture]\ncolour = 1\n").unwrap();
    let output = brightstat(&["check-config", path_text]);
    assert!(output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("b.toml:2: unknown key 'capture.colour'"), "{message}");
    assert_fails(&brightstat(&["run", "--config", "/no/b.toml"]), 66, &["/no/b.toml"]);
}

#[test]
fn an_unknown_interface_ends_with_66_and_lists_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("b.db");
    let output = brightstat(&[
        "run",
        "--interface",
        "nosuch0",
        "--database",
        database.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_fails(&output, 66, &["nosuch0", "no such interface", "lo"]);
}

#[test]
fn a_taken_port_ends_with_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("b.db");
    let output = brightstat(&[
        "run",
        "--interface",
        "lo",
        "--database",
        database.to_str().unwrap(),
        "--listen",
        &address,
    ]);
    assert_fails(&output, 69, &[&address, "the port is taken", "web.listen"]);
}

#[test]
fn a_bad_filter_ends_with_78() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("b.toml");
    fs::write(&path, "[capture]\nfilter = \"prot 22\"\n").unwrap();
    let output = brightstat(&["run", "--interface", "lo", "--config", path.to_str().unwrap()]);
    assert_fails(&output, 78, &["capture.filter", "prot 22", "pcap-filter"]);
}

/// A copy that an ordinary user can reach and run.
///
/// A separate process makes it: a child that a parallel test starts would otherwise inherit the
/// descriptor and hold it open for writing for a moment, and such a file cannot be run.
fn copy_of_the_program(directory: &Path) -> PathBuf {
    let copy = directory.join("brightstat");
    let status = Command::new("install").args(["-m", "755", binary()]).arg(&copy).status();
    assert!(status.unwrap().success());
    copy
}

#[test]
fn without_the_right_to_capture_it_ends_with_77() {
    let directory = common::directory();
    let copy = copy_of_the_program(directory.path());
    let mut command = Command::new(&copy);
    command.args(["run", "--interface", "lo", "--listen", "127.0.0.1:0"]);
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    assert_fails(&output, 77, &["lo", "no permission to capture", "CAP_NET_RAW"]);
}

#[test]
fn interfaces_are_listed_with_their_addresses() {
    let output = brightstat(&["interfaces"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    let line = text.lines().find(|line| line.split_whitespace().next() == Some("lo")).unwrap();
    assert!(line.contains("127.0.0.1/8"), "{text}");
}

/// Queries a database with an hour of history.
fn query(directory: &Path, arguments: &[&str]) -> Output {
    let path = directory.join("b.db");
    if !path.exists() {
        let mut store = Store::open(&path, history::options()).unwrap();
        assert!(store.commit_now((0..60).map(history::interval), true, &Status::default()));
    }
    brightstat(&[&["query", "--database", path.to_str().unwrap()], arguments].concat())
}

#[test]
fn a_query_for_what_history_does_not_have_names_it_and_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (
            &["cats"][..],
            &[
                "\"cats\"",
                "hosts, ports, protocols, services, interfaces or devices",
                "host 192.168.1.5",
            ][..],
        ),
        (&["host", "fritz"], &["\"fritz\"", "expected an address", "192.168.1.5"]),
        (&["port", "443"], &["\"443\"", "\"tcp/443\""]),
        (&["protocol", "xyz"], &["\"xyz\"", "\"udp\" or its number"]),
        (&["device", "phone"], &["devices have no names yet", "hosts"]),
    ] {
        assert_fails(&query(directory.path(), arguments), 64, words);
    }
    let output = query(directory.path(), &["interface", "nope0"]);
    assert_fails(&output, 66, &["'nope0'", "brightstat query interfaces"]);
}

#[test]
fn a_query_for_a_wrong_time_names_it_and_shows_right_ones() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (
            &["--from", "soon"][..],
            &["from: ", "\"soon\"", "\"2h\" (ago)", "\"2026-11-01 14:00\""][..],
        ),
        (&["--to", "25:00"], &["to: ", "\"25:00\"", "\"yesterday\""]),
        (&["--from", "1969-12-31"], &["from: ", "\"1969-12-31\"", "from 1970 to 9999"]),
        (
            &["--from", "2026-11-02", "--to", "2026-11-01", "--tz", "utc"],
            &["2026-11-02T00:00:00Z", "2026-11-01T00:00:00Z", "must lie before", "exchange them"],
        ),
        (&["--from", "now", "--to", "now"], &["must lie before", "leave 'to' out"]),
        (&["--tz", "Mars/Olympus"], &["\"Mars/Olympus\"", "\"Europe/Berlin\"", "tzdata"]),
        (
            &["--from", "@0", "--by", "minute"],
            &["12000 is the most", "a shorter time or a coarser tier"],
        ),
    ] {
        let arguments = [&["hosts"], arguments].concat();
        assert_fails(&query(directory.path(), &arguments), 64, words);
    }
}

#[test]
fn an_unknown_tier_is_answered_with_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    for tier in ["lustrum", "second", "Minute"] {
        let output = query(directory.path(), &["hosts", "--by", tier]);
        let words = [&format!("'{tier}'"), "minute, five, hour, day, auto or none", "the API only"];
        assert_fails(&output, 64, &words);
    }
}

#[test]
fn a_query_without_a_database_says_how_to_come_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let ask = |path: &Path| brightstat(&["query", "hosts", "--database", path.to_str().unwrap()]);
    let path = directory.path().join("no.db");
    assert_fails(&ask(&path), 66, &["no.db", "no such database", "start brightstat", "--database"]);
    assert!(!path.exists());
    assert_fails(&ask(directory.path()), 66, &["is a directory", "name the file"]);
    let path = directory.path().join("notes.txt");
    fs::write(&path, "These are notes, no database. ".repeat(40)).unwrap();
    let words = ["notes.txt", "not a sound database", "--database", "restore a backup"];
    assert_fails(&ask(&path), 65, &words);
    let path = directory.path().join("photos.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let words = ["photos.db", "not a database of brightstat", "--database"];
    assert_fails(&ask(&path), 65, &words);
    let newer = directory.path().join("newer.db");
    drop(Store::open(&newer, history::options()).unwrap());
    let connection = rusqlite::Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    assert_fails(&ask(&newer), 78, &["newer.db", "schema 99", "use the version of the daemon"]);
    // A configuration that does not exist.
    let output = brightstat(&["query", "hosts", "--config", "/no/b.toml"]);
    assert_fails(&output, 66, &["/no/b.toml"]);
}

#[test]
fn a_database_that_may_not_be_read_ends_with_77() {
    let directory = common::directory();
    let copy = copy_of_the_program(directory.path());
    assert!(query(directory.path(), &["hosts"]).status.success());
    let path = directory.path().join("b.db");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(&copy);
    command.args(["query", "hosts", "--database"]).arg(&path);
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
        assert_fails(&command.output().unwrap(), 77, &["b.db", "may not read", "sudo"]);
    }
}

#[test]
fn the_backup_and_the_move_work_as_they_are_written() {
    let page = include_str!("../docs/backup.md");
    let commands = page.lines().filter_map(|line| line.trim().strip_prefix("$ sudo "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 5);
    let (old, new, stick) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = |path: &tempfile::TempDir| path.path().to_str().unwrap().to_owned();
    assert!(query(old.path(), &["hosts"]).status.success());
    let source = old.path().join("b.db");
    // The new card already has a history, and another user owns it.
    fs::write(new.path().join("brightstat.db"), "begun").unwrap();
    fs::write(new.path().join("brightstat.db-wal"), "begun").unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(new.path(), Some(65_534), Some(65_534)).unwrap();
    }
    for command in commands {
        let there = command
            .replace(
                "brightstat backup",
                &format!("brightstat backup --database {}", source.display()),
            )
            .replace("/var/lib/brightstat", &name(&new))
            .replace("/media/usb", &name(&stick));
        let mut shell = Command::new("sh");
        shell.args(["-ec", &there]).env("PATH", path_with_the_binary());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{there}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let moved = new.path().join("brightstat.db");
    let ask = |path: &Path| {
        let path = path.to_str().unwrap();
        let day = ["--from", "1970-01-01", "--to", "1970-01-02", "--tz", "utc", "--json"];
        brightstat(&[&["query", "hosts", "--database", path], &day[..]].concat()).stdout
    };
    assert_eq!(ask(&moved), ask(&source));
    assert!(ask(&moved).len() > 1_000);
    let owner = |path: &Path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owner(&moved), owner(new.path()));
    assert_eq!(
        fs::read_dir(new.path())
            .unwrap()
            .flatten()
            .filter(|e| fs::read(e.path()).unwrap() == b"begun")
            .count(),
        0
    );
}

fn path_with_the_binary() -> String {
    let directory = Path::new(binary()).parent().unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}
