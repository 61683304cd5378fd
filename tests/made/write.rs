//! `captures FOLDER [NAME...]` - writes the captures of tests/made, with their truths, into a
//! folder: for tests in other languages, and for inspection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mod.rs"]
mod made;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, names @ ..] = &arguments[..] else {
        eprintln!("captures FOLDER [NAME...]");
        std::process::exit(64);
    };
    let mut captures = made::all();
    captures.retain(|made| names.is_empty() || names.contains(&made.name));
    assert!(!captures.is_empty() && names.len() <= captures.len(), "no such capture: {names:?}");
    let paths = made::write(Path::new(folder), &captures);
    println!("{} captures in {folder}", paths.len());
}
