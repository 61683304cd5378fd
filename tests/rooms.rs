//! Checks the order of the rooms: a top-level module of src imports only those above it in the
//! table of src/lib.rs, and modules within a room do not import each other in a circle.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// A module's path below the crate, such as `["store", "write"]`.
type Module = Vec<String>;
/// The modules that each module names, in imports and elsewhere.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The paths that a file names, without code that exists only for tests.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn expand(&mut self, tree: &syn::UseTree, mut prefix: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.expand(&path.tree, prefix);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.expand(tree, prefix.clone()));
            }
            syn::UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.0.push(prefix);
            }
            syn::UseTree::Rename(name) => {
                prefix.push(name.ident.to_string());
                self.0.push(prefix);
            }
            _ => self.0.push(prefix),
        }
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test =
        |a: &syn::Attribute| a.parse_args::<syn::Path>().is_ok_and(|p| p.is_ident("test"));
    attributes.iter().any(|a| a.path().is_ident("cfg") && is_test(a))
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.expand(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// All modules below a folder, with the text of each, without modules for tests.
fn modules(folder: &Path, at: &Module, found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if matches!(name.as_str(), "tests" | "ui")
            || at.is_empty() && matches!(name.as_str(), "main" | "build" | "manual")
        {
            continue;
        }
        let below: Module = at.iter().cloned().chain([name.clone()]).collect();
        if path.is_dir() {
            modules(&path, &below, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_root = name == "mod" || at.is_empty() && name == "lib";
            let module = if is_root { at.clone() } else { below };
            found.insert(module, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The module that a path in `from` refers to; `None` if that is outside the crate.
fn target(path: &[String], from: &Module, all: &BTreeMap<Module, String>) -> Option<Module> {
    let mut base = from.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => (base, rest) = (Module::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while let Some("super") = rest.first().map(String::as_str) {
                base.pop();
                rest = &rest[1..];
            }
        }
        child => {
            base.push(child.to_owned());
            rest = &path[1..];
            if !all.contains_key(&base) {
                return None;
            }
        }
    }
    for name in rest {
        base.push(name.clone());
        if !all.contains_key(&base) {
            base.pop();
            break;
        }
    }
    Some(base)
}

/// Reads src. A module that names one of its own children is their table of contents, which is not
/// an import.
fn graph() -> Graph {
    let mut all = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &Module::new(), &mut all);
    let mut graph = Graph::new();
    for (module, text) in &all {
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(text).unwrap());
        let targets = paths.0.iter().filter_map(|path| target(path, module, &all));
        let named = targets.filter(|to| !to.is_empty() && !to.starts_with(module)).collect();
        graph.insert(module.clone(), named);
    }
    graph
}

/// The rooms in the order of the table in src/lib.rs.
fn rooms() -> Vec<String> {
    let text = include_str!("../src/lib.rs");
    let row = |line: &str| Some(line.strip_prefix("//! | [`")?.split_once('`')?.0.to_owned());
    text.lines().filter_map(row).collect()
}

#[test]
fn a_room_imports_only_rooms_above_it() {
    let (rooms, graph) = (rooms(), graph());
    let place = |room: &String| {
        let place = rooms.iter().position(|other| other == room);
        place.unwrap_or_else(|| panic!("{room}: not in the table of src/lib.rs"))
    };
    let mut wrong = Vec::new();
    for (module, named) in graph.iter().filter(|(module, _)| !module.is_empty()) {
        for to in named.iter().filter(|to| place(&to[0]) > place(&module[0])) {
            wrong.push(format!("{} imports {}", module.join("::"), to.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let there: BTreeSet<_> = graph.keys().filter_map(|module| module.first()).collect();
    assert_eq!(there, rooms.iter().collect(), "rooms, and the table of src/lib.rs");
    // Verifies that imports are found at all.
    let imports = |from: &str, to: &str| {
        let of_room = graph.iter().filter(|(module, _)| module.first().is_some_and(|m| m == from));
        of_room.flat_map(|(_, named)| named).any(|named| named[0] == to)
    };
    assert!(imports("web", "store") && imports("ask", "account") && !imports("decode", "ring"));
}

#[test]
fn modules_of_a_room_do_not_import_each_other_in_circles() {
    let mut graph = graph();
    // Removes modules without imports, repeatedly: circles are what remains.
    loop {
        let before = graph.len();
        let left: BTreeSet<_> = graph.keys().cloned().collect();
        graph.retain(|_, named| {
            named.retain(|to| left.contains(to));
            !named.is_empty()
        });
        if graph.len() == before {
            break;
        }
    }
    assert!(graph.is_empty(), "circles, and what leads to them: {graph:#?}");
}
