//! Reads the members of a body or a query. An error names the member and the rule, in words for people.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads `members`, an object.
pub(super) fn read<T: DeserializeOwned>(members: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(members).map_err(|error| {
        let member = error.path().to_string();
        let rule = in_words(&error.into_inner().to_string());
        let begins = format!("{member}:");
        let named = format!("`{member}`");
        let names_it = member == "." || rule.contains(&named) || rule.starts_with(&begins);
        if names_it {
            rule
        } else {
            format!("{named}: {rule}")
        }
    })
}

/// The words of the library, which programmers know, in words for people. Our own texts stay as they are.
fn in_words(error: &str) -> String {
    if let Some(rest) = error.strip_prefix("missing field ") {
        let signed = ["`who`", "`why`"].contains(&rest);
        let remedy = if signed {
            "; the audit log needs both: `who` makes the change, and `why`"
        } else {
            ""
        };
        return format!("{rest} is missing{remedy}");
    }
    if let Some(rest) = error.strip_prefix("unknown field ") {
        return match rest.split_once(", expected ") {
            Some((name, known)) => format!("there is no {name}; there is {}", listed(known)),
            None => format!("there is no {}", rest.replace(", there are no fields", "")),
        };
    }
    if let Some((name, known)) = error
        .strip_prefix("unknown variant ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        return format!("{name} is unknown; give {}", listed(known));
    }
    let wrong = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = wrong.iter().find_map(|kind| error.strip_prefix(kind));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((given, wanted)) => format!(
            "{} is not {}",
            given_in_words(given),
            wanted_in_words(wanted)
        ),
        None => error.to_owned(),
    }
}

fn listed(known: &str) -> String {
    known.trim_start_matches("one of ").to_owned()
}

fn given_in_words(given: &str) -> String {
    let kinds = [
        ("string ", "the text "),
        ("integer ", "the number "),
        ("floating point ", "the number "),
        ("boolean ", ""),
    ];
    for (kind, words) in kinds {
        if let Some(value) = given.strip_prefix(kind) {
            return format!("{words}{value}");
        }
    }
    match given {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn wanted_in_words(wanted: &str) -> String {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a string" | "string" | "str" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.starts_with("enum ") => "a word".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        One,
        Two,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors count")]
    struct Members {
        who: String,
        #[serde(default)]
        count: u64,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        words: Vec<Word>,
    }

    #[test]
    fn an_error_names_the_member_and_the_rule_without_words_of_a_library() {
        for (members, expected) in [
            (
                json!({}),
                "`who` is missing; the audit log needs both: `who` makes the change, and `why`",
            ),
            (json!({ "who": null }), "`who`: null is not a text"),
            (json!({ "who": ["a"] }), "`who`: a list is not a text"),
            (json!({ "who": 5 }), "`who`: the number `5` is not a text"),
            (
                json!({ "who": "a", "count": "5/s" }),
                "`count`: the text \"5/s\" is not a whole number",
            ),
            (
                json!({ "who": "a", "count": -1 }),
                "`count`: the number `-1` is not a whole number",
            ),
            (
                json!({ "who": "a", "on": "yes" }),
                "`on`: the text \"yes\" is not true or false",
            ),
            (
                json!({ "who": "a", "words": "one" }),
                "`words`: the text \"one\" is not a list",
            ),
            (
                json!({ "who": "a", "words": ["one", "three"] }),
                "`words[1]`: `three` is unknown; give `one` or `two`",
            ),
            (
                json!({ "who": "a", "wo": 1 }),
                "there is no `wo`; there is `who`, `count`, `on`, `words`",
            ),
        ] {
            let error = read::<Members>(members).unwrap_err();
            assert_eq!(error, expected);
        }
    }
}
