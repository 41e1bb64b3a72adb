//! The people who may use the API and the commands that change something: their roles, and the digests of their keys.
//! Nothing here reads a file or a clock.

mod edit;
mod file;
mod person;
mod role;

use subtle::ConstantTimeEq as _;

pub(crate) use file::{Format, PeopleFaults};
pub(crate) use person::{KeyDigest, NAME_RULE, Person, is_name};
pub(crate) use role::{Permission, Role};

/// What a key that we make begins with, so that scanners of repositories and logs find one that leaked.
pub(crate) const KEY_PREFIX: &str = "offboarder_";
/// A key that somebody else made is long, too, so that nobody guesses it.
const SHORTEST_KEY: usize = 32;

/// Who is in the people file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct People(Vec<Person>);

impl People {
    /// Reads JSON or TOML. All faults are reported together.
    pub(crate) fn parse(text: &str) -> Result<Self, PeopleFaults> {
        file::parse(text).map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Person> {
        self.0.iter()
    }

    /// Case does not matter: no two names differ only by it.
    pub(crate) fn named(&self, name: &str) -> Option<&Person> {
        self.0
            .iter()
            .find(|person| person.name.eq_ignore_ascii_case(name))
    }

    /// Whose key it is. All are compared, so that the time taken does not reveal where one matches.
    pub(crate) fn with_key(&self, key: &str) -> Option<&Person> {
        if key.len() < SHORTEST_KEY {
            return None;
        }
        let given = KeyDigest::of(key);
        let mut found = None;
        for person in &self.0 {
            let is_same = person
                .key
                .is_some_and(|known| known.0.ct_eq(&given.0).into());
            if is_same {
                found = Some(person);
            }
        }
        found
    }

    /// Whether this is the key with which that person breaks the glass. It is no key to sign in with.
    pub(crate) fn breaks_glass(&self, name: &str, key: &str) -> bool {
        let known = self.named(name).and_then(|person| person.break_glass_key);
        let given = KeyDigest::of(key);
        key.len() >= SHORTEST_KEY && known.is_some_and(|known| known.0.ct_eq(&given.0).into())
    }

    /// How many of them may do that.
    pub(crate) fn count_of(&self, permission: Permission) -> usize {
        let may = self.0.iter().filter(|person| person.role.may(permission));
        may.count()
    }

    /// For people: `3 people: 1 admin, 2 operators`.
    pub(crate) fn counts(&self) -> String {
        let many = |count: usize, word: &str| {
            format!("{count} {word}{}", if count == 1 { "" } else { "s" })
        };
        let of = |role: Role| self.0.iter().filter(|person| person.role == role).count();
        let roles = Role::ALL
            .iter()
            .map(|role| (of(*role), role.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, role)| many(count, role))
            .collect::<Vec<_>>();
        match self.0.len() {
            0 => "nobody".to_owned(),
            1 => format!("1 person: {}", roles.join(", ")),
            all => format!("{all} people: {}", roles.join(", ")),
        }
    }
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
