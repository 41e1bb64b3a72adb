//! Copies of dead letters that an operator discarded: all that the store shows of a user who failed.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;

use crate::failure::Failure;
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

/// The last discarded dead letter of each user.
pub(super) async fn discarded(
    store: &dyn ArchiveStore,
) -> Result<BTreeMap<UserId, Discarded>, Failure> {
    let keys = store.keys(PREFIX).await?;
    let mut copies = stream::iter(keys)
        .map(|key| read(store, key))
        .buffer_unordered(AT_ONCE);
    let mut by_user: BTreeMap<UserId, Discarded> = BTreeMap::new();
    while let Some(copy) = copies.try_next().await? {
        let Some((user_id, copy)) = copy else {
            continue;
        };
        let known = by_user
            .get(&user_id)
            .and_then(|known| known.dead_lettered_at);
        if known.is_none_or(|known| copy.dead_lettered_at > Some(known)) {
            by_user.insert(user_id, copy);
        }
    }
    Ok(by_user)
}

/// `None` if it names no user.
async fn read(
    store: &dyn ArchiveStore,
    key: ObjectKey,
) -> Result<Option<(UserId, Discarded)>, Failure> {
    let bytes = store.read(&key, MAX_DOCUMENT_BYTES).await?;
    Ok(bytes.and_then(|bytes| parse(&bytes)))
}

fn parse(bytes: &[u8]) -> Option<(UserId, Discarded)> {
    let copy: Copy = serde_json::from_slice(bytes).ok()?;
    let request = copy.body.as_deref().map(serde_json::from_str::<Request>);
    let discarded = Discarded {
        request: request.and_then(Result::ok),
        batch_id: copy.letter.batch_id,
        dead_lettered_at: copy.letter.dead_lettered_at,
        reason: copy.letter.reason,
        error: copy.letter.error,
        by: copy.discarded,
    };
    Some((copy.letter.user_id?, discarded))
}
