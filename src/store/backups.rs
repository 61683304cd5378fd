//! Dated backups in a directory, of which only the newest are kept: `brightstat backup --keep`.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::admin::backup;
use super::error::Error;

/// The result of one backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The new backup.
    pub made: PathBuf,
    /// Its size, bytes.
    pub size: u64,
    /// The old backups that were removed for it.
    pub removed: Vec<PathBuf>,
}

/// Backs the database up into `directory` under a name with the time (UTC), and removes the oldest
/// backups there until `keep` are left (at least 1, the new one). Other files are left alone.
///
/// # Errors
/// No such directory, or an error of [`backup`]: then nothing has been removed. An old backup that
/// cannot be removed.
pub fn backup_dated(
    database: &Path,
    directory: &Path,
    keep: usize,
    now: Timestamp,
) -> Result<Round, Error> {
    if !directory.is_dir() {
        return Err(Error::NoDirectory { path: directory.to_owned() });
    }
    let made = directory.join(format!("{PREFIX}{}{SUFFIX}", now.strftime("%Y%m%dT%H%M%SZ")));
    let size = backup(database, &made)?;
    let failed = |source| Error::Backup { path: directory.to_owned(), source };
    let mut others: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // The new one stays in any case: if the clock is wrong it may not be the newest by name.
        if path != made && is_dated(&path) {
            others.push(path);
        }
    }
    // Sorted by name they are sorted by time.
    others.sort_unstable();
    others.truncate((others.len() + 1).saturating_sub(keep));
    for old in &others {
        fs::remove_file(old).map_err(failed)?;
    }
    Ok(Round { made, size, removed: others })
}

const PREFIX: &str = "brightstat-";
const SUFFIX: &str = ".db";

/// Whether a file's name is one that [`backup_dated`] gives.
fn is_dated(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let time = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    time.is_some_and(|time| {
        let like = b"dddddddddddddd";
        let digits: Vec<u8> = time.bytes().filter(u8::is_ascii_digit).map(|_| b'd').collect();
        digits == like && time.len() == 16 && &time[8..9] == "T" && time.ends_with('Z')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Coded, Exit};

    #[test]
    fn the_newest_backups_are_kept_and_other_files_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("b.db");
        drop(super::super::open::open(&database).unwrap());
        let place = directory.path().join("backups");
        let at = |day: i64| Timestamp::from_second(1_793_500_000 + day * 86_400).unwrap();
        let missing = backup_dated(&database, &place, 2, at(0)).unwrap_err();
        assert_eq!(missing.exit(), Exit::NoInput);
        fs::create_dir(&place).unwrap();
        for name in ["brightstat-mine.db", "brightstat-20260101T000000Z.db.part", "notes.txt"] {
            fs::write(place.join(name), "").unwrap();
        }
        let mut made: Vec<PathBuf> = Vec::new();
        for day in 0..4 {
            let round = backup_dated(&database, &place, 2, at(day)).unwrap();
            assert!(round.size > 0);
            let oldest = (day >= 2).then(|| made[day as usize - 2].clone());
            assert_eq!(round.removed, Vec::from_iter(oldest));
            made.push(round.made);
        }
        assert_eq!(made[0].file_name().unwrap(), "brightstat-20261101T022640Z.db");
        // After a clock went back, the oldest others are removed, not the new one.
        let round = backup_dated(&database, &place, 1, at(-9)).unwrap();
        assert_eq!(round.removed, made[2..]);
        assert!(round.made.exists());
        assert_eq!(fs::read_dir(&place).unwrap().count(), 4);
    }
}
