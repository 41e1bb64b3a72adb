//! Checks one user while somebody waits for the answer.

use std::sync::Arc;

use super::{CheckpointEvidence, Schema, Verdict, Verifier, holdings};
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::{ArchiveStore, Checkpoints};

/// Checks a user, with what the checkpoint says if it can be read. A user with findings is checked again, because a worker
/// may have changed the objects in between.
pub(crate) async fn verify_one(
    store: &Arc<dyn ArchiveStore>,
    checkpoints: &dyn Checkpoints,
    user_id: UserId,
) -> Result<Verdict, Failure> {
    let verifier = Verifier {
        store: Arc::clone(store),
        schema: Schema::new(),
        downloaded: false,
    };
    let verdict = check(&verifier, checkpoints, user_id).await?;
    if verdict.ok {
        return Ok(verdict);
    }
    check(&verifier, checkpoints, user_id).await
}

async fn check(
    verifier: &Verifier,
    checkpoints: &dyn Checkpoints,
    user_id: UserId,
) -> Result<Verdict, Failure> {
    let known = match checkpoints.read(user_id).await {
        Ok(checkpoint) => checkpoint.as_ref().map(CheckpointEvidence::of),
        Err(failure) => {
            tracing::warn!("{user_id}: the digest in the checkpoint is not compared: {failure}");
            None
        }
    };
    let mut held = holdings(&*verifier.store, Some(user_id)).await?;
    let held = held.remove(&user_id).unwrap_or_default();
    verifier
        .check(user_id, &held, &known.unwrap_or_default())
        .await
}
