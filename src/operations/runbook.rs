//! The runbook, built in, and links to the deployment's copy of it.

use crate::failure::Code;

const RUNBOOK: &str = include_str!("../../docs/operations/runbook.md");

/// All of it, as Markdown.
pub(crate) const fn text() -> &'static str {
    RUNBOOK
}

/// A section of the runbook: about a code, a reason or an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    /// The heading without its backticks, e.g. `cxone_timeout`.
    pub word: &'static str,
    /// The chapter, e.g. `Codes`.
    pub chapter: &'static str,
    /// Markdown, without the heading.
    pub text: &'static str,
}

/// All sections, in the order of the runbook.
fn sections() -> impl Iterator<Item = Section> {
    RUNBOOK.split("\n## ").skip(1).flat_map(|chapter| {
        // Codes have headings of the third level, alerts of the fourth.
        let mut pieces = chapter.split("\n###");
        let head = pieces.next().unwrap_or_default();
        let chapter = head.lines().next().unwrap_or_default();
        pieces.map(move |piece| {
            let heading = piece.lines().next().unwrap_or_default();
            Section {
                word: heading.trim_matches(['#', ' ', '`']),
                chapter,
                text: piece.get(heading.len()..).unwrap_or_default().trim(),
            }
        })
    })
}

/// The sections about a word: a code and a reason may be the same word.
pub(crate) fn explain(word: &str) -> Vec<Section> {
    sections()
        .filter(|section| section.word.eq_ignore_ascii_case(word))
        .collect()
}

/// The words that are most like an unknown one.
pub(crate) fn nearest(word: &str) -> Vec<&'static str> {
    const NAMED: usize = 3;

    let word = word.to_ascii_lowercase();
    let mut known: Vec<&'static str> = sections().map(|section| section.word).collect();
    known.sort_unstable();
    known.dedup();
    known.sort_by_key(|known| strsim::damerau_levenshtein(&word, &known.to_ascii_lowercase()));
    known.truncate(NAMED);
    known
}

/// The code in brackets at the end of a text for people, if it is one of ours.
pub(crate) fn code_of(text: &str) -> Option<Code> {
    let word = text.strip_suffix(']')?.rsplit_once('[')?.1;
    Code::ALL.iter().find(|code| code.as_str() == word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[test]
    fn every_code_and_every_reason_has_a_section_that_says_what_to_do() {
        let codes = Code::ALL.iter().map(|code| code.as_str());
        for word in codes.chain(Reason::ALL.iter().map(|reason| reason.as_str())) {
            let found = explain(word);
            assert!(!found.is_empty(), "{word}");
            for section in found {
                assert!(section.text.contains("**You do**"), "{section:?}");
                assert!(!section.text.contains("\n###"), "{section:?}");
            }
        }
        // A code and a reason.
        let chapters: Vec<_> = explain("user_not_found")
            .iter()
            .map(|section| section.chapter)
            .collect();
        assert_eq!(chapters, ["Codes", "Dead letters by reason"]);
        assert_eq!(explain("offboarderdeadlettersgrow").len(), 1);
    }

    #[test]
    fn an_unknown_word_has_nearest_ones() {
        assert_eq!(explain("cxone_timeuot"), []);
        assert_eq!(nearest("cxone_timeuot").first(), Some(&"cxone_timeout"));
        assert_eq!(nearest("Posion").first(), Some(&"poison"));
    }

    #[test]
    fn the_code_of_a_text_is_the_last_word_in_brackets() {
        assert_eq!(
            code_of("CXone answers 503 [cxone_server_error]"),
            Some(Code::CxoneServerError)
        );
        assert_eq!(code_of("paused by ada: [x]"), None);
        assert_eq!(code_of("draining"), None);
    }
}
