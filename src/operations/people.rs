//! Adds people to the people file and removes them.

use bytes::Bytes;
use serde_json::json;

use crate::failure::{Class, Code, Failure};
use crate::people::{Format, KEY_PREFIX, KeyDigest, People, Permission, Person, Role};
use crate::ports::{Document, Edition};
use crate::registers::MAX_PEOPLE_BYTES;
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::secret::Secret;

/// The people file as it was read; a change is made to that and to nothing later.
pub(crate) struct PeopleFile<'a> {
    document: &'a dyn Document,
    edition: Option<Edition>,
    text: String,
    pub(crate) people: People,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum PeopleError {
    Failed(Failure),
    /// A rule forbids it.
    Refused(String),
}

impl From<Failure> for PeopleError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The keys of a person who was added, which are shown once and not stored.
#[derive(Debug)]
pub(crate) struct NewKeys {
    pub key: Option<Secret>,
    pub break_glass: Option<Secret>,
}

/// The person to add.
pub(crate) struct NewPerson {
    pub name: String,
    pub role: Role,
    /// Whether to make a key; without one, only a proxy signs the person in.
    pub has_key: bool,
    /// Whether to make a second key, with which an admin approves a plan without anybody else.
    pub breaks_glass: bool,
    /// Takes the place of a person with this name: a new role, and a new key.
    pub replace: bool,
}

impl<'a> PeopleFile<'a> {
    /// A file that does not exist has nobody in it.
    pub(crate) async fn read(document: &'a dyn Document) -> Result<Self, Failure> {
        let edition = document
            .read(MAX_PEOPLE_BYTES)
            .await
            .map_err(|why| unusable(document, &why))?;
        let (text, people) = match &edition {
            Some(edition) => {
                let text = std::str::from_utf8(&edition.bytes)
                    .map_err(|error| unusable(document, &format!("it is not UTF-8 ({error})")))?;
                let people = People::parse(text)
                    .map_err(|faults| unusable(document, &faults.to_string()))?;
                (text.to_owned(), people)
            }
            None => (String::new(), People::default()),
        };
        Ok(Self {
            document,
            edition,
            text,
            people,
        })
    }

    /// Whether somebody may change the file with a key. The first admin is added without one.
    pub(crate) fn has_admin(&self) -> bool {
        has_admin(&self.people)
    }

    pub(crate) async fn add(
        self,
        new: NewPerson,
        log: &AuditLog,
        operator: &Operator,
    ) -> Result<NewKeys, PeopleError> {
        if let Some(known) = self.people.named(&new.name)
            && !new.replace
        {
            return Err(PeopleError::Refused(format!(
                "{} is in the people file, as {}; --replace gives a new role and a new key",
                known.name, known.role
            )));
        }
        if new.breaks_glass && new.role != Role::Admin {
            return Err(PeopleError::Refused(
                "only an admin has a key to break the glass".to_owned(),
            ));
        }
        let key = new.has_key.then(fresh_key);
        let break_glass = new.breaks_glass.then(fresh_key);
        let person = Person {
            name: new.name,
            role: new.role,
            key: key.as_ref().map(|key| KeyDigest::of(key.expose())),
            break_glass_key: break_glass.as_ref().map(|key| KeyDigest::of(key.expose())),
        };
        let changed = People::add(&self.text, self.format(), &person);
        let change = Change {
            what: "people add",
            count: 1,
            details: json!({
                "name": person.name, "role": person.role, "key": new.has_key, "replace": new.replace,
                "breakGlass": new.breaks_glass,
            }),
        };
        self.write(changed, change, log, operator).await?;
        Ok(NewKeys { key, break_glass })
    }

    pub(crate) async fn remove(
        self,
        name: &str,
        log: &AuditLog,
        operator: &Operator,
    ) -> Result<(), PeopleError> {
        let Some(known) = self.people.named(name) else {
            return Err(PeopleError::Refused(format!(
                "{name} is not in the people file"
            )));
        };
        let change = Change {
            what: "people remove",
            count: 1,
            details: json!({ "name": known.name, "role": known.role }),
        };
        let changed = People::remove(&self.text, self.format(), name);
        self.write(changed, change, log, operator).await
    }

    fn format(&self) -> Format {
        if self.edition.is_some() {
            Format::of(&self.text)
        } else {
            Format::of_new(&self.document.place())
        }
    }

    async fn write(
        self,
        changed: Result<String, String>,
        change: Change,
        log: &AuditLog,
        operator: &Operator,
    ) -> Result<(), PeopleError> {
        let failed = |why: &str| PeopleError::Failed(unusable(self.document, why));
        let changed = changed.map_err(|why| failed(&why))?;
        // `changed` was read back, so that it is one that can be parsed.
        if !People::parse(&changed).is_ok_and(|people| has_admin(&people)) {
            return Err(PeopleError::Refused(
                "nothing was changed: afterwards nobody with a key could add or remove people; an admin with a key comes first \
                 (`offboarder people add NAME --role admin`), and the last one stays"
                    .to_owned(),
            ));
        }
        log.record(operator, change).await?;

        let body = Bytes::from(changed);
        let replaced = self
            .document
            .replace(self.edition.as_ref(), body.clone())
            .await
            .map_err(|why| failed(&why))?;
        if replaced {
            return Ok(());
        }
        // If the answer to the write was lost, it was sent again and met itself.
        let now = self.document.read(MAX_PEOPLE_BYTES).await;
        if matches!(now, Ok(Some(Edition { bytes, .. })) if bytes == body) {
            return Ok(());
        }
        Err(PeopleError::Refused(
            "somebody else changed the people file at the same time; nothing was changed, try again"
                .to_owned(),
        ))
    }
}

fn has_admin(people: &People) -> bool {
    people
        .iter()
        .any(|person| person.role.may(Permission::People) && person.key.is_some())
}

fn unusable(document: &dyn Document, why: &str) -> Failure {
    let text = format!(
        "the people file {} cannot be used: {why}; check OFFBOARDER_ADMIN_PEOPLE",
        document.place()
    );
    Failure::new(Class::Systemic, Code::SettingsUnreadable, text)
}

/// 256 random bits.
fn fresh_key() -> Secret {
    let bits = rand::random::<[u8; 32]>();
    Secret::new(&format!("{KEY_PREFIX}{}", hex::encode(bits)))
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
