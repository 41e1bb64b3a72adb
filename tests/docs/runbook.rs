//! The runbook has one whole section for each failure code and each reason of dead letters, and no
//! other.
//!
//! The words come from `docs/openapi.json`, which a test of the library compares with the code.

use serde_json::Value;

use crate::read;

const RUNBOOK: &str = "docs/operations/runbook.md";
const PARTS: [&str; 3] = ["**Means**", "**By itself**", "**You do**"];

struct Section<'a> {
    chapter: &'a str,
    heading: &'a str,
    text: &'a str,
}

fn sections(runbook: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    for chapter in runbook.split("\n## ").skip(1) {
        let mut pieces = chapter.split("\n### ");
        let chapter = pieces
            .next()
            .and_then(|head| head.lines().next())
            .unwrap_or_default();
        sections.extend(pieces.map(|piece| {
            let (heading, text) = piece.split_once('\n').unwrap_or((piece, ""));
            Section {
                chapter,
                heading,
                text,
            }
        }));
    }
    sections
}

/// The words of an enumeration of the API, as headings.
fn words(openapi: &Value, schema: &str) -> Vec<String> {
    let words = openapi["components"]["schemas"][schema]["enum"]
        .as_array()
        .unwrap_or_else(|| panic!("docs/openapi.json has no enumeration {schema}"));
    words
        .iter()
        .map(|word| format!("`{}`", word.as_str().expect("a word")))
        .collect()
}

fn chapters() -> [(&'static str, Vec<String>); 2] {
    let openapi: Value = serde_json::from_str(&read("docs/openapi.json")).expect("JSON");
    [
        ("Codes", words(&openapi, "Code")),
        ("Dead letters by reason", words(&openapi, "Reason")),
    ]
}

/// What is wrong with a runbook.
fn faults(runbook: &str) -> Vec<String> {
    let chapters = chapters();
    let sections = sections(runbook);
    let mut faults = Vec::new();

    for (chapter, words) in &chapters {
        let headings: Vec<&str> = sections
            .iter()
            .filter(|section| section.chapter == *chapter)
            .map(|section| section.heading)
            .collect();
        let missing: Vec<&String> = words
            .iter()
            .filter(|word| !headings.contains(&word.as_str()))
            .collect();
        let no_section = |word| format!("{word} has no section in {chapter}");
        faults.extend(missing.iter().map(no_section));
        if missing.is_empty() && headings.len() == words.len() && headings != *words {
            faults.push(format!("{chapter} is not in the order of the code"));
        }
    }

    for (index, section) in sections.iter().enumerate() {
        let Section {
            chapter,
            heading,
            text,
        } = section;
        let is_known = chapters
            .iter()
            .any(|(name, words)| name == chapter && words.iter().any(|word| word == heading));
        if !is_known {
            faults.push(format!("{heading} in {chapter} is no word of the code"));
        }
        let mut before = sections.iter().take(index);
        if before.any(|other| other.chapter == *chapter && other.heading == *heading) {
            faults.push(format!("{heading} in {chapter} is there twice"));
        }
        let lacking = PARTS
            .iter()
            .filter(|part| !text.lines().any(|line| line.starts_with(**part)));
        faults.extend(lacking.map(|part| format!("{heading} in {chapter} lacks {part}")));
    }
    faults
}

#[test]
fn the_runbook_has_a_whole_section_for_every_code_and_reason_and_no_other() {
    let faults = faults(&read(RUNBOOK));
    assert!(faults.is_empty(), "{RUNBOOK}:\n  {}", faults.join("\n  "));
}

#[test]
fn a_fault_of_the_runbook_is_named() {
    let runbook = read(RUNBOOK);
    for (from, to, fault) in [
        (
            "### `panicked`",
            "#### `panicked`",
            "`panicked` has no section in Codes",
        ),
        (
            "### `internal`",
            "#### `internal`",
            "`internal` has no section in Codes",
        ),
        (
            "### `poison`",
            "#### `poison`",
            "`poison` has no section in Dead letters by reason",
        ),
        (
            "### `panicked`",
            "### `panicky`",
            "`panicky` in Codes is no word of the code",
        ),
        (
            "### `panicked`",
            "### `archive_full`",
            "`archive_full` in Codes is there twice",
        ),
        (
            "## Replay\n",
            "## Replay\n\n### `x`\n",
            "`x` in Replay is no word of the code",
        ),
        (
            "**Means**",
            "Means",
            "`cxone_unreachable` in Codes lacks **Means**",
        ),
        (
            "**You do**",
            "You do",
            "`cxone_unreachable` in Codes lacks **You do**",
        ),
    ] {
        let faults = faults(&runbook.replacen(from, to, 1));
        assert!(
            faults.iter().any(|named| named == fault),
            "{fault}: {faults:?}"
        );
    }
}
