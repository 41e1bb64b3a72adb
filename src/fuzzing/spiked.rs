//! Puts a known text into every secret of an input of the target `settings`.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::config::{SETTINGS, Sources};

/// The text that is put into every secret.
pub(super) const CANARY: &str = "hunter2";

/// The sources with the canary in every secret; `None` if they would read files of this host, or
/// hold the canary already.
pub(super) fn spiked_sources(text: &str) -> Option<Sources> {
    if text.contains(CANARY) {
        return None;
    }
    let (lines, toml) = text
        .split_once("---\n")
        .map_or((text, None), |(lines, toml)| (lines, Some(toml)));
    let mut sources = Sources::default();

    // To find the nearest known name of a long one takes long, and nothing else depends on its
    // length.
    let lines = lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.len() < 100);
    for (name, value) in lines.take(50) {
        if let Some(key) = name.strip_prefix("--") {
            if SETTINGS
                .iter()
                .any(|setting| setting.key == key && !setting.secret)
            {
                sources.flags.insert(key.to_owned(), spiked_url(key, value));
            }
        } else if SETTINGS
            .iter()
            .any(|setting| setting.file_variable() == name)
        {
            sources.env.push((name.to_owned(), nowhere(value)?));
        } else if SETTINGS
            .iter()
            .any(|setting| setting.variable() == name && setting.secret)
        {
            sources.env.push((name.to_owned(), spiked(value)));
        } else {
            let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
            let value = spiked_url(setting.map_or("", |setting| setting.key), value);
            sources.env.push((name.to_owned(), value));
        }
    }

    let toml = toml.map(spiked_toml);
    if let Some(text) = &toml
        && let Ok(file) = DeTable::parse(text)
    {
        // If the file can be parsed, the canary must be in secrets only.
        let mut leaves = Vec::new();
        for (table, inner) in file.get_ref() {
            gather(table.get_ref(), inner.get_ref(), &mut leaves);
        }
        for (key, text) in &leaves {
            let is_secret = SETTINGS
                .iter()
                .any(|setting| setting.secret && setting.key == key);
            if key.contains(CANARY) || text.contains(CANARY) && !is_secret {
                return None;
            }
            if SETTINGS.iter().any(|setting| setting.file_key() == *key) {
                nowhere(text)?;
            }
        }
    }
    sources.toml = toml.map(|text| (PathBuf::from("o.toml"), text));
    Some(sources)
}

/// Collects all keys with their texts.
fn gather(key: &str, value: &DeValue<'_>, leaves: &mut Vec<(String, String)>) {
    match value {
        DeValue::Table(table) => {
            for (name, inner) in table {
                gather(
                    &format!("{key}.{}", name.get_ref()),
                    inner.get_ref(),
                    leaves,
                );
            }
        }
        DeValue::Array(items) => items
            .iter()
            .for_each(|item| gather(key, item.get_ref(), leaves)),
        DeValue::String(text) => leaves.push((key.to_owned(), text.clone().into_owned())),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            leaves.push((key.to_owned(), String::new()));
        }
    }
}

/// Accepts only a path below `/nowhere/`, so that no target reads files of this host.
fn nowhere(path: &str) -> Option<String> {
    path.starts_with("/nowhere/").then(|| path.to_owned())
}

/// Puts the canary into the middle, so that an oddity at either end remains.
fn spiked(secret: &str) -> String {
    let middle = secret
        .char_indices()
        .nth(secret.chars().count() / 2)
        .map_or(secret.len(), |(at, _)| at);
    let (head, tail) = secret.split_at(middle);
    if secret.is_empty() {
        String::new()
    } else {
        format!("{head}{CANARY}{tail}")
    }
}

/// Puts the canary into the password of a URL, or of a text that was meant as one. In a setting
/// whose URL may hold a password, an `@` at any position ends it; in others it may be part of a
/// path.
fn spiked_url(key: &str, text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let spiked = if let Some((place, password)) = rest.split_once("?password=") {
        format!("{place}?password={CANARY}{password}{CANARY}")
    } else if let Some((user, host)) = rest.rsplit_once('@')
        && (user.len() < authority || matches!(key, "queue.url" | "checkpoints.url"))
    {
        match user.split_once(':') {
            Some((user, password)) => format!("{user}:{CANARY}{password}{CANARY}@{host}"),
            None => format!("{CANARY}{user}@{host}"),
        }
    } else if let Some((user, password)) = rest.split_once(':')
        && user.len() < authority
        && !user.contains('[')
    {
        format!("{user}:{CANARY}{password}")
    } else {
        rest.to_owned()
    };
    format!("{scheme}://{spiked}")
}

/// Puts the canary behind every name of a secret and an equals sign, even if the file cannot be
/// parsed.
fn spiked_toml(text: &str) -> String {
    let mut pieces: Vec<String> = text.split('=').map(str::to_owned).collect();
    for index in 1..pieces.len() {
        let name = pieces
            .get(index - 1)
            .map(|before| before.trim_end_matches([' ', '\t', '"', '\'']));
        let of_secret =
            name.is_some_and(|name| name.ends_with("token") || name.ends_with("client_secret"));
        if let Some(piece) = pieces.get_mut(index).filter(|_| of_secret) {
            let at = piece.len() - piece.trim_start_matches([' ', '\t', '"', '\'']).len();
            piece.insert_str(at, CANARY);
        }
    }
    pieces.join("=")
}
