//! Functions of at most 70 lines, files of at most 400.

use std::path::Path;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::no_faults;
use crate::source::{files, read, shown};

const LINES_OF_A_FILE: usize = 400;
const LINES_OF_A_FUNCTION: usize = 70;

fn sources() -> Vec<std::path::PathBuf> {
    ["src", "tests", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]))
        .collect()
}

#[test]
fn files_have_at_most_400_lines() {
    let mut lengths: Vec<(usize, String)> = sources()
        .iter()
        .chain(&files("tests/python", &[".py"]))
        .chain(&files("benches", &[".py"]))
        .map(|path| (read(path).lines().count(), shown(path)))
        .collect();
    lengths.sort();
    println!(
        "{} files, median {} lines, longest {:?}",
        lengths.len(),
        lengths[lengths.len() / 2].0,
        lengths.last()
    );

    let faults: Vec<String> = lengths
        .iter()
        .filter(|(lines, _)| *lines > LINES_OF_A_FILE)
        .map(|(lines, file)| format!("  {file}: {lines} lines"))
        .collect();
    no_faults(
        "files have at most 400 lines",
        "split the file by subject; tests can move to a file beside it",
        &faults,
    );
}

struct Functions<'a> {
    file: &'a Path,
    found: Vec<(usize, String)>,
}

impl Functions<'_> {
    fn add(&mut self, name: &syn::Ident, span: proc_macro2::Span) {
        let lines = span.end().line + 1 - span.start().line;
        let place = format!("{}:{} {name}", shown(self.file), span.start().line);
        self.found.push((lines, place));
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        let begin = function.sig.span();
        let whole = begin.join(function.block.span()).unwrap_or(begin);
        self.add(&function.sig.ident, whole);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        let begin = function.sig.span();
        let whole = begin.join(function.block.span()).unwrap_or(begin);
        self.add(&function.sig.ident, whole);
        visit::visit_impl_item_fn(self, function);
    }
}

#[test]
fn functions_have_at_most_70_lines() {
    let mut all = Vec::new();
    for path in sources() {
        let syntax = syn::parse_file(&read(&path)).expect("a file that compiles");
        let mut functions = Functions {
            file: &path,
            found: Vec::new(),
        };
        functions.visit_file(&syntax);
        all.append(&mut functions.found);
    }
    all.sort();
    println!(
        "{} functions, median {} lines, longest {:?}",
        all.len(),
        all[all.len() / 2].0,
        all.last()
    );

    let faults: Vec<String> = all
        .iter()
        .filter(|(lines, _)| *lines > LINES_OF_A_FUNCTION)
        .map(|(lines, place)| format!("  {place}: {lines} lines"))
        .collect();
    no_faults(
        "functions have at most 70 lines",
        "give a paragraph of it a name, and a function of its own",
        &faults,
    );
}
