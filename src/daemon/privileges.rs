//! Giving up root: all that stays is the right to capture (CAP_NET_RAW).
//!
//! Under systemd the unit has done this already. Outside it, a daemon started as root
//! becomes an ordinary user before it reads the first frame or answers the first request.
//! Must run before any other thread is started: capabilities belong to threads.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use caps::{CapSet, Capability, CapsHashSet};
use log::{info, warn};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

use crate::failure::{Exit, Failure};

/// Who the daemon is to become.
#[derive(Debug)]
struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Makes the database's directory if need be and, when running as root, gives it to the
/// daemon's user and becomes that user, keeping CAP_NET_RAW only.
///
/// `user` is `daemon.user` of the configuration.
///
/// # Errors
/// No such user, or the system refuses.
pub fn drop_root(user: &str, database: &Path) -> Result<(), Failure> {
    let directory = database.parent().unwrap_or_else(|| Path::new("/"));
    let is_new = !directory.exists();
    fs::create_dir_all(directory).map_err(|e| {
        Failure::new(
            Exit::Permission,
            format!(
                "{}: cannot make the directory for the database: {e}; make it, or set history.database",
                directory.display()
            ),
        )
    })?;
    if !geteuid().is_root() || user == "root" {
        return Ok(());
    }
    let account = account(user)?;
    if account.uid.is_root() {
        return Ok(());
    }
    if is_new {
        let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o750));
    }
    let refused = |what: &str, e: &dyn std::fmt::Display| {
        Failure::new(Exit::Permission, format!("cannot give up root ({what}): {e}"))
    };
    hand_over(directory, database, &account).map_err(|e| refused("chown", &e))?;
    if !can_write(directory, &account) {
        // Better a working daemon with bare hands than none: root without capabilities may
        // write only what is root's.
        warn!(
            "{}: user {} cannot come there; staying root without capabilities but CAP_NET_RAW",
            directory.display(),
            account.name
        );
        return keep_only_capture().map_err(|e| refused("capabilities", &e));
    }
    prctl::set_keepcaps(true).map_err(|e| refused("keepcaps", &e))?;
    setgroups(&[account.gid]).map_err(|e| refused("groups", &e))?;
    setgid(account.gid).map_err(|e| refused("group", &e))?;
    setuid(account.uid).map_err(|e| refused("user", &e))?;
    keep_only_capture().map_err(|e| refused("capabilities", &e))?;
    // Without this the process would be neither dumpable nor open to its own user in /proc.
    let _ = prctl::set_dumpable(true);
    info!("running as user {} with CAP_NET_RAW only", account.name);
    Ok(())
}

fn keep_only_capture() -> Result<(), caps::errors::CapsError> {
    let capture: CapsHashSet = [Capability::CAP_NET_RAW].into_iter().collect();
    let held = caps::read(None, CapSet::Permitted)?;
    let keep: CapsHashSet = held.intersection(&capture).copied().collect();
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Permitted, &keep)?;
    // Nothing that is ever executed from here gains anything.
    let _ = prctl::set_no_new_privs();
    Ok(())
}

/// The user to become: the configured one; else `_brightstat`, who called sudo, `nobody`.
fn account(user: &str) -> Result<Account, Failure> {
    if !user.is_empty() {
        return by_name(user).ok_or_else(|| {
            Failure::new(
                Exit::Config,
                format!("daemon.user: there is no user '{user}'; make it (useradd --system) or name another"),
            )
        });
    }
    let sudo = || std::env::var("SUDO_USER").ok().filter(|name| name != "root");
    by_name("_brightstat").or_else(|| by_name(&sudo()?)).or_else(|| by_name("nobody")).ok_or_else(
        || {
            Failure::new(
                Exit::Config,
                "daemon.user: there is neither a user _brightstat nor nobody; name one",
            )
        },
    )
}

/// Looks a user up in /etc/passwd, where sysusers and adduser put system users. The name
/// service would load a dozen libraries into a process that is to stay small.
fn by_name(name: &str) -> Option<Account> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then(|| Account {
            name: name.to_owned(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
        })
    })
}

/// Gives the database and its companions to the account, and their directory too if it
/// holds nothing else and is root's own.
fn hand_over(directory: &Path, database: &Path, account: &Account) -> std::io::Result<()> {
    let (uid, gid) = (Some(account.uid.as_raw()), Some(account.gid.as_raw()));
    let base = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut is_ours = true;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&base) {
            chown(entry.path(), uid, gid)?;
        } else {
            is_ours &= name.ends_with(".toml") || name == "conf.d";
        }
    }
    let metadata = fs::metadata(directory)?;
    let is_shared = metadata.mode() & 0o022 != 0;
    if is_ours && metadata.uid() == 0 && !is_shared && directory.components().count() > 2 {
        chown(directory, uid, gid)?;
    }
    Ok(())
}

/// Whether the account can make files in a directory: search permission on the way, and
/// write permission at the end.
fn can_write(directory: &Path, account: &Account) -> bool {
    let allows = |path: &Path, need: u32| {
        fs::metadata(path).is_ok_and(|m| {
            let shift = match m {
                ref m if m.uid() == account.uid.as_raw() => 6,
                ref m if m.gid() == account.gid.as_raw() => 3,
                _ => 0,
            };
            m.mode() >> shift & need == need
        })
    };
    let Ok(directory) = directory.canonicalize() else {
        return false;
    };
    allows(&directory, 0o3) && directory.ancestors().skip(1).all(|above| allows(above, 0o1))
}
