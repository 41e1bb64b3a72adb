//! Legal holds. They are objects of the archive store, since a Redis that forgot one would let a user be
//! deleted; each act is a new object, written once, and the one with the highest number counts.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::stored;
use crate::acts::{self, Act, By};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// One act: a hold that was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Whether the user is on hold from then on.
    pub held: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A user who is on hold, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnHold {
    /// Who.
    pub user_id: UserId,
    /// By whom.
    pub who: String,
    /// Why, as was said.
    pub why: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl OnHold {
    /// This user, by this act.
    pub fn new(user_id: UserId, hold: Hold) -> Self {
        Self { user_id, who: hold.who, why: hold.why, at: hold.at }
    }
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
const MAX_HOLD_BYTES: usize = 64 * 1024;
const AT_ONCE: usize = 16;

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

/// Puts users on hold or takes them off, on the record; `done` tells how far it got, also on an error.
pub async fn set_holds(
    store: &dyn ArchiveStore,
    users: &[UserId],
    held: bool,
    by: &By,
    done: &mut Vec<UserId>,
) -> Result<(), Failure> {
    let what = if held { "hold add" } else { "hold remove" };
    acts::record(store, &Act::new(by, what, users.len(), json!({ "users": users }))).await?;
    for user_id in users {
        let act = Hold { held, who: by.who.clone(), why: by.why.clone(), at: Timestamp::now() };
        let body = Bytes::from(stored(&act)?);
        loop {
            let keys = store.keys(&hold_prefix(Some(*user_id))).await?;
            let number = latest_hold(&keys, *user_id).map_or(0, |latest| latest.number) + 1;
            let key = HoldKey { user_id: *user_id, number }.key();
            // Somebody else may have acted a moment ago; then ours is the next act.
            if let PutOnce::Stored(_) = store.put_once(&key, body.clone(), None).await? {
                break;
            }
        }
        done.push(*user_id);
    }
    Ok(())
}

/// The last act of each user; only [`standing`] knows which of them holds.
pub async fn last_acts(store: &dyn ArchiveStore) -> Result<Vec<HoldKey>, Failure> {
    let keys = store.keys(&hold_prefix(None)).await?;
    let mut acts: Vec<HoldKey> = keys.iter().filter_map(HoldKey::parse).collect();
    acts.sort_unstable();
    acts.reverse();
    acts.dedup_by_key(|act| act.user_id);
    Ok(acts)
}

/// The hold that a user is on.
pub async fn hold_of(store: &Arc<dyn ArchiveStore>, user_id: UserId) -> Result<Option<Hold>, Failure> {
    let keys = store.keys(&hold_prefix(Some(user_id))).await?;
    let acts = latest_hold(&keys, user_id).into_iter().collect();
    Ok(standing(store, acts).await?.pop().map(|(_, hold)| hold))
}

/// Those of these acts that hold somebody, by user.
pub async fn standing(
    store: &Arc<dyn ArchiveStore>,
    acts: Vec<HoldKey>,
) -> Result<Vec<(UserId, Hold)>, Failure> {
    let mut holds: Vec<(UserId, Hold)> = stream::iter(acts)
        .map(|act| {
            let store = Arc::clone(store);
            async move {
                let read = store.read(&act.key(), MAX_HOLD_BYTES).await?;
                let hold = read.and_then(|bytes| serde_json::from_slice::<Hold>(&bytes).ok());
                let unreadable = || {
                    let text = format!("{} cannot be read; it holds", store.full_key(&act.key()));
                    Failure::new(Class::Defect, Code::ArchiveConflict, text)
                };
                Ok::<_, Failure>((act.user_id, hold.ok_or_else(unreadable)?))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    holds.retain(|(_, hold)| hold.held);
    holds.sort_by_key(|(user_id, _)| *user_id);
    Ok(holds)
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
