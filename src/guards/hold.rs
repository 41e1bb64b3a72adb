//! Legal holds. They are objects of the archive store, since a Redis that forgot one would let a user be
//! deleted; each act is a new object, written once, and the one with the highest number counts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::UserId;
use crate::ports::ObjectKey;

/// One act: a hold that was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whether the user is on hold from then on.
    pub held: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Whose act, and the how-manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldKey {
    /// Whose.
    pub user_id: UserId,
    /// From 1.
    pub number: u32,
}

const PREFIX: &str = "_hold_";

impl HoldKey {
    /// `_hold_{userId}.{number}.json`.
    pub fn key(&self) -> ObjectKey {
        ObjectKey(format!("{PREFIX}{}.{}.json", self.user_id, self.number))
    }

    /// Reads a key back; `None` for what is no hold.
    pub fn parse(key: &ObjectKey) -> Option<Self> {
        let (user_id, number) = key.as_str().strip_prefix(PREFIX)?.strip_suffix(".json")?.split_once('.')?;
        let parsed = Self { user_id: user_id.parse().ok()?, number: number.parse().ok()? };
        (parsed.key() == *key).then_some(parsed)
    }
}

/// What the keys of a user's holds, or of everybody's, begin with.
pub fn hold_prefix(user_id: Option<UserId>) -> String {
    user_id.map_or_else(|| PREFIX.to_owned(), |user_id| format!("{PREFIX}{user_id}."))
}

/// The act that counts of those that are stored of one user.
pub fn latest_hold(keys: &[ObjectKey], user_id: UserId) -> Option<HoldKey> {
    keys.iter().filter_map(HoldKey::parse).filter(|key| key.user_id == user_id).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn the_highest_number_counts_and_strangers_do_not() {
        let user_id: UserId = ID.parse().unwrap();
        let texts = ["2", "10", "9", "011", "x", "+12"].map(|number| format!("_hold_{ID}.{number}.json"));
        let mut keys: Vec<ObjectKey> = texts.into_iter().map(ObjectKey).collect();
        keys.push(ObjectKey("_hold_00000000-9a51-4b4b-8f6c-1f9a4f9b7c11.99.json".to_owned()));
        assert_eq!(latest_hold(&keys, user_id), Some(HoldKey { user_id, number: 10 }));
        assert_eq!(latest_hold(&[], user_id), None);
    }
}
