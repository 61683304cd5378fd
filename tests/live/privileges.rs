//! What root hands over to the ordinary user before it becomes that user: the database, and nothing
//! that somebody has put in its place.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

use crate::common::{Cable, Daemon, directory, wait_for};

const NOBODY: u32 = 65_534;

/// Anyone who could write to the database's directory could take over any file: links were
/// followed, and every name with the database's name as a prefix was included.
#[test]
fn links_pipes_and_other_names_are_not_given_away() {
    let cable = Cable::new();
    let directory = directory();
    let place = directory.path().join("db");
    fs::create_dir(&place).unwrap();
    chown(&place, Some(NOBODY), Some(NOBODY)).unwrap();
    let path = |name: &str| place.join(name);
    let secret = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (shadow, key) = (secret("shadow"), secret("key"));
    symlink(&shadow, path("brightstat.db")).unwrap();
    fs::hard_link(&key, path("brightstat.db-wal")).unwrap();
    nix::unistd::mkfifo(&path("brightstat.db-shm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(path("brightstat.db-journal")).unwrap();
    fs::write(path("brightstat.db.old"), "root's own").unwrap();

    // Whether it then runs does not matter.
    let log = fs::File::create(directory.path().join("log")).unwrap();
    let mut daemon = Command::new("ip")
        .args(["netns", "exec", &cable.receiver.0, crate::common::binary(), "run"])
        .args(["--interface", "rx", "--database"])
        .arg(path("brightstat.db"))
        .args(["--config", "/dev/null"])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let text = || fs::read_to_string(directory.path().join("log")).unwrap();
    wait_for("the end, or the first word as an ordinary user", 20, || {
        let is_over = daemon.try_wait().unwrap().is_some();
        (is_over || text().contains("rx: capturing")).then_some(())
    });
    let _ = daemon.kill();
    let _ = daemon.wait();
    for path in [
        shadow,
        key,
        path("brightstat.db-wal"),
        path("brightstat.db-shm"),
        path("brightstat.db-journal"),
        path("brightstat.db.old"),
    ] {
        let owner = fs::symlink_metadata(&path).unwrap().uid();
        assert_eq!(owner, 0, "{}:\n{}", path.display(), text());
    }
    assert!(text().contains("brightstat.db: is no plain file of one name"), "{}", text());
}

#[test]
fn the_database_that_root_has_made_is_given_away_but_not_through_a_link() {
    let cable = Cable::new();
    let directory = directory();
    let place = directory.path().join("db");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("brightstat.db"), "").unwrap();
    let arguments = ["--interface", "rx"];
    let mut daemon = Daemon::start(&cable.receiver, directory.path(), &arguments);
    daemon.wait_for_log("rx: capturing");
    assert_eq!(daemon.stop(), 0);
    for path in [place.clone(), place.join("brightstat.db")] {
        assert_ne!(fs::metadata(&path).unwrap().uid(), 0, "{}", path.display());
    }

    let away = directory.path().join("away");
    fs::create_dir(&away).unwrap();
    fs::remove_dir_all(&place).unwrap();
    symlink(&away, &place).unwrap();
    let output = Command::new("ip")
        .args(["netns", "exec", &cable.receiver.0, crate::common::binary(), "run"])
        .args(["--interface", "rx", "--config", "/dev/null", "--database"])
        .arg(place.join("brightstat.db"))
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{message}");
    assert!(message.contains("a part of this path is a symbolic link"), "{message}");
    assert_eq!(fs::metadata(&away).unwrap().uid(), 0);
}

/// The directory was handed over although its new owner could not reach it (a clone below /root),
/// and root without capabilities could no longer write to it.
#[test]
fn what_an_ordinary_user_cannot_reach_stays_with_root_or_comes_back() {
    let cable = Cable::new();
    let directory = directory();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let place = closed.join("db");
    // First it is new; then it was handed over while the path was open.
    for owner in [None, Some(NOBODY)] {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        if owner.is_some() {
            chown(place.join("brightstat.db"), owner, owner).unwrap();
        }
        let mut daemon = Daemon::start(&cable.receiver, &closed, &["--interface", "rx"]);
        daemon.wait_for_log("cannot come there; staying root");
        daemon.wait_for_log("rx: capturing");
        assert_eq!(daemon.stop(), 0);
        for path in [place.clone(), place.join("brightstat.db")] {
            assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{}", path.display());
        }
    }
}
