//! Shows that no row comes twice over the pages of a list. In the order of the rows' begin, which is asked for, a
//! repetition can only be among those that begin in the same millisecond, so that these are all that is remembered.

use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::ApiError;
use crate::ports::ConversationFacts;

/// Rows of one user that begin in the same millisecond: more are not remembered.
const MAX_IDS: usize = 200;
const DIGEST: usize = 16;

/// The end of the pages before, which a checkpoint keeps in the link to the next page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::adapters) struct PagesEnd {
    /// When the last row began, in milliseconds.
    last: Option<i64>,
    /// Digests of the IDs of those that began then.
    ids: Vec<String>,
}

impl fmt::Display for PagesEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.last.map_or_else(String::new, |last| last.to_string());
        write!(f, "last={last}&ids={}", self.ids.join(","))
    }
}

impl PagesEnd {
    /// Reads the form that `Display` gives, and nothing else: a checkpoint may be forged.
    pub(in crate::adapters) fn read(text: &str) -> Option<Self> {
        let (last, ids) = text.strip_prefix("last=")?.split_once("&ids=")?;
        let end = Self {
            last: match last {
                "" => None,
                last => Some(last.parse().ok()?),
            },
            ids: match ids {
                "" => Vec::new(),
                ids => ids.split(',').map(str::to_owned).collect(),
            },
        };
        let is_digest =
            |id: &String| id.len() == DIGEST && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_ours = end.ids.len() <= MAX_IDS && end.ids.iter().all(is_digest);
        (is_ours && end.to_string() == text).then_some(end)
    }
}

/// The rows of one page, after those of the pages before.
pub(in crate::adapters) struct InOrder {
    page: HashSet<String>,
    end: PagesEnd,
}

impl InOrder {
    pub(in crate::adapters) fn after(before: Option<&PagesEnd>) -> Self {
        Self {
            page: HashSet::new(),
            end: before.cloned().unwrap_or_default(),
        }
    }

    /// The next row of the page. A repetition hides a row that was passed over, while the total is still reached.
    pub(in crate::adapters) fn follow(
        &mut self,
        row: &ConversationFacts,
        what: &str,
    ) -> Result<(), ApiError> {
        let moved = |why: &str| ApiError::PagesMoved {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        let unreadable = |why: &str| ApiError::Unreadable {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        let id = row.id.as_deref().filter(|id| !id.is_empty());
        let digest = digest_of(id.ok_or_else(|| unreadable("a row without an ID"))?);
        let begins = row.start.map(Timestamp::as_millisecond);

        let is_back = |(last, begins): (i64, i64)| begins < last;
        if self.end.last.zip(begins).is_some_and(is_back) {
            return Err(if self.page.is_empty() {
                moved("the order changed from one page to the next")
            } else {
                unreadable("the rows are not in the order of their begin, which was asked for")
            });
        }
        if self.end.ids.contains(&digest) || !self.page.insert(digest.clone()) {
            return Err(moved("a row came twice"));
        }

        if begins.is_some() && begins != self.end.last {
            self.end.last = begins;
            self.end.ids.clear();
        }
        self.end.ids.push(digest);
        Ok(())
    }

    pub(in crate::adapters) fn end(mut self) -> PagesEnd {
        let too_many = self.end.ids.len().saturating_sub(MAX_IDS);
        self.end.ids.drain(..too_many);
        self.end
    }
}

fn digest_of(id: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(id.as_bytes()));
    digest.truncate(DIGEST);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_pages_reads_back_and_a_damaged_one_does_not() {
        let good = "last=1717200000123&ids=0123456789abcdef,00000000000000ff";
        for text in [good, "last=&ids=", "last=-1&ids="] {
            assert_eq!(PagesEnd::read(text).unwrap().to_string(), text);
        }
        for text in [
            String::new(),
            "ids=&last=".to_owned(),
            good.replace("1717200000123", "soon"),
            good.replace("=1717", "=+1717"),
            good.replace("0123456789abcdef", "0123"),
            good.replace("0123456789abcdef", "0123456789abcdeg"),
            format!("{good}&more=1"),
            format!("{good}{}", ",0123456789abcdef".repeat(MAX_IDS)),
        ] {
            assert_eq!(PagesEnd::read(&text), None, "{text}");
        }
    }
}
