//! No two files use each other, directly or over others: each can be read and changed by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::imports;
use crate::no_faults;
use crate::source::{modules, shown};

type Graph = BTreeMap<String, BTreeSet<String>>;

fn graph() -> Graph {
    let modules = modules();
    let mut graph = Graph::new();
    for module in modules.values() {
        if module.path.first().is_some_and(|room| room == "simulator") {
            continue;
        }
        let uses = graph.entry(shown(&module.file)).or_default();
        for import in imports(module, &modules) {
            uses.insert(shown(&modules[&import.module].file));
        }
    }
    graph
}

/// Every file that can be reached from `start`.
fn reached<'a>(graph: &'a Graph, start: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(file) = waiting.pop() {
        for next in graph.get(file).into_iter().flatten() {
            if seen.insert(next.as_str()) {
                waiting.push(next);
            }
        }
    }
    seen
}

/// Groups of files that use each other.
fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|file| (file.as_str(), reached(graph, file)))
        .collect();

    let mut circles = BTreeSet::new();
    for (file, reached) in &reach {
        if reached.contains(file) {
            let mutual = reached.iter().filter(|other| reach[**other].contains(file));
            circles.insert(mutual.map(|other| (*other).to_owned()).collect());
        }
    }
    circles
}

#[test]
fn no_files_use_each_other() {
    let graph = graph();
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    let circles = circles(&graph);
    println!(
        "{} files, {edges} uses, {} circles",
        graph.len(),
        circles.len()
    );

    let faults: Vec<String> = circles
        .iter()
        .map(|circle| {
            let uses = circle.iter().flat_map(|file| {
                let inside = graph[file].iter().filter(|used| circle.contains(*used));
                inside.map(move |used| format!("    {file} uses {used}"))
            });
            format!("  a circle:\n{}", uses.collect::<Vec<_>>().join("\n"))
        })
        .collect();
    no_faults(
        "no circles between files",
        "move what both need into a file of its own, below both",
        &faults,
    );
}

#[test]
fn a_circle_over_three_files_is_found() {
    let uses = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let graph = Graph::from([
        ("a".to_owned(), uses(&["b", "d"])),
        ("b".to_owned(), uses(&["c"])),
        ("c".to_owned(), uses(&["a"])),
        ("d".to_owned(), uses(&[])),
    ]);
    assert_eq!(circles(&graph), BTreeSet::from([uses(&["a", "b", "c"])]));
}
