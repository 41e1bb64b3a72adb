//! The progress of a user, from the checkpoint, or from the latest manifest if there is no checkpoint (any more).

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::guards::Hold;
use crate::job::{Request, UserId};
use crate::machine::{
    Archive, Call, Checkpoint, DeadLetter, Deletion, ManifestRef, Pause, StateName, StepRecord,
};
use crate::manifest::{Kind, Manifest, audit_key, parse_key};
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::hold_of;

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

/// The progress of a user
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserStatus {
    pub user_id: UserId,
    /// The last completed step; null if nothing is stored about the user.
    pub state: Option<StateName>,
    #[serde(flatten)]
    #[schema(value_type = Progress)]
    pub progress: Option<Progress>,
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
    /// The archive, once it is stored.
    pub archive: Option<Archive>,
    /// How the deletion ended.
    pub deletion: Option<Deletion>,
    /// The manifest, once it is stored.
    pub manifest: Option<ManifestRef>,
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
    ) -> Result<Self, Failure> {
        let known = Known::look_up(user_id, checkpoints, &**store).await?;
        Ok(Self::of(user_id, &known, hold_of(&**store, user_id).await?))
    }

    /// The status for what was read.
    pub(crate) fn of(user_id: UserId, known: &Known, hold: Option<Hold>) -> Self {
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
            archive: checkpoint.state.archive().cloned(),
            deletion: checkpoint.state.deletion().cloned(),
            manifest: checkpoint.state.manifest().cloned(),
            updated_at: checkpoint.updated_at,
        }
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
            archive: Some(manifest.archive.archive.clone()),
            deletion: Some(manifest.deletion.clone()),
            manifest: Some(reference.clone()),
            updated_at: manifest.timestamp,
        }
    }
}
