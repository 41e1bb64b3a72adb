//! What a checkpoint keeps between two pages of contacts: how many rows were seen of how many, and of whose.

use std::fmt;
use std::str::FromStr;

use super::numbers::Number;
use crate::adapters::http::ApiError;

/// The place after a page that was not the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageLink {
    /// Rows of the pages before, which is also how many to skip.
    pub(super) seen: u64,
    pub(super) total: u64,
    pub(super) agent: Number,
}

impl fmt::Display for PageLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seen, total, agent } = self;
        write!(f, "seen={seen}&total={total}&agent={agent}")
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
    let mut members = text.split('&');
    let mut number = |name: &str| -> Option<u64> {
        let digits = members.next()?.strip_prefix(name)?.strip_prefix('=')?;
        digits.parse().ok()
    };
    let link = PageLink {
        seen: number("seen")?,
        total: number("total")?,
        agent: Number::new(number("agent")?)?,
    };
    let is_between = (1..link.total).contains(&link.seen);
    (is_between && link.to_string() == text).then_some(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_link_reads_back_and_a_damaged_one_does_not() {
        let link = "seen=2&total=3&agent=17";
        assert_eq!(link.parse::<PageLink>().unwrap().to_string(), link);
        for damaged in [
            "",
            "seen=2&total=3",
            "seen=2&total=3&agent=17&more=1",
            "seen=3&total=3&agent=17",
            "seen=0&total=3&agent=17",
            "seen=2&total=3&agent=0",
            "seen=+2&total=3&agent=17",
            "seen=02&total=3&agent=17",
            "seen=2&total=3&agent=17/../18",
            "seen=2&total=3&agent=18446744073709551615",
            "total=3&seen=2&agent=17",
            "https://evil.example/?seen=2&total=3&agent=17",
        ] {
            assert!(damaged.parse::<PageLink>().is_err(), "{damaged}");
        }
    }
}
