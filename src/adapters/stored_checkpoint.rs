//! Reading a checkpoint back, the same way in every adapter: what does not count is absent, since
//! the steps then read what was done back from CXone and the archive store.

use serde::Serialize;

use crate::failure::{Class, Classify, Code, Failure};
use crate::integrity::{Integrity, Purpose};
use crate::job::UserId;
use crate::machine::{Checkpoint, SCHEMA};

/// A later release wrote the checkpoint. It may say something that this release would ignore, so it
/// is refused and not treated as absent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of {user_id} has schema {schema}, newer than this release reads; upgrade this worker"
)]
pub(crate) struct NewerCheckpoint {
    user_id: UserId,
    schema: u64,
}

impl Classify for NewerCheckpoint {
    fn classify(&self) -> (Class, Code) {
        (Class::Defect, Code::CheckpointUnreadable)
    }
}

/// What is stored of a checkpoint.
pub(super) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::internal("cannot write a checkpoint", error))
}

/// The checkpoint, if it counts: with a key, only one whose code is valid does. `name` is what the
/// code was made for.
pub(super) fn open(
    integrity: &Integrity,
    name: &str,
    user_id: UserId,
    body: &[u8],
    code: Option<&str>,
) -> Result<Option<Box<Checkpoint>>, NewerCheckpoint> {
    if body.is_empty() {
        return Ok(None);
    }
    if !integrity.admits(Purpose::Checkpoint, name, body, code) {
        tracing::warn!(%user_id, "the checkpoint has no valid integrity code and counts as absent");
        return Ok(None);
    }
    parse(user_id, body)
}

/// The checkpoint; `None` where there is none, or it is damaged, or it is another user's.
pub(crate) fn parse(
    user_id: UserId,
    body: &[u8],
) -> Result<Option<Box<Checkpoint>>, NewerCheckpoint> {
    if body.is_empty() {
        return Ok(None);
    }
    if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(body)
        && checkpoint.schema == SCHEMA
        && checkpoint.user_id == user_id
    {
        return Ok(Some(Box::new(checkpoint)));
    }

    match schema_of(body) {
        Some(schema) if schema > u64::from(SCHEMA) => Err(NewerCheckpoint { user_id, schema }),
        Some(_) | None => {
            tracing::warn!(%user_id, "the checkpoint is damaged and counts as absent");
            Ok(None)
        }
    }
}

fn schema_of(body: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("schema")?.as_u64()
}
