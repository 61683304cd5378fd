//! Part of the build script: embeds the page that `make ui` has built into the program.
//!
//! Without the page the program builds anyway, and serves a page that says what to do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

pub(crate) fn embed() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = root.join("src/web/ui/dist");
    println!("cargo::rerun-if-changed=src/web/ui/embed.rs");
    println!("cargo::rerun-if-changed=src/web/ui/dist");
    let mut files: Vec<PathBuf> = match fs::read_dir(&dist) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?,
        Err(_) => Vec::new(),
    };
    files.sort();
    let mut code = String::from("pub(super) const ASSETS: &[Asset] = &[\n");
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(".gz") else { continue };
        let kind = match Path::new(name).extension().and_then(|e| e.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => return Err(format!("{}: of what type is it?", file.display()).into()),
        };
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        let etag = format!("\"{:016x}\"", fingerprint(&fs::read(file)?));
        // The names of bundles contain a hash of their content.
        let is_hashed = name.contains('-');
        writeln!(
            code,
            "    Asset {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, is_hashed: {is_hashed}, \
             gzip: include_bytes!({file:?}) }},",
        )?;
    }
    code.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("bundle.rs"), code)?;
    Ok(())
}

/// FNV-1a: it only needs to change when the file does.
fn fingerprint(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
