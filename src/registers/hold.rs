//! Legal holds. They are objects of the archive store, since a Redis that lost its data would let a
//! user be deleted. Where what is stored is in doubt, the user is on hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::guards::Hold;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::audit_log::Recorded;

impl Numbered for Hold {
    const PURPOSE: Purpose = Purpose::Hold;

    fn passes_over(&mut self) -> &mut Vec<String> {
        &mut self.passes_over
    }
}

/// A user who is on hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnHold {
    /// The user on hold.
    pub user_id: UserId,
    /// The operator who set the hold.
    pub who: String,
    /// Why, in the words of that operator.
    pub why: Option<String>,
    /// When the hold was set.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl OnHold {
    pub(crate) fn new(user_id: UserId, hold: Hold) -> Self {
        Self {
            user_id,
            who: hold.who,
            why: hold.why,
            at: hold.at,
        }
    }
}

const PREFIX: &str = "_hold_";
const AT_ONCE: usize = 16;

/// What the keys of a user's hold records begin with: `_hold_{userId}.{number}.json`.
fn prefix_of(user_id: UserId) -> String {
    format!("{PREFIX}{user_id}.")
}

/// Puts a user on hold or takes the user off hold, and reads the result back in the way in which
/// the guards read it. Returns the number of the record.
pub(crate) async fn set_hold(
    store: &dyn ArchiveStore,
    user_id: UserId,
    held: bool,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<u32, Failure> {
    let operator = recorded.operator();
    let record = Hold {
        held,
        who: operator.who.clone(),
        why: operator.why.clone(),
        at,
        passes_over: Vec::new(),
    };

    append(store, &prefix_of(user_id), &record).await
}

/// The keys of one user's records.
#[derive(Default)]
struct Keys {
    shown: Vec<ObjectKey>,
    hidden: Vec<ObjectKey>,
}

/// The names of the hold records of each user.
#[derive(Debug, Clone, Default)]
pub(crate) struct HoldRecords(BTreeMap<UserId, Sequence>);

impl HoldRecords {
    /// Lists the records of all users: two listings, and no object is read.
    pub(crate) async fn list(store: &dyn ArchiveStore) -> Result<Self, Failure> {
        let listed = store.shown_and_hidden(PREFIX).await?;
        let mut by_user: BTreeMap<UserId, Keys> = BTreeMap::new();
        for key in listed.0 {
            if let Some(user_id) = user_of(&key) {
                by_user.entry(user_id).or_default().shown.push(key);
            }
        }
        for key in listed.1 {
            if let Some(user_id) = user_of(&key) {
                by_user.entry(user_id).or_default().hidden.push(key);
            }
        }

        let sequences = by_user.into_iter().map(|(user_id, keys)| {
            let sequence = Sequence::of(&prefix_of(user_id), &keys.shown, &keys.hidden);
            (user_id, sequence)
        });
        Ok(Self(sequences.collect()))
    }

    /// Whether there is a record of this user.
    pub(crate) fn names(&self, user_id: UserId) -> bool {
        self.0.contains_key(&user_id)
    }

    /// The number of the user's last record.
    pub(crate) fn last(&self, user_id: UserId) -> u32 {
        self.0.get(&user_id).map_or(0, Sequence::last)
    }

    /// Drops the records of all other users.
    pub(crate) fn retain(&mut self, users: &BTreeSet<UserId>) {
        self.0.retain(|user_id, _| users.contains(user_id));
    }

    /// The users who are on hold, in the order of their IDs.
    pub(crate) async fn holds(
        self,
        store: &Arc<dyn ArchiveStore>,
    ) -> Result<Vec<(UserId, Hold)>, Failure> {
        let mut holds: Vec<(UserId, Hold)> = stream::iter(self.0)
            .map(|(user_id, sequence)| {
                let store = Arc::clone(store);
                async move { Ok::<_, Failure>((user_id, hold(&*store, &sequence).await?)) }
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|(user_id, hold)| async move { Ok(hold.map(|hold| (user_id, hold))) })
            .try_collect()
            .await?;
        holds.sort_by_key(|(user_id, _)| *user_id);
        Ok(holds)
    }
}

/// The hold of a user, if the user is on hold.
pub(crate) async fn hold_of(
    store: &dyn ArchiveStore,
    user_id: UserId,
) -> Result<Option<Hold>, Failure> {
    hold(store, &Sequence::list(store, &prefix_of(user_id)).await?).await
}

/// The same, where at least `noted` records were counted elsewhere: if fewer are stored, some
/// vanished, and the user is on hold.
pub(crate) async fn hold_of_noted(
    store: &dyn ArchiveStore,
    user_id: UserId,
    noted: u32,
) -> Result<Option<Hold>, Failure> {
    let sequence = Sequence::list(store, &prefix_of(user_id)).await?;
    let hold = hold(store, &sequence).await?;
    let vanished = || {
        let last = sequence.last();
        Hold::doubtful(format!(
            "{noted} hold records were stored, and {last} are there"
        ))
    };
    Ok(hold.or_else(|| (sequence.last() < noted).then(vanished)))
}

async fn hold(store: &dyn ArchiveStore, sequence: &Sequence) -> Result<Option<Hold>, Failure> {
    Ok(match sequence.latest::<Hold>(store).await? {
        Latest::Nothing => None,
        Latest::Record(hold) => hold.held.then_some(hold),
        Latest::Doubtful(why) => Some(Hold::doubtful(why)),
    })
}

fn user_of(key: &ObjectKey) -> Option<UserId> {
    key.as_str()
        .strip_prefix(PREFIX)?
        .split_once('.')?
        .0
        .parse()
        .ok()
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
