//! Documents quote the names of tests as “sentences”; each of these tests exists.

use std::path::Path;

use crate::{read, root};

const DOCUMENTS: [&str; 4] = [
    "state-machine.md",
    "docs/faults.md",
    "docs/safety.md",
    "docs/threat-model.md",
];

/// The text of all sources, with `_` as a blank, so that names of functions are sentences.
fn sources(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).expect("a folder of the repository");
    let read = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path)
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            read(&path).replace('_', " ")
        } else {
            String::new()
        }
    });
    read.collect()
}

fn quoted(document: &str) -> Vec<String> {
    document
        .split('“')
        .skip(1)
        .filter_map(|rest| rest.split('”').next())
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_tests_that_the_documents_name_exist() {
    let names = quoted(&DOCUMENTS.map(read).concat());
    assert!(
        names.len() > 20,
        "the documents name their tests: {names:?}"
    );

    let sources = sources(&root().join("src")) + &sources(&root().join("tests"));
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| {
            !sources.contains(&format!("\"{name}\"")) && !sources.contains(&format!("fn {name}("))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "no test has these names, which {DOCUMENTS:?} quote: {missing:#?}"
    );
}
