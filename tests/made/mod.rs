//! Our own captures, generated at test time, and the truth about each.
//!
//! Theory of operation: [`packet`] builds an IP packet and states what must be counted of it
//! ([`truth::Facts`]), without decoding anything. [`link`] puts link-layer headers in front, which
//! changes the bytes but not the facts. [`file`] writes pcap and pcapng. [`cases`] and
//! [`containers`] list the captures, [`names`] has packets that tell names, and [`home`] generates a home's traffic for the tests that
//! send it over a cable. judge.rs compares a report with a truth, for the larger foreign corpus as
//! well.
//!
//! The same code generates the same bytes, on every machine and every day.
#![allow(dead_code)]

pub mod cases;
pub mod containers;
pub mod damaged;
pub mod file;
pub mod home;
pub mod link;
pub mod names;
pub mod packet;
pub mod truth;

use std::path::{Path, PathBuf};

/// One capture: its file's name and content, and the truth about it.
pub struct Made {
    /// File name, with its suffix.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What a report of it must say, in the format of the corpus' `FILE.truth.json`.
    pub truth: serde_json::Value,
}

/// All captures.
pub fn all() -> Vec<Made> {
    let mut all = cases::all();
    all.extend(damaged::all());
    all.extend(containers::all());
    all.push(home::capture());
    all
}

/// Writes captures, with their truths beside them, into a folder; returns the captures' paths.
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
