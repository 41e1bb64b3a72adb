//! Words for what is seen: counts, statuses and the vendor's own words, never IDs or names of the tenant.

use serde_json::Value;

/// A word of the vendor's, e.g. of a status or a permission; `None` for what is none.
pub(super) fn word(value: &Value) -> Option<&str> {
    let text = value.as_str()?.trim();
    let is_plain = |one: char| one.is_ascii_alphanumeric() || " .:_-/".contains(one);
    let is_word = (1..=64).contains(&text.len()) && text.chars().all(is_plain);
    is_word.then_some(text)
}
