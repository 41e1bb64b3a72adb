//! The files of the repository, and the modules of the crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item};

/// Folders that hold nothing we wrote, or what is copied as it is.
const NOT_OURS: [&str; 9] = [
    ".git",
    ".local",
    ".venv",
    "contract",
    "corpus",
    "node_modules",
    "offboarder-data",
    "target",
    "vendor",
];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `folder` with one of these endings, without those of others.
pub(crate) fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), endings, &mut found);
    found.sort();
    assert!(!found.is_empty(), "there is no such file below {folder}");
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();

        if path.is_dir() && !path.is_symlink() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// The path as people write it, from the root of the repository.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module of the crate: one file.
pub(crate) struct Module {
    /// `["worker", "intake", "session"]`; the crate's root is empty.
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) syntax: syn::File,
}

/// Every module that a release is built from, by its path. What is compiled for tests or for
/// fuzzing only is left out: a test may look wherever it has to.
pub(crate) fn modules() -> BTreeMap<Vec<String>, Module> {
    let mut modules = BTreeMap::new();
    add(&root().join("src/lib.rs"), Vec::new(), &mut modules);
    modules
}

fn add(file: &Path, path: Vec<String>, modules: &mut BTreeMap<Vec<String>, Module>) {
    let syntax =
        syn::parse_file(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));

    for item in &syntax.items {
        let Item::Mod(child) = item else { continue };
        if child.content.is_some() || is_for_tests(&child.attrs) {
            continue;
        }
        let name = child.ident.to_string();
        let mut child_path = path.clone();
        child_path.push(name);
        add(&file_of(&child_path), child_path, modules);
    }

    let file = file.to_path_buf();
    modules.insert(path.clone(), Module { path, file, syntax });
}

fn file_of(path: &[String]) -> PathBuf {
    let base = root().join("src").join(path.join("/"));
    let flat = base.with_extension("rs");
    if flat.exists() {
        flat
    } else {
        base.join("mod.rs")
    }
}

/// Whether an item is compiled only for tests or fuzzing.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition == "test" || condition.replace(' ', "") == "any(test,fuzzing)"
            })
    })
}
