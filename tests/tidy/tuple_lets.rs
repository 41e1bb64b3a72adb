//! Each name gets a line of its own.

use std::path::Path;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::no_faults;
use crate::source::{files, read, shown};

struct TupleLets<'a> {
    file: &'a Path,
    found: Vec<String>,
}

impl TupleLets<'_> {
    fn add(&mut self, span: proc_macro2::Span) {
        let place = format!("  {}:{}", shown(self.file), span.start().line);
        self.found.push(place);
    }
}

impl<'ast> Visit<'ast> for TupleLets<'_> {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        let is_tuple = match &local.pat {
            syn::Pat::Type(typed) => matches!(*typed.pat, syn::Pat::Tuple(_)),
            pattern => matches!(pattern, syn::Pat::Tuple(_)),
        };
        // With `else`, the tuple is a condition.
        let takes_tuple = local.init.as_ref().is_some_and(|init| {
            init.diverge.is_none() && matches!(*init.expr, syn::Expr::Tuple(_))
        });
        if is_tuple && takes_tuple {
            self.add(local.span());
        }
        visit::visit_local(self, local);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        let is_tuple = |side: &syn::Expr| matches!(side, syn::Expr::Tuple(_));
        if is_tuple(&assign.left) && is_tuple(&assign.right) {
            self.add(assign.span());
        }
        visit::visit_expr_assign(self, assign);
    }
}

fn tuple_lets(file: &Path, text: &str) -> Vec<String> {
    let mut lets = TupleLets {
        file,
        found: Vec::new(),
    };
    lets.visit_file(&syn::parse_file(text).expect("a file that compiles"));
    lets.found
}

#[test]
fn each_name_gets_a_line_of_its_own() {
    let paths = ["src", "tests", "fuzz/fuzz_targets"]
        .into_iter()
        .flat_map(|folder| files(folder, &[".rs"]));
    let faults: Vec<String> = paths
        .flat_map(|path| tuple_lets(&path, &read(&path)))
        .collect();
    no_faults(
        "no `let (a, b) = (x, y)`",
        "write `let a = x;` and `let b = y;`: a reader then sees what a name is without counting",
        &faults,
    );
}

#[test]
fn a_tuple_of_a_tuple_is_found_and_other_patterns_are_left_alone() {
    let found = |body: &str| tuple_lets(Path::new("x.rs"), &format!("fn f() {{ {body} }}")).len();
    for fault in [
        "let (a, b) = (1, 2);",
        "let (a, b): (u8, u8) = (1, 2);",
        "let f = || { let (mut a, b) = (1, 2); };",
        "(a, b) = (1, 2);",
    ] {
        assert_eq!(found(fault), 1, "{fault}");
    }
    for fine in [
        "let (a, b) = pair();",
        "let (Some(a), Some(b)) = (x, y) else { return };",
        "if let (Some(a), Some(b)) = (x, y) {}",
        "(a, b) = pair();",
    ] {
        assert_eq!(found(fine), 0, "{fine}");
    }
}
