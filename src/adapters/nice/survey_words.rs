//! Words for what is seen: counts, statuses and the vendor's own words, never IDs or names of the tenant.

use serde_json::Value;

use crate::adapters::http::{ApiError, Reply, code_of};
use crate::ports::{Observation, Seen};

pub(super) const fn observed(
    question: Option<&'static str>,
    check: &'static str,
    seen: Seen,
) -> Observation {
    Observation {
        question,
        check,
        seen,
    }
}

/// A call that could not be made is what was seen.
pub(super) fn seen(result: Result<Seen, ApiError>) -> Seen {
    result.unwrap_or_else(|error| Seen::Failed(error.into()))
}

/// Status and error code of an answer.
pub(super) fn status_of(reply: &Reply) -> String {
    let code = match reply.status() {
        200..=299 => None,
        _ => code_of(&reply.body),
    };
    match code {
        Some(code) => format!("{} {code}", reply.status()),
        None => reply.status().to_string(),
    }
}

/// A word of the vendor's, e.g. of a status or a permission; `None` for what is none.
pub(super) fn word(value: &Value) -> Option<&str> {
    let text = value.as_str()?.trim();
    let is_plain = |one: char| one.is_ascii_alphanumeric() || " .:_-/".contains(one);
    let is_word = (1..=64).contains(&text.len()) && text.chars().all(is_plain);
    is_word.then_some(text)
}
