//! Plain English, and the field's own words: docs/ARCHITECTURE.md has the glossary. Each banned word
//! has a better one; words that are stored or sent are written as code: quoted or in backticks.

use std::path::PathBuf;

use regex::{Regex, RegexSet};

use crate::no_faults;
use crate::source::{files, read, root, shown};

/// A pattern (whole words, any case), and what to write in its place.
const BANNED: [(&str, &str); 28] = [
    (r"mend(?:s|ed|ing)?", "fix"),
    (r"anew", "again"),
    (r"so many", "a number: `at most N`"),
    (r"so much", "a number"),
    (r"told", "reported, said, named"),
    (r"tells?", "says, reports"),
    (r"stands?", "is, exists"),
    (r"stood", "was"),
    (r"stand-ins?", "placeholder"),
    (r"everybody", "name who"),
    (r"whoever", "name who"),
    (r"meanwhile", "in the meantime, concurrently"),
    (r"of late", "in the last 5 minutes"),
    (r"ills", "faults"),
    (r"brakes?", "deletion rate limit"),
    (r"braked", "delayed by the deletion rate limit"),
    (r"parks?", "delay"),
    (r"parked", "delayed"),
    (r"doorkeeper", "deduplicator"),
    (r"hurried", "scaled"),
    (r"kill[_ -]points?", "failpoint"),
    (r"off board", "off-board, off-boarded"),
    (r"looks? whether", "check whether"),
    (r"look(?:s|ed|ing)? at", "read, check, scan, list"),
    (r"go(?:es)? on", "continue"),
    (r"in (?:its|our|their|his) hands?", "in flight"),
    (r"letters?", "dead letter, message"),
    (r"on record", "in the audit log"),
];

/// Where a banned word is right: what comes before or after it makes it another word, or marks it
/// as code. `NN` is the word.
const ALLOWED: [&str; 10] = [
    r#"["'`{=/_.$-]NN\b"#,
    r#"\bNN["'`}=_(:-]"#,
    r"dead[- ]NN\b",
    r"\bnewsNN\b",
    r"(?:capital|lower-case|upper-case|ASCII|first|drive) NN\b",
    r"\bNN,? (?:(?:and|or) )?digits\b",
    r"\bNN of (?:the )?alphabet\b",
    r"\bNN-by-",
    r"\bNN alone lines\b",
    r"x-offboarder-NN\b",
];

fn pages() -> Vec<PathBuf> {
    let code = [
        ".rs", ".py", ".sh", ".toml", ".yaml", ".yml", ".md", ".service", ".env", ".conf",
    ];
    let mut pages = Vec::new();
    for folder in ["src", "tests", "docs", "deploy", "benches", "fuzz"] {
        pages.extend(files(folder, &code));
    }
    for name in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "state-machine.md",
    ] {
        pages.push(root().join(name));
    }
    pages.push(root().join("Makefile"));
    pages.push(root().join("Cargo.toml"));
    pages.retain(|page| !page.ends_with("tests/tidy/words.rs"));
    pages
}

/// The faults of one line, as `word: better`.
struct Rules {
    any: RegexSet,
    each: Vec<(Regex, Vec<Regex>, &'static str)>,
}

impl Rules {
    fn new() -> Self {
        let whole = |word: &str| format!(r"(?i)\b(?:{word})\b");
        let each = BANNED.iter().map(|(word, better)| {
            let allowed = ALLOWED.iter().map(|pattern| {
                let pattern = pattern.replace("NN", &format!("(?:{word})"));
                Regex::new(&format!("(?i){pattern}")).expect("a pattern")
            });
            (
                Regex::new(&whole(word)).expect("a pattern"),
                allowed.collect(),
                *better,
            )
        });
        Self {
            any: RegexSet::new(BANNED.map(|(word, _)| whole(word))).expect("patterns"),
            each: each.collect(),
        }
    }

    fn faults(&self, line: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for index in self.any.matches(line) {
            let (word, allowed, better) = &self.each[index];
            let all: Vec<_> = word.find_iter(line).collect();
            let excused = |found: &regex::Match<'_>| {
                allowed.iter().any(|pattern| {
                    pattern
                        .find_iter(line)
                        .any(|other| other.start() <= found.start() && found.end() <= other.end())
                })
            };
            for found in all.iter().filter(|found| !excused(found)) {
                faults.push(format!("`{}`: {better}", found.as_str()));
            }
        }
        faults
    }
}

#[test]
fn the_words_are_plain() {
    let rules = Rules::new();
    let mut faults = Vec::new();
    for page in pages() {
        for (number, line) in read(&page).lines().enumerate() {
            for fault in rules.faults(line) {
                faults.push(format!("  {}:{} {fault}", shown(&page), number + 1));
            }
        }
    }
    no_faults(
        "plain English",
        "say who does what, in the field's words; docs/ARCHITECTURE.md has the glossary",
        &faults,
    );
}

#[test]
fn a_banned_word_is_found_and_code_is_left_alone() {
    let rules = Rules::new();
    assert_eq!(rules.faults("a restart mends it").len(), 1);
    assert_eq!(rules.faults("the oldest letter").len(), 1);
    assert_eq!(
        rules.faults("the oldest dead letter, Dead letters").len(),
        0
    );
    assert_eq!(rules.faults(r#"the word "brake" and `parked`"#).len(), 0);
    assert_eq!(rules.faults("x-offboarder-stand-in").len(), 0);
    assert_eq!(rules.faults("understands, a recommended default").len(), 0);
}
