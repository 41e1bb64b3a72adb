//! Copies of dead letters that an operator discarded: all that the store shows of a user who failed.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;

use crate::failure::{Class, Failure};
use crate::job::{BatchId, Request, UserId};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::steps::MAX_DOCUMENT_BYTES;

const PREFIX: &str = "_dead_letter_";
const AT_ONCE: usize = 16;

/// A dead letter that was discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discarded {
    pub(super) request: Option<Request>,
    pub(super) batch_id: Option<BatchId>,
    pub(super) dead_lettered_at: Option<Timestamp>,
    reason: String,
    error: String,
    by: Option<By>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct By {
    at: Timestamp,
    who: String,
    why: Option<String>,
}

/// The members that are read, whatever release wrote the copy.
#[derive(Deserialize)]
struct Copy {
    letter: DeadLetter,
    body: Option<String>,
    discarded: Option<By>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter {
    user_id: Option<UserId>,
    batch_id: Option<BatchId>,
    reason: String,
    #[serde(default)]
    error: String,
    dead_lettered_at: Option<Timestamp>,
}

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a dead letter ({}: {})", self.reason, self.error)?;
        if let Some(By { at, who, why }) = &self.by {
            let why = why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            write!(f, ", discarded at {at:.0} by {who}{why}")?;
        }
        Ok(())
    }
}

/// The copies that the store has.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Of each user, oldest first.
    pub(super) by_user: BTreeMap<UserId, Vec<Discarded>>,
    /// When those that name no user became dead letters; `None` if that cannot be read either.
    nameless: Vec<Option<Timestamp>>,
}

impl Copies {
    pub(super) fn of(&self, user_id: UserId) -> &[Discarded] {
        self.by_user.get(&user_id).map_or(&[], Vec::as_slice)
    }

    /// The number of nameless copies, except those that are certainly of an earlier request.
    pub(super) fn nameless_since(&self, since: Timestamp) -> usize {
        let times = self.nameless.iter();
        times.filter(|at| at.is_none_or(|at| at >= since)).count()
    }
}

/// Reads all copies.
pub(super) async fn copies(store: &dyn ArchiveStore) -> Result<Copies, Failure> {
    let keys = store.keys(PREFIX).await?;
    let mut read = stream::iter(keys)
        .map(|key| read(store, key))
        .buffer_unordered(AT_ONCE);
    let mut copies = Copies::default();
    while let Some(copy) = read.try_next().await? {
        let at = copy.as_ref().and_then(|copy| copy.letter.dead_lettered_at);
        match copy.and_then(|copy| Some((copy.letter.user_id?, copy))) {
            Some((user_id, copy)) => {
                let of_user = copies.by_user.entry(user_id).or_default();
                of_user.push(copy.into());
            }
            None => copies.nameless.push(at),
        }
    }
    for of_user in copies.by_user.values_mut() {
        of_user.sort_by_key(|copy| copy.dead_lettered_at);
    }
    Ok(copies)
}

/// The keys of the copies that name a user.
pub(crate) async fn copies_of(
    store: &dyn ArchiveStore,
    user_id: UserId,
) -> Result<Vec<ObjectKey>, Failure> {
    let keys = store.keys(PREFIX).await?;
    let reading = stream::iter(keys).map(|key| async move {
        let copy = read(store, key.clone()).await?;
        let is_of_user = copy.is_some_and(|copy| copy.letter.user_id == Some(user_id));
        Ok(is_of_user.then_some(key))
    });
    let found = reading.buffer_unordered(AT_ONCE);
    found
        .try_filter_map(|key| async move { Ok(key) })
        .try_collect()
        .await
}

/// `None` if it cannot be read as one of ours.
async fn read(store: &dyn ArchiveStore, key: ObjectKey) -> Result<Option<Copy>, Failure> {
    match store.read(&key, MAX_DOCUMENT_BYTES).await {
        Ok(bytes) => Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())),
        // We write no such copy.
        Err(failure) if failure.class == Class::Defect => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl From<Copy> for Discarded {
    fn from(copy: Copy) -> Self {
        let request = copy.body.as_deref().map(serde_json::from_str::<Request>);
        Self {
            request: request.and_then(Result::ok),
            batch_id: copy.letter.batch_id,
            dead_lettered_at: copy.letter.dead_lettered_at,
            reason: copy.letter.reason,
            error: copy.letter.error,
            by: copy.discarded,
        }
    }
}
