//! Every setting that a page, a trial or a deployment names is one of the program's.

use std::collections::BTreeSet;

use regex::Regex;

use crate::no_faults;
use crate::source::{files, read, root, shown};

/// Variables that no settings table holds: the settings file, and what only tests and builds read.
const OTHERS: [&str; 7] = [
    "OFFBOARDER_CONFIG",
    "OFFBOARDER_CHAOS_SEED",
    "OFFBOARDER_CHAOS_USERS",
    "OFFBOARDER_OTHER_RELEASE",
    "OFFBOARDER_SERVERS",
    "OFFBOARDER_UPGRADE_FROM",
    "OFFBOARDER_VERSION",
];

fn known() -> BTreeSet<String> {
    let name = Regex::new(r#""(?:OFFBOARDER_)?([a-z_]+(?:\.[a-z_]+)+)""#).expect("a pattern");
    let table = read(&root().join("src/config/table.rs"));
    let keys = name.captures_iter(&table).map(|found| found[1].to_owned());
    keys.map(|key| format!("OFFBOARDER_{}", key.replace('.', "_").to_uppercase()))
        .collect()
}

#[test]
fn every_setting_that_is_named_exists() {
    let known = known();
    assert!(
        known.len() > 30,
        "the settings table was not understood: {known:?}"
    );
    let named = Regex::new(r"OFFBOARDER_[A-Z][A-Z_]*[A-Z]").expect("a pattern");

    let mut pages = files("docs", &[".md", ".yaml", ".env"]);
    pages.extend(files(
        "deploy",
        &[".md", ".yaml", ".yml", ".env", ".service", ".sh"],
    ));
    pages.extend(["README.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root().join(name)));

    let mut faults = Vec::new();
    for page in pages {
        let text = read(&page);
        for found in named.find_iter(&text) {
            let name = found.as_str();
            let value = name.strip_suffix("_FILE").unwrap_or(name);
            let is_known = known.contains(name) || known.contains(value) || OTHERS.contains(&name);
            let is_prefix = known
                .iter()
                .any(|known| known.starts_with(&format!("{name}_")));
            if !is_known && !is_prefix {
                faults.push(format!("  {}: {name}", shown(&page)));
            }
        }
    }
    no_faults(
        "every setting that is named exists",
        "name a setting of src/config/table.rs; tests/tidy/settings.rs lists the few others",
        &faults,
    );
}
