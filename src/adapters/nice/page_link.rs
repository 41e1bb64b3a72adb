//! What a checkpoint keeps between two pages of contacts: how many rows were seen of how many, of
//! whose, and what the last ones were.

use std::fmt;
use std::str::FromStr;

use super::numbers::Number;
use crate::adapters::http::{ApiError, PagesEnd};

/// The place after a page that was not the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageLink {
    /// Rows of the pages before, which is also how many to skip.
    pub(super) seen: u64,
    pub(super) total: u64,
    pub(super) agent: Number,
    pub(super) end: PagesEnd,
}

impl fmt::Display for PageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen,
            total,
            agent,
            end,
        } = self;
        write!(f, "seen={seen}&total={total}&agent={agent}&{end}")
    }
}

/// The form that `Display` gives, and nothing else: a checkpoint may be forged.
impl FromStr for PageLink {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        parse(text).ok_or_else(|| ApiError::BadNextPage {
            why: "the saved link is damaged".to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<PageLink> {
    let mut parts = text.splitn(4, '&');
    let mut part = || parts.next();
    let mut number = |name: &str| part()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    let link = PageLink {
        seen: number("seen")?,
        total: number("total")?,
        agent: Number::new(number("agent")?)?,
        end: PagesEnd::read(part()?)?,
    };
    let is_between = (1..link.total).contains(&link.seen);
    (is_between && link.to_string() == text).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_link_reads_back_and_a_damaged_one_does_not() {
        let link = "seen=2&total=3&agent=17&last=1717200000123&ids=0123456789abcdef";
        assert_eq!(link.parse::<PageLink>().unwrap().to_string(), link);
        for damaged in [
            "",
            "seen=2&total=3&last=&ids=",
            "seen=2&total=3&agent=17",
            "seen=2&total=3&agent=17&last=&ids=&more=1",
            "seen=3&total=3&agent=17&last=&ids=",
            "seen=0&total=3&agent=17&last=&ids=",
            "seen=2&total=3&agent=0&last=&ids=",
            "seen=+2&total=3&agent=17&last=&ids=",
            "seen=02&total=3&agent=17&last=&ids=",
            "seen=2&total=3&agent=17/../18&last=&ids=",
            "seen=2&total=3&agent=18446744073709551615&last=&ids=",
            "total=3&seen=2&agent=17&last=&ids=",
            "https://evil.example/?seen=2&total=3&agent=17&last=&ids=",
        ] {
            assert!(damaged.parse::<PageLink>().is_err(), "{damaged}");
        }
    }
}
