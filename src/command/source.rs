//! Part of the build script: the commit and the target that `brightstat --version` names.
//!
//! The commit is `BRIGHTSTAT_COMMIT`, if set (for builds from an archive, and in containers, which
//! do not see the repository); otherwise git's for this very folder; otherwise unknown. No date:
//! two builds of the same source would differ.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The sources of the program: a change of anything else, such as a test, does not change it.
const MADE_OF: [&str; 4] = ["src", "Cargo.toml", "Cargo.lock", ".cargo"];

pub(crate) fn tell() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/command/source.rs");
    println!("cargo::rerun-if-env-changed=BRIGHTSTAT_COMMIT");
    let told = env::var("BRIGHTSTAT_COMMIT").ok().filter(|commit| !commit.is_empty());
    if let Some(odd) = told.iter().find(|commit| commit.contains(|c: char| !c.is_ascii_graphic())) {
        return Err(format!("BRIGHTSTAT_COMMIT={odd:?}: a commit has no blanks in its name").into());
    }
    let commit = told.or_else(from_git).unwrap_or_else(|| "commit unknown".to_owned());
    println!("cargo::rustc-env=BRIGHTSTAT_BUILT_FROM={commit}");
    println!("cargo::rustc-env=BRIGHTSTAT_TARGET={}", env::var("TARGET")?);
    Ok(())
}

/// The commit of the repository whose root this is, with `-dirty` if sources of the program have
/// been changed since.
fn from_git() -> Option<String> {
    // An unpacked archive may lie in a foreign repository.
    let root = fs::canonicalize(env::var_os("CARGO_MANIFEST_DIR")?).ok()?;
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != root {
        return None;
    }
    let mut commit = git(&root, &["rev-parse", "--short=12", "HEAD"])?;
    let of = |arguments: &[&str]| git(&root, &[arguments, &["--"], &MADE_OF].concat());
    if !of(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
        commit.push_str("-dirty");
    }
    // git writes this file whenever HEAD moves.
    let log = git(&root, &["rev-parse", "--git-path", "logs/HEAD"])?;
    for file in std::iter::once(log.as_str()).chain(of(&["ls-files"])?.lines()) {
        // A missing file would make cargo rebuild each time.
        if root.join(file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    Some(commit)
}

/// git's output, if git is installed and succeeds.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
