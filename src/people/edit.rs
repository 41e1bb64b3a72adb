//! Changes the text of a people file, and leaves the rest of it as it was written.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::People;
use super::file::Format;
use super::person::{KeyDigest, Person};

const HEADER: &str = "[[people]]";

impl People {
    /// The text with this person in it, who takes the place of one with the same name.
    pub(crate) fn add(text: &str, format: Format, person: &Person) -> Result<String, String> {
        let before = Self::parse(text).map_err(|faults| faults.to_string())?;
        let (text, before) = match before.named(&person.name) {
            Some(_) => (
                Self::remove(text, format, &person.name)?,
                before.without(&person.name),
            ),
            None => (text.to_owned(), before),
        };
        let wanted = Self(before.0.iter().chain([person]).cloned().collect());
        let changed = match format {
            Format::Json => wanted.json(),
            Format::Toml => {
                let gap = match text.trim_end() {
                    "" => "",
                    _ => "\n\n",
                };
                format!("{}{gap}{}", text.trim_end(), table_of(person))
            }
        };
        wanted.made(changed)
    }

    /// The text without this person.
    pub(crate) fn remove(text: &str, format: Format, name: &str) -> Result<String, String> {
        let before = Self::parse(text).map_err(|faults| faults.to_string())?;
        let position = before
            .iter()
            .position(|person| person.name.eq_ignore_ascii_case(name));
        let wanted = before.without(name);
        let changed = match (format, position) {
            (Format::Json, _) => wanted.json(),
            (Format::Toml, None) => text.to_owned(),
            (Format::Toml, Some(position)) => without_table(text, position),
        };
        wanted.made(changed)
    }

    /// The same people without this one.
    pub(crate) fn without(&self, name: &str) -> Self {
        let is_other = |person: &&Person| !person.name.eq_ignore_ascii_case(name);
        Self(self.0.iter().filter(is_other).cloned().collect())
    }

    /// The changed text, if it says what it is to say. A TOML file can be written in more ways than this module knows.
    fn made(&self, changed: String) -> Result<String, String> {
        if Self::parse(&changed).is_ok_and(|read| read == *self) {
            return Ok(changed);
        }
        Err("it is written in a way that this command cannot change; write each person as a table [[people]]".to_owned())
    }

    fn json(&self) -> String {
        let person = |person: &Person| {
            let mut members = Map::new();
            members.insert("name".to_owned(), json!(person.name));
            members.insert("role".to_owned(), json!(person.role));
            for (member, key) in digests(person) {
                members.insert(member.to_owned(), json!(key.hex()));
            }
            Value::Object(members)
        };
        let people: Vec<_> = self.0.iter().map(person).collect();
        format!("{:#}\n", json!({ "people": people }))
    }
}

fn table_of(person: &Person) -> String {
    let Person { name, role, .. } = person;
    let mut table = format!("{HEADER}\nname = \"{name}\"\nrole = \"{role}\"\n");
    for (member, key) in digests(person) {
        // Writing to a string does not fail.
        writeln!(table, "{member} = \"{}\"", key.hex()).ok();
    }
    table
}

fn digests(person: &Person) -> impl Iterator<Item = (&'static str, &KeyDigest)> {
    let keys = [
        ("key_sha256", &person.key),
        ("break_glass_key_sha256", &person.break_glass_key),
    ];
    keys.into_iter()
        .filter_map(|(member, key)| Some((member, key.as_ref()?)))
}

/// Leaves out one table. Comments before the next header belong to the next person.
fn without_table(text: &str, position: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_header = |line: &&str| line.trim_start().starts_with('[');
    let headers: Vec<usize> = (0..lines.len())
        .filter(|index| lines.get(*index).is_some_and(is_header))
        .collect();
    let Some(begin) = headers.get(position).copied() else {
        return text.to_owned();
    };
    let mut end = headers.get(position + 1).copied().unwrap_or(lines.len());
    let is_between = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if end < lines.len() {
        while end > begin + 1 && lines.get(end - 1).is_some_and(is_between) {
            end -= 1;
        }
    }
    let kept = lines.iter().take(begin).chain(lines.iter().skip(end));
    let mut text: String = kept.copied().collect();
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
