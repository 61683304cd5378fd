//! Files of the machine, or of a folder that stands for it (`--root`, for tests).

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};

/// Where paths begin.
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

    /// Where a file of the machine, named by its whole path, really is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Whether there is something of this name, if only a link that leads nowhere.
    pub(super) fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// The text of a file, if it can be read.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// The names in a directory, in order.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Makes the file say `text`, and tells whether it did not before. A power cut leaves the
    /// old file or the new one.
    pub(super) fn write(&self, path: &str, text: &str, mode: u32) -> Result<bool, Failure> {
        let whole = self.path(path);
        if fs::read(&whole).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(false);
        }
        replace(&whole, text, mode).map(|()| true).map_err(|e| cannot(path, "write", &e))
    }

    /// Takes a file away, and tells whether it was there.
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
    // Everybody who reads these directories goes by the ending, so that nobody reads this one.
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
            // It may not even be there.
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
