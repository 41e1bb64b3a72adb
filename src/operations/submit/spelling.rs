//! The spellings of a user ID in files.

use crate::job::UserId;

/// A user ID as people and programs write it: with blanks or braces around it, or without hyphens. The braces and hyphens
/// of a UUID carry no meaning, so that no two users can be meant.
pub(super) fn id(text: &str) -> Option<UserId> {
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}');
    let text = text.trim_matches(is_blank);
    let bare = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(text)
        .trim_matches(is_blank);
    UserId::in_message(bare)
}
