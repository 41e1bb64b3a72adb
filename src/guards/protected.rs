//! The protected list: users who are never changed. An entry that is not understood makes the whole
//! list unusable, since it may name a person.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use crate::job::UserId;

/// The line that allows a list without entries.
pub(crate) const NOBODY: &str = "# nobody";

/// User IDs, and patterns of user names in which `*` matches any text. Case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProtectedList {
    ids: HashSet<UserId>,
    patterns: Vec<String>,
}

impl ProtectedList {
    /// One entry a line: a user ID, or a pattern with `@` or `*`. Empty lines do not count, nor
    /// does the text after a `#` at the start of a line or after a blank. Anything else is an
    /// error, since it may be meant for a person.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        let mut list = Self::default();
        let mut says_nobody = false;

        for (index, line) in text.split(['\n', '\r']).enumerate() {
            says_nobody |= line.trim() == NOBODY;
            let entry = without_comment(line).trim();
            if entry.is_empty() {
                continue;
            }
            if let Ok(user_id) = entry.parse() {
                list.ids.insert(user_id);
            } else {
                let pattern = pattern(entry).map_err(|why| {
                    let start: String = entry.chars().take(60).collect();
                    format!("line {}, \"{}\", {why}", index + 1, start.escape_debug())
                })?;
                list.patterns.push(pattern);
            }
        }
        // A pattern that is there twice counts once when lost entries are counted.
        list.patterns.sort_unstable();
        list.patterns.dedup();
        if list.is_empty() && !says_nobody {
            return Err(format!(
                "it has no entries; write a line \"{NOBODY}\" if no user is to be protected"
            ));
        }

        Ok(list)
    }

    /// For people: `12 IDs, 3 patterns`.
    pub(crate) fn counts(&self) -> String {
        let many = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        format!(
            "{}, {}",
            many(self.ids.len(), "ID"),
            many(self.patterns.len(), "pattern")
        )
    }

    /// SHA-256 of the entries in order, in hex.
    pub(crate) fn sha256(&self) -> String {
        let mut ids: Vec<&UserId> = self.ids.iter().collect();
        ids.sort_unstable();
        let mut digest = Sha256::new();
        for id in ids {
            digest.update(format!("{id}\n"));
        }
        for pattern in &self.patterns {
            digest.update(format!("{pattern}\n"));
        }
        hex::encode(digest.finalize())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len() + self.patterns.len()
    }

    /// How many entries of `last` this list no longer has.
    pub(crate) fn lost(&self, last: &Self) -> usize {
        let patterns: HashSet<&String> = self.patterns.iter().collect();
        last.ids.difference(&self.ids).count()
            + last
                .patterns
                .iter()
                .filter(|pattern| !patterns.contains(pattern))
                .count()
    }

    /// Whether [`Self::protects`] needs the name of the user.
    pub(crate) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether the list names the user by ID.
    pub(crate) fn names(&self, user_id: UserId) -> bool {
        self.ids.contains(&user_id)
    }

    /// What protects this user, if anything does. A user without a name is protected where there
    /// are patterns.
    pub(crate) fn protects(&self, user_id: UserId, user_name: Option<&str>) -> Option<String> {
        if self.names(user_id) {
            return Some("the protected list names the user".to_owned());
        }
        if self.patterns.is_empty() {
            return None;
        }
        let Some(name) = user_name.map(str::to_lowercase) else {
            return Some(
                "the user has no name to compare with the patterns of the protected list"
                    .to_owned(),
            );
        };
        let matching = self.patterns.iter().find(|pattern| matches(pattern, &name));

        matching.map(|pattern| {
            format!("the pattern {pattern} of the protected list covers the user's name")
        })
    }
}

/// A `#` in the middle of a word may be part of a name: it stays, and the entry is refused for it.
fn without_comment(line: &str) -> &str {
    let starts = |at: usize| {
        line.get(..at)
            .is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    };
    let comment = line
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| starts(*at));
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// A pattern in lower case, or why the entry is not a pattern. Characters that user names hardly
/// have (quotation marks, column separators, blanks, invisible ones) are refused: such a pattern
/// would match no user.
fn pattern(entry: &str) -> Result<String, String> {
    let is_odd = |c: char| {
        !c.is_alphanumeric() && !c.is_ascii_punctuation()
            || matches!(
                c,
                '"' | '`' | ',' | ';' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '='
            )
    };
    if let Some(odd) = entry.chars().find(|c| is_odd(*c)) {
        return Err(format!(
            "holds {}; give a user ID, or a pattern of user names (* matches any text)",
            if odd.is_whitespace() {
                "a blank".to_owned()
            } else {
                format!("\"{}\"", odd.escape_debug())
            }
        ));
    }
    if entry.contains('#') {
        return Err(
            "holds a #; put a blank before a comment, and * for a # in a user name".to_owned(),
        );
    }
    if entry.starts_with('\'') || entry.ends_with('\'') {
        return Err("is in quotation marks; remove them".to_owned());
    }
    if !entry.contains(['@', '*']) {
        return Err(
            "is neither a user ID (a UUID) nor a pattern with @ or *; correct it".to_owned(),
        );
    }
    let digits = entry.chars().filter(char::is_ascii_hexdigit).count();
    if digits >= 8
        && entry
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | '*'))
    {
        return Err(
            "is part of a user ID, and patterns are compared with user names; give the whole ID"
                .to_owned(),
        );
    }

    Ok(entry.to_lowercase())
}

/// `*` matches any text; nothing else is special. Each `*` takes as little as it can, so that the
/// time is linear in the length of the name for each piece.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();

    for piece in pieces {
        let Some(at) = name.find(piece) else {
            return false;
        };
        name = name.get(at + piece.len()..).unwrap_or_default();
    }
    name.ends_with(last)
}

#[cfg(test)]
#[path = "protected_tests.rs"]
mod tests;
