//! Captures of our own, made at test time, and the truth about each.
//!
//! Theory of operation: [`packet`] builds an IP packet and, beside its bytes, says what must
//! be counted of it ([`truth::Facts`]): nothing is decoded to find that out. [`link`] puts
//! link-layer headers in front, which changes the bytes but not the facts. [`file`] writes
//! pcap and pcapng. [`cases`] and [`containers`] list what is made, [`home`] makes the
//! traffic of a home for the tests that send it over a cable. judge.rs compares a report
//! with a truth (the foreign corpus, which is wider, is judged by the same code).
//!
//! The same code gives the same bytes, on every machine and every day.
#![allow(dead_code)]

pub mod cases;
pub mod containers;
pub mod damaged;
pub mod file;
pub mod home;
pub mod link;
pub mod packet;
pub mod truth;

use std::path::{Path, PathBuf};

/// One capture: the name of its file, what is in it, and what is true of it.
pub struct Made {
    /// File name, with its ending.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What a report of it must say, in the form of the corpus' `FILE.truth.json`.
    pub truth: serde_json::Value,
}

/// Every capture there is.
pub fn all() -> Vec<Made> {
    let mut all = cases::all();
    all.extend(damaged::all());
    all.extend(containers::all());
    all.push(home::capture());
    all
}

/// Writes captures, and their truths beside them, into a folder; the paths of the captures.
pub fn write(folder: &Path, captures: &[Made]) -> Vec<PathBuf> {
    std::fs::create_dir_all(folder).unwrap();
    let write = |made: &Made| {
        let path = folder.join(&made.name);
        std::fs::write(&path, &made.bytes).unwrap();
        let truth = serde_json::to_vec_pretty(&made.truth).unwrap();
        std::fs::write(folder.join(format!("{}.truth.json", made.name)), truth).unwrap();
        path
    };
    captures.iter().map(write).collect()
}
