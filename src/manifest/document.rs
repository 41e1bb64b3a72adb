//! The audit manifest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::{Request, UserId};
use crate::machine::{
    AccessRemoved, Archive, Checkpoint, Deletion, DeletionOutcome, ManifestRef, Residual, State,
    StateName, StepRecord,
};
use crate::profile::{Preset, TenantProfile};

/// How a user ended, in the manifest's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Deleted,
    DeactivatedOnly,
}

impl From<Status> for StateName {
    fn from(status: Status) -> Self {
        match status {
            Status::Deleted => Self::Deleted,
            Status::DeactivatedOnly => Self::DeactivatedOnly,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Actor {
    /// Always `offboarder`.
    pub service: String,
    pub version: String,
    pub worker: String,
}

impl Actor {
    /// This release, as the process named `worker`.
    pub(crate) fn new(worker: impl Into<String>) -> Self {
        Self {
            service: "offboarder".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            worker: worker.into(),
        }
    }
}

/// The archive that the manifest refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchiveMember {
    /// An archive is only ever stored whole.
    pub complete: bool,
    #[serde(flatten)]
    pub archive: Archive,
}

/// The audit manifest, after `audit-manifest.schema.json`. Everything in it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub user_id: UserId,
    /// When the final state was reached.
    pub timestamp: Timestamp,
    pub status: Status,
    /// Why the user was not deleted.
    pub error: Option<String>,
    pub scim_active: Option<bool>,
    /// When the last session, token and key had ended, where the API ends them apart from the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_ended_at: Option<Timestamp>,
    pub queue_assignments_cleared: bool,
    /// `archive.complete`.
    pub interactions_archived: bool,
    pub schema_version: u32,
    /// Whose API it was; a manifest of a release that knew one API names none.
    #[serde(default, skip_serializing_if = "TenantProfile::is_tutorial")]
    pub profile: TenantProfile,
    pub revision: u32,
    pub previous: Option<ManifestRef>,
    pub request: Request,
    /// One entry for each completed state, in order.
    pub steps: Vec<StepRecord>,
    pub archive: ArchiveMember,
    /// What is known of the user's conversations and is not in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_archived: Vec<String>,
    pub deletion: Deletion,
    /// What a person still has to check.
    pub residual: Vec<Residual>,
    pub actor: Actor,
    /// Every process that took the user for this off-boarding, each once; the one that took it last comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<String>,
}

impl Manifest {
    /// The manifest of a user in a terminal state; `None` in any other.
    pub(crate) fn of(checkpoint: &Checkpoint, actor: &Actor) -> Option<Self> {
        match &checkpoint.state {
            State::Deleted {
                access,
                archive,
                deletion,
                ..
            } => Some(Self::assemble(
                checkpoint,
                actor,
                Status::Deleted,
                access,
                archive,
                deletion,
            )),
            State::DeactivatedOnly {
                access,
                archive,
                deletion,
                ..
            } => Some(Self::assemble(
                checkpoint,
                actor,
                Status::DeactivatedOnly,
                access,
                archive,
                deletion,
            )),
            State::Received
            | State::QueuesCleared { .. }
            | State::Deactivated { .. }
            | State::Archived { .. } => None,
        }
    }

    fn assemble(
        checkpoint: &Checkpoint,
        actor: &Actor,
        status: Status,
        access: &AccessRemoved,
        archive: &Archive,
        deletion: &Deletion,
    ) -> Self {
        let preset = checkpoint.profile.preset();
        Self {
            user_id: checkpoint.user_id,
            timestamp: checkpoint
                .steps
                .last()
                .map_or(checkpoint.updated_at, |step| step.completed_at),
            status,
            error: why_not_deleted(deletion, access.queues.confirmed, preset),
            scim_active: access.scim_active,
            sessions_ended_at: access.sessions_ended_at,
            queue_assignments_cleared: access.queues.confirmed,
            interactions_archived: true,
            schema_version: 1,
            profile: checkpoint.profile,
            revision: checkpoint.revision,
            previous: checkpoint.previous.clone(),
            request: checkpoint.request.clone(),
            steps: checkpoint.steps.clone(),
            archive: ArchiveMember {
                complete: true,
                archive: archive.clone(),
            },
            not_archived: preset
                .not_archived
                .iter()
                .map(|&what| what.to_owned())
                .collect(),
            deletion: deletion.clone(),
            residual: access.queues.residual.clone(),
            actor: actor.clone(),
            workers: checkpoint.workers.clone(),
        }
    }

    /// The bytes that are stored: the same manifest always gives the same bytes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn why_not_deleted(deletion: &Deletion, queues_cleared: bool, preset: &Preset) -> Option<String> {
    let answer = || {
        let status = deletion
            .status
            .map_or_else(String::new, |status| format!(" with {status}"));
        let code = deletion
            .code
            .as_deref()
            .map_or_else(String::new, |code| format!(" ({code})"));
        format!("{status}{code}")
    };
    match deletion.outcome {
        DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone => None,
        DeletionOutcome::Refused => Some(format!(
            "the API refused the deletion of this user{}",
            answer()
        )),
        DeletionOutcome::NotOffered if deletion.status.is_some() => Some(format!(
            "the tenant offers no deletion: the API answered{}",
            answer()
        )),
        DeletionOutcome::NotOffered if preset.no_deletion.is_some() => {
            preset.no_deletion.map(str::to_owned)
        }
        DeletionOutcome::NotOffered => {
            Some("this deployment deletes nobody (OFFBOARDER_GUARD_DELETE=never)".to_owned())
        }
        DeletionOutcome::NotRequested => Some("the request was to deactivate".to_owned()),
        DeletionOutcome::Held if !queues_cleared => {
            Some("queue assignments are left over; see residual".to_owned())
        }
        DeletionOutcome::Held => Some(
            deletion
                .hold
                .as_ref()
                .map_or_else(|| "a legal hold".to_owned(), ToString::to_string),
        ),
    }
}

/// Whether a stored manifest is the one that we meant to store: a run that crashed after it stored
/// the manifest finds it again, and so does a second worker. The evidence has to be equal. The
/// writer and the times may differ, and so may which of two workers found the user deleted already.
pub(crate) fn has_same_evidence(stored: &Manifest, ours: &Manifest) -> bool {
    stored.user_id == ours.user_id
        && stored.status == ours.status
        && stored.profile == ours.profile
        && stored.revision == ours.revision
        && stored.archive.archive.key == ours.archive.archive.key
        && stored.archive.archive.sha256 == ours.archive.archive.sha256
        && stored.previous == ours.previous
        && (stored.deletion.outcome == ours.deletion.outcome || stored.status == Status::Deleted)
        && stored.scim_active == ours.scim_active
        && stored.queue_assignments_cleared == ours.queue_assignments_cleared
}
