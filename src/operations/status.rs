//! The progress of a user, from the checkpoint, or from the latest manifest if there is no checkpoint (any more).

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::failure::{Failure, Reason};
use crate::guards::Hold;
use crate::job::{BatchId, Request, UserId};
use crate::machine::{
    Archive, Call, Cancelled, Checkpoint, DeadLetter, Deletion, ManifestRef, Pause, Sealing, State,
    StateName, StepRecord,
};
use crate::manifest::{Kind, Manifest, audit_key, parse_key};
use crate::ports::batches::{Batches, Known as InBatch};
use crate::ports::users::UserIndex;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::hold_of;

/// The batch of a user who has not begun is found among this many latest ones.
const BATCHES_READ: usize = 1000;
const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// What is stored about a user.
pub(crate) enum Known {
    Checkpoint(Box<Checkpoint>),
    /// There is no checkpoint, and the latest manifest says how the user ended.
    Manifest(Box<Manifest>, ManifestRef),
    /// There is neither a checkpoint nor a manifest.
    Nothing,
}

impl Known {
    pub(crate) async fn look_up(
        user_id: UserId,
        checkpoints: &dyn Checkpoints,
        store: &dyn ArchiveStore,
    ) -> Result<Self, Failure> {
        if let Some(checkpoint) = checkpoints.read(user_id).await? {
            return Ok(Self::Checkpoint(Box::new(checkpoint)));
        }
        let keys = store.keys(&user_id.to_string()).await?;
        let stored = keys.iter().filter_map(|key| parse_key(user_id, key));
        let revisions = stored
            .filter(|(kind, _)| *kind == Kind::Audit)
            .map(|(_, revision)| revision);
        let Some(latest) = revisions.max() else {
            return Ok(Self::Nothing);
        };
        let key = audit_key(user_id, latest);
        let Some(bytes) = store.read(&key, MAX_MANIFEST_BYTES).await? else {
            return Ok(Self::Nothing);
        };
        let reference = ManifestRef {
            key: store.full_key(&key),
            sha256: hex::encode(Sha256::digest(&bytes)),
        };
        let manifest = serde_json::from_slice(&bytes).ok();

        Ok(manifest.map_or(Self::Nothing, |manifest| {
            Self::Manifest(Box::new(manifest), reference)
        }))
    }
}

/// A request that no worker has taken yet
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submitted {
    /// The batch of the request, if it is one of the latest.
    pub batch_id: Option<BatchId>,
    /// When the user was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Where requests are known of that no worker has taken.
pub(crate) struct Requests<'a> {
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
}

impl Requests<'_> {
    /// The request of a user without a checkpoint.
    pub(crate) async fn of(&self, user_id: UserId) -> Result<Option<Submitted>, Failure> {
        let asked_at = self.users.asked_at(user_id).await?;
        let latest = match self.batches {
            Some(batches) => latest_batch(batches, user_id).await?,
            None => None,
        };
        Ok(latest.or_else(|| asked_at.map(|at| Submitted { batch_id: None, at })))
    }
}

/// The latest batch in which the user has not begun. A batch keeps how a user ended whose checkpoint expired.
async fn latest_batch(
    batches: &dyn Batches,
    user_id: UserId,
) -> Result<Option<Submitted>, Failure> {
    for (batch, at) in batches.batches_of(user_id, BATCHES_READ).await? {
        let known = batches.summaries(&batch, &[user_id]).await?;
        if known == [InBatch::Nothing] {
            let batch_id = Some(batch);
            return Ok(Some(Submitted { batch_id, at }));
        }
    }
    Ok(None)
}

/// The progress of a user
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserStatus {
    pub user_id: UserId,
    /// The last completed step; null if no worker has taken the user.
    pub state: Option<StateName>,
    #[serde(flatten)]
    #[schema(value_type = Progress)]
    pub progress: Option<Progress>,
    /// The request that no worker has taken yet; null if one has, or if the user was not submitted.
    pub submitted: Option<Submitted>,
    /// The legal hold that the user is on.
    pub hold: Option<Hold>,
}

/// Details of the progress, from the checkpoint or, if there is none, from the latest manifest
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// Whether the state is terminal and the manifest is stored.
    pub finished: bool,
    /// The number of the current or last manifest of this user, from 1.
    pub revision: u32,
    /// The request for the off-boarding.
    pub request: Request,
    /// The completed steps, in order.
    pub steps: Vec<StepRecord>,
    /// Failed attempts since the job began or was replayed.
    pub attempts: u32,
    /// The last failure.
    pub last_error: Option<Failure>,
    /// The time of the next attempt, if the user waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    /// What the user waits for, if there was no failure.
    pub waits_for: Option<Pause>,
    /// The calls of the current step that changed something.
    #[serde(rename = "callsInProgress")]
    pub current_calls: Vec<Call>,
    /// The dead letter, while the user has one.
    pub dead_letter: Option<DeadLetter>,
    /// Who cancelled the request, if somebody did.
    pub cancelled: Option<Cancelled>,
    /// The archive, once it is stored.
    pub archive: Option<Archive>,
    /// How the deletion ended.
    pub deletion: Option<Deletion>,
    /// The manifest, once it is stored.
    pub manifest: Option<ManifestRef>,
    /// When a read confirmed that the access was removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub access_removed_at: Option<Timestamp>,
    /// CXone accepted the deletion, and it is not done yet.
    #[serde(skip)]
    pub deletion_accepted: bool,
    /// When the progress was saved.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl UserStatus {
    /// Reads the progress and the hold.
    pub(crate) async fn look_up(
        user_id: UserId,
        checkpoints: &dyn Checkpoints,
        store: &Arc<dyn ArchiveStore>,
        requests: &Requests<'_>,
    ) -> Result<Self, Failure> {
        let known = Known::look_up(user_id, checkpoints, &**store).await?;
        let submitted = match known {
            Known::Checkpoint(_) => None,
            Known::Manifest(..) | Known::Nothing => requests.of(user_id).await?,
        };
        let hold = hold_of(&**store, user_id).await?;
        Ok(Self::of(user_id, &known, submitted, hold))
    }

    /// Whether the user is a dead letter.
    pub(crate) fn failed(&self) -> bool {
        let progress = self.progress.as_ref();
        progress.is_some_and(|progress| progress.dead_letter.is_some())
    }

    /// Whether nothing at all is known of the user.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.progress.is_none() && self.submitted.is_none()
    }

    /// The status for what was read.
    fn of(
        user_id: UserId,
        known: &Known,
        submitted: Option<Submitted>,
        hold: Option<Hold>,
    ) -> Self {
        let (state, progress) = match known {
            Known::Checkpoint(checkpoint) => (
                Some(checkpoint.state.name()),
                Some(Progress::of_checkpoint(checkpoint)),
            ),
            Known::Manifest(manifest, reference) => (
                Some(manifest.status.into()),
                Some(Progress::of_manifest(manifest, reference)),
            ),
            Known::Nothing => (None, None),
        };
        Self {
            user_id,
            state,
            progress,
            submitted,
            hold,
        }
    }
}

impl Progress {
    fn of_checkpoint(checkpoint: &Checkpoint) -> Self {
        Self {
            finished: checkpoint.state.is_finished(),
            revision: checkpoint.revision,
            request: checkpoint.request.clone(),
            steps: checkpoint.steps.clone(),
            attempts: checkpoint.attempts,
            last_error: checkpoint.last_failure.clone(),
            next_attempt: checkpoint.waiting_until,
            waits_for: checkpoint.pause,
            current_calls: checkpoint.step.calls.clone(),
            dead_letter: checkpoint.dead_letter.clone(),
            cancelled: checkpoint.cancelled.clone(),
            archive: checkpoint.state.archive().cloned(),
            deletion: checkpoint.state.deletion().cloned(),
            manifest: checkpoint.state.manifest().cloned(),
            access_removed_at: checkpoint.state.access().map(|access| access.at),
            deletion_accepted: matches!(
                checkpoint.state,
                State::Archived {
                    sealing: Sealing::Accepted { .. },
                    ..
                }
            ),
            updated_at: checkpoint.updated_at,
        }
    }

    /// Whether the dead letter says that CXone does not know the user.
    pub(crate) fn is_unknown_user(&self) -> bool {
        let dead_letter = self.dead_letter.as_ref();
        dead_letter.is_some_and(|dead_letter| dead_letter.reason == Reason::UserNotFound)
    }

    fn of_manifest(manifest: &Manifest, reference: &ManifestRef) -> Self {
        Self {
            finished: true,
            revision: manifest.revision,
            request: manifest.request.clone(),
            steps: manifest.steps.clone(),
            attempts: 0,
            last_error: None,
            next_attempt: None,
            waits_for: None,
            current_calls: Vec::new(),
            dead_letter: None,
            cancelled: None,
            archive: Some(manifest.archive.archive.clone()),
            deletion: Some(manifest.deletion.clone()),
            manifest: Some(reference.clone()),
            access_removed_at: deactivated_at(&manifest.steps),
            deletion_accepted: false,
            updated_at: manifest.timestamp,
        }
    }
}

fn deactivated_at(steps: &[StepRecord]) -> Option<Timestamp> {
    let step = steps
        .iter()
        .find(|step| step.state == StateName::Deactivated);
    step.map(|step| step.completed_at)
}
