//! What one page leaves for the next: which page that is, what the query counts, and what the last rows were. A checkpoint
//! keeps it as text, so that a crash keeps the proof that a window is whole.

use std::fmt;
use std::str::FromStr;

use crate::adapters::http::{ApiError, PagesEnd};

const LARGEST_PAGE: u64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextPage {
    pub(super) number: u64,
    /// Conversations a page; the setting may have changed since.
    pub(super) size: u64,
    /// The conversations of the query, as each page has to say.
    pub(super) hits: u64,
    /// The conversations of the pages before.
    pub(super) seen: u64,
    pub(super) end: PagesEnd,
}

impl fmt::Display for NextPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            size,
            hits,
            seen,
            end,
        } = self;
        write!(f, "page={number}&size={size}&hits={hits}&seen={seen}&{end}")
    }
}

/// Reads a link that a checkpoint saved: the form that `Display` gives with numbers that belong together, and nothing
/// else.
impl FromStr for NextPage {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        parse(text)
            .filter(|link| link.is_consistent() && link.to_string() == text)
            .ok_or_else(|| ApiError::BadNextPage {
                why: "the saved link is damaged".to_owned(),
            })
    }
}

impl NextPage {
    /// Each page before had a conversation and at most `size`, and one is still to come.
    fn is_consistent(&self) -> bool {
        let before = self.number.saturating_sub(1);
        before >= 1
            && (1..=LARGEST_PAGE).contains(&self.size)
            && (before..=before.saturating_mul(self.size)).contains(&self.seen)
            && self.seen < self.hits
    }
}

fn parse(text: &str) -> Option<NextPage> {
    let mut parts = text.splitn(5, '&');
    let mut part = || parts.next();
    let mut value = |name: &str| part()?.strip_prefix(name)?.strip_prefix('=');
    Some(NextPage {
        number: value("page")?.parse().ok()?,
        size: value("size")?.parse().ok()?,
        hits: value("hits")?.parse().ok()?,
        seen: value("seen")?.parse().ok()?,
        end: PagesEnd::read(part()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "page=3&size=100&hits=250&seen=200&last=1717200000123&ids=0123456789abcdef,00000000000000ff";

    #[test]
    fn a_saved_link_reads_back() {
        for text in [
            GOOD,
            "page=2&size=1&hits=2&seen=1&last=&ids=",
            "page=2&size=100&hits=101&seen=100&last=-1&ids=",
        ] {
            assert_eq!(text.parse::<NextPage>().unwrap().to_string(), text);
        }
        let last = GOOD.parse::<NextPage>().unwrap();
        assert_eq!((last.number, last.seen), (3, 200));
    }

    #[test]
    fn a_link_that_no_page_of_ours_leaves_is_refused() {
        let changed = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            GOOD.replace(from, to)
        };
        for text in [
            String::new(),
            "https://evil.example/?page=2".to_owned(),
            changed("page=3", "page=1"),
            changed("page=3", "page=0"),
            changed("page=3", "page=2"),
            changed("page=3", "page=+3"),
            changed("page=3", "page=03"),
            changed("page=3", "page=202"),
            changed("size=100", "size=101"),
            changed("size=100", "size=0"),
            changed("seen=200", "seen=250"),
            changed("seen=200", "seen=1"),
            changed("hits=250", "hits=200"),
            changed("hits=250", "hits=99999999999999999999999"),
            changed("hits=250&seen=200", "seen=200&hits=250"),
            changed("last=1717200000123", "last=soon"),
            format!("{GOOD}&page=4"),
        ] {
            assert!(text.parse::<NextPage>().is_err(), "{text}");
        }
    }
}
