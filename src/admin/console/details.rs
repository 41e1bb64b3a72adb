//! What an entry of the audit log says besides, as names and values.

use maud::{Markup, html};
use serde_json::Value;

use crate::printable;

/// How many values of a list are shown; the file has all.
const SHOWN: usize = 20;
/// The longest text of a value.
const SHOWN_CHARS: usize = 300;

/// Each name with its value. A long text breaks anywhere, and an ID never.
pub(super) fn details(details: &Value) -> Markup {
    let mut pairs = Vec::new();
    add("", details, &mut pairs);
    html! {
        @if !pairs.is_empty() {
            ul.details {
                @for (name, value) in &pairs {
                    li { @if !name.is_empty() { span.soft { (printable::line(name)) ": " } } (value) }
                }
            }
        }
    }
}

fn add(name: &str, value: &Value, pairs: &mut Vec<(String, Markup)>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (member, value) in members {
                let readable = readable(member);
                let name = if name.is_empty() {
                    readable
                } else {
                    format!("{name}, {readable}")
                };
                add(&name, value, pairs);
            }
        }
        Value::Array(values) if values.is_empty() => {}
        Value::Array(values) => {
            let rest = values.len().saturating_sub(SHOWN);
            let list = html! {
                @for (place, value) in values.iter().take(SHOWN).enumerate() { @if place > 0 { ", " } (one(value)) }
                @if rest > 0 { " and " (rest) " more" }
            };
            pairs.push((name.to_owned(), list));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            pairs.push((name.to_owned(), one(value)));
        }
    }
}

/// `deleteAfter` as `delete after`.
fn readable(member: &str) -> String {
    let mut name = String::with_capacity(member.len() + 4);
    for one in member.chars() {
        if one.is_ascii_uppercase() {
            name.push(' ');
        }
        name.push(one.to_ascii_lowercase());
    }
    name
}

fn one(value: &Value) -> Markup {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    };
    let is_id = text.parse::<uuid::Uuid>().is_ok();
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    html! {
        @if is_id { span.id { (text) } }
        @else { bdi { (printable::line(&cut)) } @if cut.len() < text.len() { " …" } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn details_are_names_and_values_and_an_id_is_marked_as_one() {
        let found = json!({ "users": [ID, ID], "deleteAfter": null, "queue": "offboarding.users", "isUrgent": true, "none": [],
            "filter": { "batchId": "b-1" } });
        let text = details(&found).into_string();
        for expected in [
            &format!("users: </span><span class=\"id\">{ID}</span>, <span class=\"id\">"),
            "queue: </span><bdi>offboarding.users</bdi>",
            "is urgent: </span><bdi>yes</bdi>",
            "filter, batch id: </span><bdi>b-1</bdi>",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(
            !text.contains('{') && !text.contains("null") && !text.contains("none"),
            "{text}"
        );
        assert_eq!(details(&Value::Null).into_string(), "");
    }

    #[test]
    fn hostile_and_long_values_are_text_and_cut() {
        let many: Vec<u32> = (0..25).collect();
        let text =
            details(&json!({ "<b>": "<script>\u{202e}", "note": "w".repeat(10_240), "n": many }))
                .into_string();
        assert!(
            text.contains("&lt;script&gt;") && !text.contains('\u{202e}'),
            "{text}"
        );
        assert!(
            text.contains("&lt;b&gt;") && text.contains("w</bdi> …"),
            "{text}"
        );
        assert!(
            text.contains("19</bdi> and 5 more") && text.len() < 2_000,
            "{text}"
        );
    }
}
