//! What each module uses of the others, as far as a parser can see it: `use` items, and paths that
//! begin with `crate`, `super` or `self`, or with the name of a child module.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Item, ItemUse, UseTree, Visibility};

use crate::source::{Module, is_for_tests};

type Modules = BTreeMap<Vec<String>, Module>;

/// One use of another module of the crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// The module that defines what is used, as far as its path and re-exports show it.
    pub(crate) module: Vec<String>,
    /// The path as it is written.
    pub(crate) written: String,
}

/// What a module uses of the crate. Re-exports (`pub(crate) use child::Name`) only pass a name on,
/// and are not uses.
pub(crate) fn imports(module: &Module, modules: &Modules) -> BTreeSet<Import> {
    let mut collector = Collector {
        module,
        paths: Vec::new(),
    };
    collector.visit_file(&module.syntax);

    let resolved = collector.paths.into_iter().filter_map(|path| {
        let absolute = absolute(module, modules, &path)?;
        let target = definer(&absolute, modules, 0)?;
        (target != module.path).then(|| Import {
            module: target,
            written: path.join("::"),
        })
    });
    resolved.collect()
}

/// The vendor crates that a module names, by the first part of a path.
pub(crate) fn crates(module: &Module) -> BTreeSet<String> {
    let mut collector = Collector {
        module,
        paths: Vec::new(),
    };
    collector.visit_file(&module.syntax);
    let first = |path: Vec<String>| path.into_iter().next();
    collector.paths.into_iter().filter_map(first).collect()
}

struct Collector<'a> {
    module: &'a Module,
    paths: Vec<Vec<String>>,
}

impl Collector<'_> {
    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            UseTree::Name(name) => self.leaf(before, &name.ident.to_string()),
            UseTree::Rename(name) => self.leaf(before, &name.ident.to_string()),
            UseTree::Glob(_) => self.paths.push(before.clone()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
        }
    }

    fn leaf(&mut self, before: &[String], name: &str) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        self.paths.push(path);
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Const(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            self.tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.paths.push(names.collect());
        }
        visit::visit_path(self, path);
    }
}

/// The path from the crate's root, if it leads into the crate.
fn absolute(module: &Module, modules: &Modules, path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => module.path.clone(),
        "super" => module
            .path
            .split_last()
            .map(|(_, parent)| parent.to_vec())?,
        _ => {
            let mut child = module.path.clone();
            child.push(first.clone());
            if !modules.contains_key(&child) {
                return None;
            }
            child
        }
    };

    for name in rest {
        if name == "super" {
            base.pop();
        } else {
            base.push(name.clone());
        }
    }
    Some(base)
}

/// The module that defines what the path names: the deepest module on it, or where a re-export of
/// that module leads to.
fn definer(path: &[String], modules: &Modules, depth: usize) -> Option<Vec<String>> {
    let mut length = path.len();
    while !modules.contains_key(&path[..length]) {
        length = length.checked_sub(1)?;
    }

    let module = &modules[&path[..length]];
    if let Some(name) = path.get(length)
        && depth < 8
        && let Some(target) = re_export(module, modules, name)
    {
        return definer(&target, modules, depth + 1);
    }
    Some(path[..length].to_vec())
}

/// Where a `pub use` of this module says that the name comes from.
fn re_export(module: &Module, modules: &Modules, name: &str) -> Option<Vec<String>> {
    let mut collector = Collector {
        module,
        paths: Vec::new(),
    };
    for item in &module.syntax.items {
        if let Item::Use(item) = item
            && !matches!(item.vis, Visibility::Inherited)
        {
            collector.tree(&item.tree, &mut Vec::new());
        }
    }

    let named = |path: &Vec<String>| path.last().is_some_and(|last| last == name);
    let path = collector.paths.iter().find(|path| named(path))?;
    absolute(collector.module, modules, path)
}
