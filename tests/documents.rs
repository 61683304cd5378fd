//! The documents: their links lead somewhere, what they name in the source is there, they have
//! the length that they may have. Their examples are run by the tests of what they are about:
//! cli (backup.md), query (history.md, api.md), import (card.md), config (settings.md), views
//! (views.md, history.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../src/manual.rs"]
#[allow(dead_code)]
mod manual;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    files.sort();
    files
}

/// All documents but the list of changes.
fn documents() -> Vec<PathBuf> {
    let top = Path::new(TOP);
    let mut all = [markdown(top), markdown(&top.join("docs"))].concat();
    all.retain(|path| !path.ends_with("CHANGELOG.md"));
    all.push(top.join("src/store/views.md"));
    assert!(all.len() > 15, "{all:?}");
    all
}

/// The lines that are not inside of a block of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1));
    targets.map(|rest| rest.split_once(')').unwrap().0.to_owned()).collect()
}

/// The anchors of a page, as GitHub makes them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let plain = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Asserts that the links of these pages lead to files and headings that are there.
fn assert_links(pages: &[PathBuf]) {
    let mut count = 0;
    for page in pages {
        for link in links(&read(page)) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !anchor.is_empty() {
                let there = anchors(&read(&target));
                assert!(there.contains(anchor), "{}: {link}: {there:?}", page.display());
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count} links");
}

#[test]
fn links_lead_somewhere() {
    assert_links(&documents());
}

#[test]
fn the_guide_is_whole_where_it_is_installed() {
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new("make")
        .args(["--no-print-directory", "--silent", "guide"])
        .arg(format!("GUIDE={}", directory.path().display()))
        .current_dir(TOP)
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_links(&markdown(directory.path()));
    // Two of docs/ are about the inside and stay here; SECURITY.md and views.md come from elsewhere.
    let all = markdown(&Path::new(TOP).join("docs")).len();
    assert_eq!(markdown(directory.path()).len(), all);
    assert!(directory.path().join("examples/brightstat.toml").is_file());
}

#[test]
fn pages_have_a_sensible_length_and_the_commands_stand_first() {
    let readme = read(&Path::new(TOP).join("README.md"));
    assert!(readme.lines().count() <= 120);
    let first: Vec<&str> = readme.lines().filter(|line| line.starts_with("$ ")).take(2).collect();
    assert!(first[0].starts_with("$ make run ") && first[1].starts_with("$ make test "));
    assert!(readme.find("$ make run").unwrap() < 200);
    for page in markdown(&Path::new(TOP).join("docs")) {
        let lines = read(&page).lines().count();
        assert!(lines <= 250, "{}: {lines} lines", page.display());
    }
}

#[test]
fn what_the_documents_name_in_the_source_is_there() {
    let mut files = 0;
    let mut names = 0;
    for page in documents() {
        let text = prose(&read(&page)).collect::<Vec<_>>().join("\n");
        // Code stands between backquotes: every other piece.
        let pieces: Vec<&str> = text.split('`').collect();
        for at in (1..pieces.len()).step_by(2) {
            let code = pieces[at];
            let is_path = ["src/", "tests/", "fuzz/", "debian/", "image/", "docs/"]
                .iter()
                .any(|folder| code.starts_with(folder))
                && !code.contains([' ', '\n']);
            if !is_path {
                continue;
            }
            let path = Path::new(TOP).join(code);
            assert!(path.exists(), "{}: there is no {code}", page.display());
            files += 1;
            // "`name` in `path`".
            if path.is_file() && at > 2 && pieces[at - 1].split_whitespace().eq(["in"]) {
                let name = pieces[at - 2].rsplit("::").next().unwrap();
                assert!(read(&path).contains(name), "{}: no {name} in {code}", page.display());
                names += 1;
            }
        }
    }
    assert!(files > 60 && names > 40, "{files} files, {names} names");
}

/// The rooms in the order in which a table lists them.
fn rooms(text: &str) -> Vec<String> {
    let rows = text.lines().map(|line| line.trim_start_matches("//! "));
    let names = rows.filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let plain = |name: &str| name.trim_matches(['[', '`', ']']).to_owned();
    names.map(plain).filter(|name| name != "module" && !name.starts_with("---")).collect()
}

/// tests/rooms.rs holds the imports to this order.
#[test]
fn rooms_of_the_page_are_those_of_the_program() {
    let page = read(&Path::new(TOP).join("docs/ARCHITECTURE.md"));
    let (_, table) = page.split_once("## The rooms").unwrap();
    let order = rooms(table.split("\n## ").next().unwrap());
    assert_eq!(order, rooms(&read(&Path::new(TOP).join("src/lib.rs"))));
    assert_eq!(order.len(), 15);
}

#[test]
fn every_manual_page_names_a_page_of_the_guide() {
    let directory = tempfile::tempdir().unwrap();
    manual::write_pages(directory.path()).unwrap();
    let docs = Path::new(TOP).join("docs");
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = read(&path);
        let (_, end) = text.split_once(&format!("{}/", manual::GUIDE)).unwrap();
        let page = end.split_once(".md").unwrap().0.replace("\\-", "-");
        assert!(docs.join(format!("{page}.md")).is_file(), "{page}");
        // No command is forgotten in `see_also`.
        assert_eq!(page == "README", path.ends_with("brightstat.1"), "{}", path.display());
    }
}

#[test]
fn threads_of_the_page_are_those_of_the_program() {
    let page = read(&Path::new(TOP).join("docs/ARCHITECTURE.md"));
    let (_, table) = page.split_once("## Threads").unwrap();
    let named = rooms(table.split("\n## ").next().unwrap());
    let source = ["src/daemon/mod.rs", "src/daemon/interfaces.rs", "src/daemon/logger.rs"]
        .map(|path| read(&Path::new(TOP).join(path)))
        .concat();
    let mut started: BTreeSet<&str> = ["spawn(\"", "spawn_with(\""]
        .iter()
        .flat_map(|call| source.split(call).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(read(&Path::new(TOP).join("src/web/guard.rs")).contains(".name(\"web\""));
    started.insert("web");
    let named: BTreeSet<&str> =
        named.iter().map(String::as_str).filter(|n| !matches!(*n, "name" | "(main)")).collect();
    assert_eq!(named, started);
}

/// The drop-in for backups on another disk stands in the unit as well, as a comment.
#[test]
fn the_drop_in_of_the_guide_is_that_of_the_unit() {
    let page = read(&Path::new(TOP).join("docs/backup.md"));
    let unit = read(&Path::new(TOP).join("systemd/brightstat-backup.service"));
    let (_, block) = page.split_once("```ini\n").unwrap();
    let lines: Vec<&str> = block.split_once("```").unwrap().0.lines().collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        assert!(unit.contains(&format!("#   {line}\n")), "{line}");
    }
}
