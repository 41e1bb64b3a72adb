//! Decides which source gives each setting its text. What the text means is decided later.

use std::path::Path;

use super::fault::Fault;
use super::origin::Origin;
use super::setting::Setting;
use super::sources::Sources;
use super::table::{CXONE_PROFILE, SETTINGS};
use super::toml_file::TomlFile;
use super::unknown::{unknown_keys, unknown_variables};
use crate::address::may_hold_a_password;
use crate::profile::TenantProfile;

/// A setting and the text in force.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Set {
        text: String,
        origin: Origin,
    },
    Unset,
    /// A source sets it, but not to a text; the fault is noted.
    Faulty,
}

/// The text in force for every setting.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<Fault>,
    /// A source could not be read, so a setting that seems unset may be set there.
    pub(super) incomplete: bool,
}

pub(super) fn resolve(sources: &Sources) -> Resolved {
    let toml = sources
        .toml
        .as_ref()
        .map(|(path, text)| TomlFile::parse(path, text))
        .unwrap_or_default();

    let mut faults = sources.faults.clone();
    let incomplete = toml.broken || !faults.is_empty();
    faults.extend(unknown_variables(sources));
    faults.extend(toml.faults.iter().cloned());
    faults.extend(unknown_keys(&toml));

    let profile = profile_of(sources, &toml);
    let entries = SETTINGS
        .iter()
        .map(|setting| {
            let state = in_force(setting, sources, &toml, profile).unwrap_or_else(|fault| {
                faults.push(fault);
                State::Faulty
            });
            Entry { setting, state }
        })
        .collect();
    Resolved {
        entries,
        faults,
        incomplete,
    }
}

/// The profile, which other defaults depend on. Where its text is faulty, the fault is noted when it is read.
fn profile_of(sources: &Sources, toml: &TomlFile) -> TenantProfile {
    match source_of(&CXONE_PROFILE, sources, toml) {
        Ok(Some((text, _))) => text.parse().unwrap_or_default(),
        Ok(None) | Err(_) => TenantProfile::default(),
    }
}

fn in_force(
    setting: &Setting,
    sources: &Sources,
    toml: &TomlFile,
    profile: TenantProfile,
) -> Result<State, Fault> {
    let Some((text, origin)) = source_of(setting, sources, toml)? else {
        let default = setting.unset.default_for(profile);
        return Ok(default.map_or(State::Unset, |text| State::Set {
            text: text.to_owned(),
            origin: Origin::Default,
        }));
    };

    if text.is_empty() {
        // A template that expanded to nothing must not switch a guard off.
        let text = "the value is empty; give one, or remove the setting";
        return Err(Fault::of(setting, &origin, text));
    }
    let is_odd = |c: char| c.is_control() && !(c == '\n' && setting.has_lines());
    if text.contains(is_odd) {
        let text =
            "the value holds a line break or another control character; give one line of text";
        return Err(Fault::of(setting, &origin, text));
    }
    Ok(State::Set { text, origin })
}

/// The text of the source that has priority: flag, variable, file of a variable, TOML, file of a
/// TOML key.
fn source_of(
    setting: &Setting,
    sources: &Sources,
    toml: &TomlFile,
) -> Result<Option<(String, Origin)>, Fault> {
    let variable = setting.variable();
    let file_variable = setting.file_variable();
    let in_env = sources.variable(&variable);
    let file_in_env = sources.variable(&file_variable);
    if in_env.is_some() && file_in_env.is_some() {
        let text = format!("{file_variable} is set too; remove one of them");
        return Err(Fault::of(setting, &Origin::Environment, text));
    }

    let file_key = setting.file_key();
    let in_toml = toml.values.get(setting.key);
    let file_in_toml = toml.values.get(&file_key);
    let at_line = |line: usize| Origin::Toml {
        path: toml.path.clone(),
        line,
    };
    if let (Some((_, line)), Some(_)) = (in_toml, file_in_toml) {
        let text = format!("{file_key} is set too; remove one of them");
        return Err(Fault::of(setting, &at_line(*line), text));
    }

    if let Some(text) = sources.flags.get(setting.key) {
        return from_flag(setting, text).map(Some);
    }
    if let Some(text) = in_env {
        return Ok(Some((text.to_owned(), Origin::Environment)));
    }
    if let Some(path) = file_in_env {
        return from_file(setting, path, file_variable).map(Some);
    }
    if let Some((text, line)) = in_toml {
        return Ok(Some((text.clone(), at_line(*line))));
    }
    if let Some((path, line)) = file_in_toml {
        let named_by = format!("{file_key} ({})", at_line(*line));
        return from_file(setting, path, named_by).map(Some);
    }
    Ok(None)
}

fn from_flag(setting: &Setting, text: &str) -> Result<(String, Origin), Fault> {
    let origin = Origin::Flag(setting.flag().unwrap_or_default());
    if may_hold_a_password(text) {
        let text = format!(
            "every user of the host can see arguments, so a flag must not hold a password; set {} \
             or {}",
            setting.variable(),
            setting.file_variable()
        );
        return Err(Fault::of(setting, &origin, text));
    }
    Ok((text.to_owned(), origin))
}

/// Editors and `echo` end a file with a line break, which is not part of the value.
fn from_file(setting: &Setting, path: &str, named_by: String) -> Result<(String, Origin), Fault> {
    let origin = Origin::File {
        path: Path::new(path).to_owned(),
        named_by,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((text.trim_end_matches(['\r', '\n']).to_owned(), origin)),
        Err(why) => {
            let text =
                format!("the file cannot be read: {why}; mount it, or correct its permissions");
            Err(Fault::of(setting, &origin, text))
        }
    }
}
