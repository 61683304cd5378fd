//! Gives up root and keeps only the right to capture (CAP_NET_RAW).
//!
//! Under systemd the unit has done this already. Outside it, a daemon started as root
//! becomes an ordinary user before it reads the first frame or answers the first request.
//! The main thread runs this before it starts any other: capabilities belong to threads.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use caps::{CapSet, Capability, CapsHashSet};
use log::{info, warn};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::prctl;
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, Uid, fchown, fchownat, geteuid, setgid, setgroups, setuid};

use super::error::Error;

/// The user that the daemon becomes.
#[derive(Debug)]
struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Creates the database's directory if it is missing. When running as root, gives it to the
/// daemon's user, becomes that user and keeps only CAP_NET_RAW.
///
/// `user` is `daemon.user` of the configuration.
///
/// # Errors
/// No such user, or the system refuses.
pub fn drop_root(user: &str, database: &Path) -> Result<(), Error> {
    let directory = database.parent().unwrap_or_else(|| Path::new("/"));
    let is_new = !directory.exists();
    fs::create_dir_all(directory)
        .map_err(|source| Error::Directory { path: directory.to_owned(), source })?;
    if !geteuid().is_root() || user == "root" {
        return Ok(());
    }
    let account = account(user)?;
    if account.uid.is_root() {
        return Ok(());
    }
    let give_to = |account: &Account| hand_over(directory, database, is_new, account);
    let root = Account { name: "root".to_owned(), uid: Uid::from_raw(0), gid: Gid::from_raw(0) };
    let give = || {
        if can_come(directory, &account) {
            give_to(&account)?;
            if can_write(directory, &account) {
                return Ok(true);
            }
        }
        // Root without capabilities is an ordinary user: it needs to own the files again.
        give_to(&root).map(|()| false)
    };
    let is_given = give().map_err(|e| match e {
        Errno::ELOOP => Error::Link { path: directory.to_owned() },
        e => refused("chown")(e),
    })?;
    if !is_given {
        // Better to stay root without capabilities, which can write only root's own files,
        // than not to run.
        warn!(
            "{}: user {} cannot come there; staying root without capabilities but CAP_NET_RAW",
            directory.display(),
            account.name
        );
        return keep_only_capture().map_err(refused("capabilities"));
    }
    prctl::set_keepcaps(true).map_err(refused("keepcaps"))?;
    setgroups(&[account.gid]).map_err(refused("groups"))?;
    setgid(account.gid).map_err(refused("group"))?;
    setuid(account.uid).map_err(refused("user"))?;
    keep_only_capture().map_err(refused("capabilities"))?;
    // Otherwise the process could not be dumped, and its /proc would be closed to its own user.
    let _ = prctl::set_dumpable(true);
    info!("running as user {} with CAP_NET_RAW only", account.name);
    Ok(())
}

/// Makes an error of the system's refusal of this step.
fn refused<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
) -> impl FnOnce(E) -> Error {
    move |e| Error::Root { what, source: Box::new(e) }
}

fn keep_only_capture() -> Result<(), caps::errors::CapsError> {
    let capture: CapsHashSet = [Capability::CAP_NET_RAW].into_iter().collect();
    let held = caps::read(None, CapSet::Permitted)?;
    let keep: CapsHashSet = held.intersection(&capture).copied().collect();
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Permitted, &keep)?;
    // No program that this process executes can gain privileges.
    let _ = prctl::set_no_new_privs();
    Ok(())
}

/// The user to become: the configured one, else `_brightstat`, the caller of sudo, or `nobody`.
fn account(user: &str) -> Result<Account, Error> {
    if !user.is_empty() {
        return by_name(user).ok_or_else(|| Error::NoUser { user: user.to_owned() });
    }
    let sudo = || std::env::var("SUDO_USER").ok().filter(|name| name != "root");
    let usual = by_name("_brightstat").or_else(|| by_name(&sudo()?));
    usual.or_else(|| by_name("nobody")).ok_or(Error::NoUsualUser)
}

/// Finds a user in /etc/passwd, where sysusers and adduser put system users. The name service
/// would load a dozen libraries into a process that must stay small.
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

/// Opens a directory name by name along its path, without following links: `ELOOP` if there is
/// one. (openat2(2) does the same in one call; kernels before 5.6 and emulators lack it.)
fn open_directory(directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let start = if directory.is_absolute() { "/" } else { "." };
    let mut opened = openat(AT_FDCWD, start, flags, Mode::empty())?;
    for component in directory.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        opened = openat(&opened, name, flags, Mode::empty()).map_err(|e| {
            // The kernel checks O_DIRECTORY first: a link, too, is "not a directory".
            let stat = fstatat(&opened, name, AtFlags::AT_SYMLINK_NOFOLLOW);
            let is_link =
                |stat: FileStat| stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFLNK.bits();
            if stat.is_ok_and(is_link) { Errno::ELOOP } else { e }
        })?;
    }
    Ok(opened)
}

/// What SQLite appends to a database's name for its companion files; "" is the database itself.
const COMPANIONS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Gives the database and its companions to the account, and their directory too if root
/// owns it and it holds nothing else.
///
/// The account may own the directory or one above it, and may put anything there. So this
/// follows no link. It gives away only plain files of exactly these names with one hard link,
/// and does so by descriptor: the file that was checked is the file that is given.
fn hand_over(
    directory: &Path,
    database: &Path,
    is_new: bool,
    account: &Account,
) -> Result<(), Errno> {
    let (uid, gid) = (Some(account.uid), Some(account.gid));
    let opened = open_directory(directory)?;
    let base = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for name in COMPANIONS.map(|suffix| format!("{base}{suffix}")) {
        match plain_file(&opened, &name)? {
            Found::Nothing => {}
            Found::Plain(file) => fchownat(&file, "", uid, gid, AtFlags::AT_EMPTY_PATH)?,
            Found::Other => warn!(
                "{}: is no plain file of one name; it stays as it is",
                directory.join(&name).display()
            ),
        }
    }
    let is_known =
        |name: &str| name.starts_with(&base) || name.ends_with(".toml") || name == "conf.d";
    let mut entries = fs::read_dir(directory).map_err(|_| Errno::last())?;
    let is_ours = entries
        .all(|entry| entry.is_ok_and(|entry| is_known(&entry.file_name().to_string_lossy())));
    let stat = fstat(&opened)?;
    let is_shared = stat.st_mode & 0o022 != 0;
    if is_ours && stat.st_uid == 0 && !is_shared && directory.components().count() > 2 {
        if is_new {
            fchmod(&opened, Mode::from_bits_truncate(0o750))?;
        }
        fchown(&opened, uid, gid)?;
    }
    Ok(())
}

/// What a directory holds under a name.
enum Found {
    Nothing,
    /// A plain file with one hard link. The descriptor can neither read nor write it.
    Plain(OwnedFd),
    /// A symbolic link, a directory, a pipe, or a file with a second hard link.
    Other,
}

fn plain_file(directory: &OwnedFd, name: &str) -> Result<Found, Errno> {
    // O_PATH: it may be a device or a pipe, and opening one of those may have effects.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(Found::Nothing),
        Err(e) => return Err(e),
    };
    let FileStat { st_mode, st_nlink, .. } = fstat(&file)?;
    let is_plain = SFlag::from_bits_truncate(st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFREG;
    Ok(if is_plain && st_nlink == 1 { Found::Plain(file) } else { Found::Other })
}

/// Whether the account can reach a directory: search permission on all those above it.
fn can_come(directory: &Path, account: &Account) -> bool {
    directory.canonicalize().is_ok_and(|directory| {
        directory.ancestors().skip(1).all(|above| allows(above, account, 0o1))
    })
}

/// Whether the account can create files in a directory that it can reach.
fn can_write(directory: &Path, account: &Account) -> bool {
    allows(directory, account, 0o3)
}

/// Whether the mode of `path` grants the account the bits of `need`.
fn allows(path: &Path, account: &Account, need: u32) -> bool {
    fs::metadata(path).is_ok_and(|m| {
        let shift = match m {
            ref m if m.uid() == account.uid.as_raw() => 6,
            ref m if m.gid() == account.gid.as_raw() => 3,
            _ => 0,
        };
        m.mode() >> shift & need == need
    })
}
