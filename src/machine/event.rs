//! What can happen to a job.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AccessRemoved, Archive, Beginning, Cancelled, Deletion, ManifestRef, PriorEvidence,
    QueuesCleared, Seal,
};
use crate::failure::Failure;

/// Why a step continues later although nothing failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pause {
    /// The deletion is not due: `deleteAfter`, or the grace period.
    NotDue,
    /// The deletion rate limit (`OFFBOARDER_GUARD_MAX_DELETIONS`) is reached.
    DeletionRateLimit,
    /// Other users wait for the quota that their access is removed with, and this deletion would use it.
    AccessFirst,
    /// Every write is accepted, and reads do not show it yet.
    NotConverged,
    /// The API may show the user's last conversations only some time after they ended.
    Settling,
    /// The API accepted the deletion, and reads still show the user.
    DeletionPending,
    /// An operator paused the batch of the request.
    BatchPaused,
    /// No order names the user, and too many such users came (`OFFBOARDER_GUARD_MAX_REQUESTS`).
    RequestLimit,
    /// No second person approved the deletion, and the rule wants it (`OFFBOARDER_GUARD_APPROVAL`).
    NotApproved,
    /// The user is not as the approved plan saw the user.
    PlanMoved,
    /// The approval of the plan came too late, or is too long ago.
    PlanExpired,
    /// A person rejected the plan.
    PlanRejected,
    /// A person revoked the approval of the plan.
    PlanRevoked,
    /// Who made the plan withdrew it.
    PlanWithdrawn,
    /// What is stored of the plan, or of what people decided about it, is not what was written.
    PlanAltered,
    /// Too many users are not as the plan saw them, or the settings are looser now.
    PlanStale,
}

impl Pause {
    /// The words for what a deletion waits for that nobody approved.
    pub(crate) const OF_APPROVAL: [Self; 8] = [
        Self::NotApproved,
        Self::PlanMoved,
        Self::PlanExpired,
        Self::PlanRejected,
        Self::PlanRevoked,
        Self::PlanWithdrawn,
        Self::PlanAltered,
        Self::PlanStale,
    ];

    /// The word in checkpoints, metrics and the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotDue => "not_due",
            Self::DeletionRateLimit => "brake",
            Self::AccessFirst => "access_first",
            Self::NotConverged => "not_converged",
            Self::Settling => "settling",
            Self::DeletionPending => "deletion_pending",
            Self::BatchPaused => "batch_paused",
            Self::RequestLimit => "request_limit",
            Self::NotApproved => "not_approved",
            Self::PlanMoved => "plan_moved",
            Self::PlanExpired => "plan_expired",
            Self::PlanRejected => "plan_rejected",
            Self::PlanRevoked => "plan_revoked",
            Self::PlanWithdrawn => "plan_withdrawn",
            Self::PlanAltered => "plan_altered",
            Self::PlanStale => "plan_stale",
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDue => {
                "the deletion is not due yet (deleteAfter, or OFFBOARDER_GUARD_DELETE_GRACE)"
            }
            Self::DeletionRateLimit => {
                "the deletion rate limit is reached (OFFBOARDER_GUARD_MAX_DELETIONS)"
            }
            Self::AccessFirst => {
                "users who still have access come first: their calls use the whole routing quota"
            }
            Self::NotConverged => "reads do not show the change yet",
            Self::Settling => {
                "the archive begins later, when the API shows the last conversations (OFFBOARDER_CXONE_SETTLE)"
            }
            Self::DeletionPending => "the deletion is accepted but not done yet",
            Self::BatchPaused => "an operator paused the batch",
            Self::RequestLimit => {
                "no order of `submit` names the user, and too many such users came (OFFBOARDER_GUARD_MAX_REQUESTS); \
                 `offboarder resume --intake` lets those on who wait"
            }
            Self::NotApproved => {
                "a second person has to approve the deletion (OFFBOARDER_GUARD_APPROVAL): `offboarder plan approve`"
            }
            Self::PlanMoved => {
                "the user changed after the plan was made: the user needs a new plan"
            }
            Self::PlanExpired => "the approval of the plan has expired: make a new plan",
            Self::PlanRejected => "a person rejected the plan",
            Self::PlanRevoked => "a person revoked the approval of the plan",
            Self::PlanWithdrawn => "the plan was withdrawn",
            Self::PlanAltered => {
                "the plan, or what people decided about it, was changed in the archive store: find out who wrote it"
            }
            Self::PlanStale => {
                "too many users, or the settings, changed after the plan was made: make a new plan"
            }
        })
    }
}

/// What happened to the job. What happens to the worker (a drain, a lost lease, an outage) is an
/// interrupt: the machine never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A worker took the job, for the first time or again.
    Resumed,
    /// The archive store holds neither seal nor manifest of this off-boarding.
    NoPriorEvidence(Beginning),
    /// The archive store holds a seal or a manifest that the checkpoint does not know: the
    /// checkpoint was lost, or is older.
    PriorEvidenceFound(Box<PriorEvidence>),
    /// The API does not know the user.
    UserNotFound,
    /// The queues were cleared and read back.
    QueuesCleared(QueuesCleared),
    /// The account was deactivated and read back.
    UserDeactivated(AccessRemoved),
    /// The archive was stored and read back.
    ArchiveStored(Archive),
    EvidenceSealed(Seal),
    /// The API accepted the DELETE, and reads still show the user.
    DeletionAccepted(Deletion),
    /// The step continues later: reads do not show a write yet, or a guard delays the deletion.
    StepPostponed {
        until: Timestamp,
        why: Pause,
    },
    UserDeleted(Deletion),
    /// The user will not be deleted.
    DeletionWithheld(Deletion),
    ManifestStored(ManifestRef),
    /// A user who was off-boarded is active again.
    UserReturned,
    /// A user who was off-boarded is as the off-boarding left it.
    UserStayedAway,
    /// The user has more access than was recorded: somebody restored it, or the record is wrong.
    AccessReturned,
    /// An operator cancelled the request that the job makes.
    Cancelled(Cancelled),
    StepFailed(Failure),
}

impl Event {
    /// The word in `state-machine.md` and in error texts.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Resumed => "Resumed",
            Self::NoPriorEvidence(_) => "NoPriorEvidence",
            Self::PriorEvidenceFound(_) => "PriorEvidenceFound",
            Self::UserNotFound => "UserNotFound",
            Self::QueuesCleared(_) => "QueuesCleared",
            Self::UserDeactivated(_) => "UserDeactivated",
            Self::ArchiveStored(_) => "ArchiveStored",
            Self::EvidenceSealed(_) => "EvidenceSealed",
            Self::DeletionAccepted(_) => "DeletionAccepted",
            Self::StepPostponed { .. } => "StepPostponed",
            Self::UserDeleted(_) => "UserDeleted",
            Self::DeletionWithheld(_) => "DeletionWithheld",
            Self::ManifestStored(_) => "ManifestStored",
            Self::UserReturned => "UserReturned",
            Self::UserStayedAway => "UserStayedAway",
            Self::AccessReturned => "AccessReturned",
            Self::Cancelled(_) => "Cancelled",
            Self::StepFailed(_) => "StepFailed",
        }
    }
}
