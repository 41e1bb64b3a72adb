//! The listing of `--show-settings`, and the table of the README.

use serde::Serialize;

use super::cxone::{origin, token_uri_of};
use super::origin::Origin;
use super::resolve::{Entry, State, resolve};
use super::setting::Setting;
use super::sources::Sources;
use super::table::{CXONE_BASE_URI, CXONE_PROFILE, CXONE_TOKEN_URI};
#[cfg(test)]
use super::{setting::Unset, table::SETTINGS};

/// A row of `--show-settings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub variable: String,
    /// The value in force, with secrets masked; empty if there is none.
    pub value: String,
    pub source: String,
}

/// The value in force for every setting, and its source. It works even if settings have faults:
/// that is when an operator needs it.
pub(crate) fn show(sources: &Sources) -> Vec<Shown> {
    let entries = resolve(sources).entries;
    entries.iter().map(|entry| shown(entry, &entries)).collect()
}

fn shown(entry: &Entry, entries: &[Entry]) -> Shown {
    let (value, source) = match &entry.state {
        State::Set { text, origin } => (entry.setting.shown(text), origin.to_string()),
        State::Unset => match derived(entry.setting, entries) {
            Some(value) => (value, Origin::Default.to_string()),
            None => (String::new(), "not set".to_owned()),
        },
        State::Faulty => (String::new(), "faulty".to_owned()),
    };
    Shown {
        variable: entry.setting.variable(),
        value,
        source,
    }
}

fn derived(setting: &Setting, entries: &[Entry]) -> Option<String> {
    if *setting != CXONE_TOKEN_URI {
        return None;
    }
    let text_of = |wanted: &Setting| {
        let entry = entries.iter().find(|entry| entry.setting == wanted)?;
        match &entry.state {
            State::Set { text, .. } => Some(text),
            State::Unset | State::Faulty => None,
        }
    };
    let profile = text_of(&CXONE_PROFILE)?.parse().ok()?;
    let base = origin(text_of(&CXONE_BASE_URI)?).ok()?;
    token_uri_of(profile, &base).ok().map(|uri| uri.to_string())
}

/// The table of the README.
#[cfg(test)]
pub(crate) fn markdown_table() -> String {
    let mut table = "| variable | default | meaning |\n| --- | --- | --- |\n".to_owned();
    for setting in SETTINGS {
        let default = match setting.unset {
            Unset::RequiredBy(profiles) => {
                let commands: Vec<String> = profiles.iter().map(ToString::to_string).collect();
                format!("required by {}", commands.join(", "))
            }
            other => other.in_words("`").unwrap_or_else(|| "none".to_owned()),
        };
        let row = format!(
            "| `{}` | {default} | {} |\n",
            setting.variable(),
            setting.meaning.replace('|', "\\|")
        );
        table.push_str(&row);
    }
    table
}
