//! Build script: embeds the page that `make ui` has built, and the commit and target that
//! `brightstat --version` names.

#[path = "web/ui/embed.rs"]
mod page;
#[path = "command/source.rs"]
mod source;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/build.rs");
    page::embed()?;
    source::tell()
}
