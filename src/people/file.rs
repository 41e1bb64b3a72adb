//! The people file: JSON or TOML, with a list `people` of objects that have `name`, `role`, `key_sha256` and, of
//! an admin, `break_glass_key_sha256`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::person::{KeyDigest, NAME_RULE, Person, is_name};
use super::role::Role;

const MEMBERS: [&str; 4] = ["name", "role", "key_sha256", "break_glass_key_sha256"];

/// How a people file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Toml,
}

impl Format {
    /// An object begins with a brace, which no TOML does.
    pub(crate) fn of(text: &str) -> Self {
        if without_mark(text).trim_start().starts_with('{') {
            Self::Json
        } else {
            Self::Toml
        }
    }

    /// For a file that does not exist yet.
    pub(crate) fn of_new(place: &str) -> Self {
        let is_json = place.to_ascii_lowercase().ends_with(".json");
        if is_json { Self::Json } else { Self::Toml }
    }
}

/// Everything that is wrong with a people file, with the line of each fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeopleFaults(Vec<String>);

impl PeopleFaults {
    fn one(line: usize, what: &str) -> Self {
        Self(vec![format!("line {line}: {what}")])
    }
}

impl fmt::Display for PeopleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// A person as written, before the values are checked.
struct Row {
    line: usize,
    members: Vec<Member>,
}

struct Member {
    name: String,
    line: usize,
    /// `None`: it is no text.
    value: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Person>, PeopleFaults> {
    let text = without_mark(text);
    let rows = match Format::of(text) {
        Format::Json => json_rows(text)?,
        Format::Toml => toml_rows(text)?,
    };
    check(&rows)
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    1 + before.filter(|byte| *byte == b'\n').count()
}

// The messages of the parsers do not quote the text, which may hold a key that was pasted by mistake.

fn json_rows(text: &str) -> Result<Vec<Row>, PeopleFaults> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document<'a> {
        #[serde(borrow)]
        people: Vec<&'a RawValue>,
    }

    let document: Document<'_> = serde_json::from_str(text).map_err(|error| {
        let what = if error.is_data() {
            "the file has to be an object with the list `people` and nothing else"
        } else {
            "this is no JSON; fix the syntax"
        };
        PeopleFaults::one(error.line(), what)
    })?;
    let line_of = |raw: &RawValue| {
        let offset = raw.get().as_ptr().addr() - text.as_ptr().addr();
        line_at(text, offset)
    };
    let rows = document.people.into_iter().map(|person| {
        let line = line_of(person);
        let members: Members<'_> = serde_json::from_str(person.get())
            .map_err(|_not_an_object| format!("line {line}: a person is an object"))?;
        let members = members.0.into_iter().map(|(name, value)| Member {
            name,
            line: line_of(value),
            value: serde_json::from_str(value.get()).ok(),
        });
        Ok(Row {
            line,
            members: members.collect(),
        })
    });
    all(rows)
}

/// The members of a JSON object in their order, also one that is there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

fn toml_rows(text: &str) -> Result<Vec<Row>, PeopleFaults> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        PeopleFaults::one(line, "this is no TOML; fix the syntax")
    })?;
    let line_of = |offset: usize| line_at(text, offset);
    let mut faults = Vec::new();
    let mut people = None;
    for (name, value) in table.get_ref() {
        match (&**name.get_ref(), value.get_ref()) {
            ("people", DeValue::Array(list)) => people = Some(list),
            _ => faults.push(format!(
                "line {}: the file has `[[people]]` tables and nothing else",
                line_of(name.span().start)
            )),
        }
    }
    if !faults.is_empty() {
        return Err(PeopleFaults(faults));
    }

    let rows = people.into_iter().flatten().map(|person| {
        let line = line_of(person.span().start);
        let DeValue::Table(table) = person.get_ref() else {
            return Err(format!("line {line}: a person is a table"));
        };
        let member = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Member {
            name: AsRef::<str>::as_ref(name.get_ref()).to_owned(),
            line: line_of(name.span().start),
            value: value.get_ref().as_str().map(str::to_owned),
        };
        let mut members: Vec<Member> = table.iter().map(member).collect();
        members.sort_by_key(|member| member.line);
        Ok(Row { line, members })
    });
    all(rows)
}

/// The rows, or all faults of them.
fn all(rows: impl Iterator<Item = Result<Row, String>>) -> Result<Vec<Row>, PeopleFaults> {
    let mut good = Vec::new();
    let mut faults = Vec::new();
    for row in rows {
        match row {
            Ok(row) => good.push(row),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(good)
    } else {
        Err(PeopleFaults(faults))
    }
}

fn check(rows: &[Row]) -> Result<Vec<Person>, PeopleFaults> {
    let mut faults = Vec::new();
    let mut names = HashSet::new();
    let mut keys = HashSet::new();
    let mut people = Vec::new();
    for row in rows {
        let Some(person) = row.person(&mut faults) else {
            continue;
        };
        let line = row.line;
        if !names.insert(person.name.to_ascii_lowercase()) {
            faults.push(format!(
                "line {line}: {} is there twice (case does not matter); remove one of them",
                person.name
            ));
        }
        for key in person.key.iter().chain(&person.break_glass_key) {
            if !keys.insert(*key) {
                faults.push(format!(
                    "line {line}: {} has a key that is there already; each has a key of their own, and another one to \
                     break the glass",
                    person.name
                ));
            }
        }
        people.push(person);
    }
    if faults.is_empty() {
        Ok(people)
    } else {
        Err(PeopleFaults(faults))
    }
}

impl Row {
    /// The person; `None` where a fault was noted.
    fn person(&self, faults: &mut Vec<String>) -> Option<Person> {
        let before = faults.len();
        for (index, member) in self.members.iter().enumerate() {
            let is_twice = |other: &Member| other.name == member.name;
            let earlier = self.members.iter().take(index);
            let fault = if !MEMBERS.contains(&&*member.name) {
                "a person has name, role, key_sha256 and break_glass_key_sha256, and no other member"
            } else if earlier.into_iter().any(is_twice) {
                "this member is there twice"
            } else {
                continue;
            };
            faults.push(format!("line {}: {fault}", member.line));
        }
        let name = self.read("name", faults, |text| {
            is_name(text)
                .then(|| text.to_owned())
                .ok_or(NAME_RULE.to_owned())
        });
        let role = self.read("role", faults, str::parse::<Role>);
        for (member, missing) in [("name", &name.is_none()), ("role", &role.is_none())] {
            if *missing && self.member(member).is_none() {
                faults.push(format!("line {}: a person without {member}", self.line));
            }
        }
        let digest = |text: &str| {
            KeyDigest::parse(text).ok_or_else(|| {
                "has to be the SHA-256 of the key, 64 hex digits; `offboarder people add` makes it"
                    .to_owned()
            })
        };
        let key = self.read("key_sha256", faults, digest);
        let break_glass_key = self.read("break_glass_key_sha256", faults, digest);
        if break_glass_key.is_some() && role.is_some_and(|role| role != Role::Admin) {
            faults.push(format!(
                "line {}: only an admin may have break_glass_key_sha256",
                self.line
            ));
        }

        (faults.len() == before).then_some(Person {
            name: name?,
            role: role?,
            key,
            break_glass_key,
        })
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The value of a member; `None` if it is missing or a fault was noted.
    fn read<T>(
        &self,
        name: &str,
        faults: &mut Vec<String>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Member { line, value, .. } = self.member(name)?;
        let read = match value {
            Some(text) => parse(text),
            None => Err("has to be text".to_owned()),
        };
        read.map_err(|why| faults.push(format!("line {line}: {name} {why}")))
            .ok()
    }
}
