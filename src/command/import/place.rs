//! Files of the machine, or of a folder that stands for it (`--root`, for tests).

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};

/// The root of all paths.
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) fn new(root: &Path) -> Place {
        Place { root: root.to_owned() }
    }

    /// Whether this is the machine that we run on.
    pub(super) fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The real path of a file that is named by its absolute path on the machine.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether this name exists, even as a dangling link.
    pub(super) fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// The text of a file, if it can be read.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The names in a directory, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Sets a file's content, and returns whether that changed it. A power cut leaves either the
    /// old file or the new one.
    pub(super) fn write(&self, path: &str, text: &str, mode: u32) -> Result<bool, Failure> {
        let whole = self.path(path);
        if fs::read(&whole).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(false);
        }
        replace(&whole, text, mode).map(|()| true).map_err(|e| cannot(path, "write", &e))
    }

    /// Removes a file, and returns whether it existed.
    pub(super) fn remove(&self, path: &str) -> Result<bool, Failure> {
        match fs::remove_file(self.path(path)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(cannot(path, "remove", &e)),
        }
    }
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(directory)?;
    // Readers of these directories select files by suffix, so none of them reads this one.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = File::create(&new).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| File::open(directory)?.sync_all())
        .inspect_err(|_| {
            // It may not even exist.
            let _ = fs::remove_file(&new);
        })
}

fn cannot(path: &str, what: &str, error: &io::Error) -> Failure {
    let (exit, remedy) = match error.kind() {
        ErrorKind::PermissionDenied => (Exit::Permission, "; run this as root"),
        ErrorKind::ReadOnlyFilesystem => (Exit::Io, "; the card may be locked or damaged"),
        ErrorKind::StorageFull => (Exit::Io, "; make room on the card"),
        _ => (Exit::Io, ""),
    };
    Failure::new(exit, format!("{path}: cannot {what} it: {error}{remedy}"))
}
