//! Simulates a disk that loses power, from the log of `record.c`.
//!
//! The content of a file at its last sync is certain. Of later writes, any part may have reached
//! the disk, in any order, and a write may be torn between two sectors. The existence of a file is
//! certain once it or its directory has been synced; until then its directory entry is any of those
//! that it has had since.

use std::collections::BTreeMap;
use std::path::Path;

use crate::history::Random;

const SECTOR: usize = 512;
/// In this file the child stores how many intervals it knows to be committed.
pub const MARKER: &str = "committed";

/// One recorded operation.
pub struct Record {
    pub name: String,
    pub step: Step,
}

pub enum Step {
    Create,
    Unlink,
    Write(u64, Vec<u8>),
    Truncate(u64),
    Sync,
}

/// Reads the log of `record.c`.
pub fn read_log(log: &[u8]) -> Vec<Record> {
    let mut rest = log;
    let mut take = |length: usize| -> Option<&[u8]> {
        let taken;
        (taken, rest) = rest.split_at_checked(length)?;
        Some(taken)
    };
    let mut records = Vec::new();
    while let Some(head) = take(24) {
        let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let name = take(word(4) as usize).expect("a whole log");
        let name = String::from_utf8(name.to_vec()).unwrap();
        let data = take(long(16) as usize).expect("a whole log");
        let step = match word(0) as u8 {
            b'c' => Step::Create,
            b'u' => Step::Unlink,
            b'w' => Step::Write(long(8), data.to_vec()),
            b't' => Step::Truncate(long(8)),
            b's' => Step::Sync,
            other => panic!("{name}: the store did not use to do '{}'", other as char),
        };
        records.push(Record { name, step });
    }
    records
}

/// A change to a file that is not certain to be on the disk.
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Default)]
struct File {
    certain: Vec<u8>,
    changes: Vec<Change>,
}

/// The disk at some moment.
#[derive(Default)]
pub struct Disk {
    files: Vec<File>,
    /// Files by name, as the running system sees them.
    seen: BTreeMap<String, usize>,
    /// Files by name that certainly exist after a power cut.
    certain: BTreeMap<String, usize>,
    /// Entries that were created or removed since, by name.
    entries: BTreeMap<String, Vec<Option<usize>>>,
    /// The number in the marker.
    pub committed: i64,
}

impl Disk {
    /// A disk that holds these files.
    pub fn holding(directory: &Path) -> Disk {
        let mut disk = Disk::default();
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let certain = std::fs::read(entry.path()).unwrap();
            disk.files.push(File { certain, changes: Vec::new() });
            let name = entry.file_name().into_string().unwrap();
            disk.seen.insert(name, disk.files.len() - 1);
        }
        disk.certain = disk.seen.clone();
        disk
    }

    /// Applies a recorded operation.
    pub fn apply(&mut self, record: &Record) {
        if record.name == MARKER {
            if let Step::Write(_, data) = &record.step {
                self.committed = i64::from_le_bytes(data[..].try_into().unwrap());
            }
            return;
        }
        match &record.step {
            Step::Create => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.seen.insert(record.name.clone(), file);
                self.entries.entry(record.name.clone()).or_default().push(Some(file));
            }
            Step::Unlink => {
                self.seen.remove(&record.name);
                self.entries.entry(record.name.clone()).or_default().push(None);
            }
            Step::Write(offset, data) => {
                self.file(&record.name).changes.push(Change::Write(*offset, data.clone()));
            }
            Step::Truncate(length) => {
                self.file(&record.name).changes.push(Change::Truncate(*length));
            }
            // The directory.
            Step::Sync if record.name.is_empty() => {
                let names: Vec<String> = self.entries.keys().cloned().collect();
                names.iter().for_each(|name| self.settle(name));
            }
            Step::Sync => {
                let file = self.file(&record.name);
                for change in std::mem::take(&mut file.changes) {
                    change.apply(&mut file.certain);
                }
                self.settle(&record.name);
            }
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        let at = self.seen.get(name);
        &mut self.files[*at.unwrap_or_else(|| panic!("{name} was never made"))]
    }

    /// The latest entry of this name is certain from now on.
    fn settle(&mut self, name: &str) {
        match self.entries.remove(name).and_then(|mut entries| entries.pop()) {
            Some(Some(file)) => drop(self.certain.insert(name.to_owned(), file)),
            Some(None) => drop(self.certain.remove(name)),
            None => {}
        }
    }

    /// The files and their contents as the running system sees them.
    pub fn as_seen(&self) -> BTreeMap<String, Vec<u8>> {
        let content = |file: &File| {
            let mut content = file.certain.clone();
            file.changes.iter().for_each(|change| change.apply(&mut content));
            content
        };
        self.seen.iter().map(|(name, at)| (name.clone(), content(&self.files[*at]))).collect()
    }

    /// Fills the directory with what a power cut might leave.
    pub fn cut(&self, directory: &Path, random: &mut Random) {
        let mut names = self.certain.clone();
        for (name, entries) in &self.entries {
            match random.below(entries.len() as u64 + 1) as usize {
                0 => {}
                settled => match entries[settled - 1] {
                    Some(file) => drop(names.insert(name.clone(), file)),
                    None => drop(names.remove(name)),
                },
            }
        }
        for (name, at) in names {
            let file = &self.files[at];
            let mut content = file.certain.clone();
            let percent = [0, 10, 50, 90, 100][random.below(5) as usize];
            // Disks often do keep the order: then everything up to some change is there.
            let in_order = random.chance(30);
            let first = random.below(file.changes.len() as u64 + 1) as usize;
            for (number, change) in file.changes.iter().enumerate() {
                let is_kept = if in_order { number < first } else { random.chance(percent) };
                let is_torn = if in_order { number == first } else { random.chance(15) };
                if is_torn {
                    change.tear(&mut content, random);
                } else if is_kept {
                    change.apply(&mut content);
                }
            }
            std::fs::write(directory.join(name), content).unwrap();
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Truncate(length) => content.resize(*length as usize, 0),
            Change::Write(offset, data) => put(content, *offset as usize, data),
        }
    }

    /// Applies only some sectors of a write, and nothing of a truncation.
    fn tear(&self, content: &mut Vec<u8>, random: &mut Random) {
        let Change::Write(offset, data) = self else { return };
        let (mut at, mut rest) = (*offset as usize, &data[..]);
        let in_order = random.chance(50);
        while !rest.is_empty() {
            let (part, more) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            if random.chance(50) {
                put(content, at, part);
            } else if in_order {
                return;
            }
            at += part.len();
            rest = more;
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}
