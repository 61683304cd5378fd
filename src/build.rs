//! Build script: puts into the program the page that `make ui` has built, and what it was
//! built from.

#[path = "web/ui/embed.rs"]
mod page;
#[path = "command/source.rs"]
mod source;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/build.rs");
    page::embed()?;
    source::tell()
}
