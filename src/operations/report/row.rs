//! What the store shows of one off-boarding.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::discarded::Discarded;
use crate::guards::Hold;
use crate::job::{Approval, BatchId, OrderName, PlanName, Request, UserId};
use crate::machine::{Archive, Cancelled, DeletionOutcome, ManifestRef, StateName, StepRecord};
use crate::manifest::{Manifest, SealDocument, Status};
use crate::registers::{Erasure, Order};

/// How far an off-boarding came, as the store shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) enum Outcome {
    Deleted,
    DeactivatedOnly,
    /// Archived and sealed, without a manifest: in progress, a dead letter, or the manifest was removed.
    Sealed,
    /// Archived, with neither seal nor manifest.
    Archived,
    /// An operator cancelled the request, and it was not carried out to its end.
    Cancelled,
    /// A dead letter of the user was discarded, and the store has nothing else.
    Discarded,
    /// `submit` ordered it, and the store has nothing since: waiting, in progress, a dead letter, or all objects were removed.
    Open,
    /// A person had all objects of the user removed for good.
    Erased,
    /// The objects cannot be read as what their names say.
    Unreadable,
    /// All objects are hidden by delete markers.
    Hidden,
}

/// What the checks found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Checked {
    Ok,
    NotOk,
    /// There is no manifest to check.
    NoManifest,
}

/// The hold of a user who is on hold when the report is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HeldNow {
    pub who: String,
    pub why: Option<String>,
    pub at: Timestamp,
}

impl From<Hold> for HeldNow {
    fn from(hold: Hold) -> Self {
        Self {
            who: hold.who,
            why: hold.why,
            at: hold.at,
        }
    }
}

/// The cancellation of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CancelledBy {
    pub who: String,
    pub why: Option<String>,
    pub at: Timestamp,
}

impl From<Cancelled> for CancelledBy {
    fn from(cancelled: Cancelled) -> Self {
        Self {
            who: cancelled.who,
            why: cancelled.why,
            at: cancelled.at,
        }
    }
}

/// One row. A member is empty if the store does not show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub user_id: UserId,
    pub outcome: Outcome,
    /// When the off-boarding was asked for: by the requester's clock, or when a worker received the message if that was
    /// earlier or the message has no time.
    pub asked_at: Option<Timestamp>,
    /// It was asked for before this time, if no more is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_before: Option<Timestamp>,
    pub asked_by: Option<String>,
    pub reason: Option<String>,
    /// More than one if a later request continued the off-boarding.
    pub batch_ids: Vec<BatchId>,
    /// When a read confirmed that the access was removed.
    pub access_gone_at: Option<Timestamp>,
    pub access_gone_after_seconds: Option<f64>,
    pub within_target: Option<bool>,
    /// When the last step was completed.
    pub finished_at: Option<Timestamp>,
    pub conversations: Option<u64>,
    pub archive: Option<String>,
    pub archive_bytes: Option<u64>,
    pub archive_sha256: Option<String>,
    pub deletion: Option<DeletionOutcome>,
    pub deletion_status: Option<u16>,
    pub deletion_code: Option<String>,
    pub why_not_deleted: Option<String>,
    /// The approved plan that permitted the deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanName>,
    /// The approvals that counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    pub cancelled: Option<CancelledBy>,
    pub hold: Option<HeldNow>,
    pub manifest: Option<String>,
    pub manifest_sha256: Option<String>,
    pub checked: Checked,
    pub findings: Vec<String>,
    /// What the request said is known.
    #[serde(skip)]
    pub is_request_known: bool,
    /// The orders that the objects name.
    #[serde(skip)]
    pub(super) orders: Vec<OrderName>,
    /// The last time that the store shows.
    #[serde(skip)]
    pub(super) seen_at: Option<Timestamp>,
}

impl Row {
    /// A row of which nothing is known.
    pub(super) fn unknown(user_id: UserId, outcome: Outcome) -> Self {
        Self {
            user_id,
            outcome,
            asked_at: None,
            asked_before: None,
            asked_by: None,
            reason: None,
            batch_ids: Vec::new(),
            access_gone_at: None,
            access_gone_after_seconds: None,
            within_target: None,
            finished_at: None,
            conversations: None,
            archive: None,
            archive_bytes: None,
            archive_sha256: None,
            deletion: None,
            deletion_status: None,
            deletion_code: None,
            why_not_deleted: None,
            plan: None,
            approvals: Vec::new(),
            cancelled: None,
            hold: None,
            manifest: None,
            manifest_sha256: None,
            checked: Checked::NoManifest,
            findings: Vec::new(),
            is_request_known: false,
            orders: Vec::new(),
            seen_at: None,
        }
    }

    /// The row of manifests that share an archive, oldest first. The first one answers the request that removed the access,
    /// the last one says how the deletion ended.
    pub(super) fn of_manifests(
        manifests: &[(Manifest, ManifestRef)],
        target: SignedDuration,
    ) -> Option<Self> {
        let (first, _) = manifests.first()?;
        let (last, reference) = manifests.last()?;
        let outcome = match last.status {
            Status::Deleted => Outcome::Deleted,
            Status::DeactivatedOnly => Outcome::DeactivatedOnly,
        };
        let mut row = Self::unknown(first.user_id, outcome);
        row.ask(&first.request);
        for (later, _) in manifests {
            let batch = later.request.batch_id.iter();
            let new: Vec<_> = batch.filter(|id| !row.batch_ids.contains(id)).collect();
            row.batch_ids.extend(new.into_iter().cloned());
            row.orders.extend(later.request.order.clone());
        }
        row.seen_at = Some(last.timestamp);
        row.lose_access(deactivated_at(&first.steps), target);
        row.keep(&last.archive.archive);

        row.finished_at = Some(last.timestamp);
        row.deletion = Some(last.deletion.outcome);
        row.deletion_status = last.deletion.status;
        row.deletion_code.clone_from(&last.deletion.code);
        row.why_not_deleted.clone_from(&last.error);
        row.plan.clone_from(&last.request.plan);
        row.approvals.clone_from(&last.request.approvals);
        row.manifest = Some(reference.key.clone());
        row.manifest_sha256 = Some(reference.sha256.clone());
        row.checked = Checked::Ok;
        Some(row)
    }

    /// Who approved the deletion, for people. An admin who broke the glass is no approval by a second person.
    pub(crate) fn approval(&self) -> Option<String> {
        let by: Vec<String> = self
            .approvals
            .iter()
            .map(|approval| {
                let Approval {
                    person,
                    role,
                    break_glass,
                    ..
                } = approval;
                match break_glass {
                    true => format!("without approval, by {person} ({role}) in an emergency"),
                    false => format!("approved by {person} ({role})"),
                }
            })
            .collect();
        (!by.is_empty()).then(|| by.join(", "))
    }

    pub(super) fn of_seal(user_id: UserId, seal: &SealDocument, target: SignedDuration) -> Self {
        let mut row = Self::unknown(user_id, Outcome::Sealed);
        row.ask(&seal.request);
        row.orders.extend(seal.request.order.clone());
        row.seen_at = Some(seal.sealed_at);
        row.lose_access(deactivated_at(&seal.steps), target);
        row.keep(&seal.archive);
        row
    }

    pub(super) fn of_discarded(user_id: UserId, discarded: &Discarded) -> Self {
        let mut row = Self::unknown(user_id, Outcome::Discarded);
        match &discarded.request {
            Some(request) => row.ask(request),
            None => row.batch_ids.extend(discarded.batch_id.clone()),
        }
        if row.asked_at.is_none() {
            row.asked_before = discarded.dead_lettered_at;
        }
        row.why_not_deleted = Some(discarded.to_string());
        row.seen_at = discarded.dead_lettered_at;
        row
    }

    /// The row of an order that nothing answers.
    pub(super) fn of_order(user_id: UserId, order: &Order) -> Self {
        let mut row = Self::unknown(user_id, Outcome::Open);
        row.ask(&Request {
            requested_by: Some(order.person.as_ref().unwrap_or(&order.who).clone()),
            reason: order.why.clone(),
            batch_id: order.batch_id.clone(),
            requested_at: Some(order.at),
            ..Request::default()
        });
        row
    }

    /// The row of a user of whom a person had everything removed.
    pub(super) fn of_erased(user_id: UserId, erasure: &Erasure) -> Self {
        let mut row = Self::unknown(user_id, Outcome::Erased);
        row.asked_before = Some(erasure.at);
        row.seen_at = Some(erasure.at);
        let why = erasure.why.as_ref();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let Erasure { at, who, .. } = erasure;
        row.why_not_deleted = Some(format!(
            "erased from the archive store at {at} by {who}{why}"
        ));
        row
    }

    /// Whether it may show what became of this order.
    pub(super) fn answers(&self, name: &OrderName, order: &Order) -> bool {
        self.orders.contains(name) || self.seen_at.is_none_or(|at| at >= order.at)
    }

    /// The row of a user whom an order names, and of whom nothing is stored.
    pub(super) fn of_cancelled(user_id: UserId, cancelled: Cancelled) -> Self {
        let mut row = Self::unknown(user_id, Outcome::Cancelled);
        // An order is for what was asked for before it.
        row.asked_before = Some(cancelled.at);
        row.seen_at = Some(cancelled.at);
        row.cancelled = Some(cancelled.into());
        row
    }

    /// What was asked for is not carried out any further.
    pub(super) fn cancel(&mut self, cancelled: Cancelled) {
        self.outcome = Outcome::Cancelled;
        self.seen_at = self.seen_at.max(Some(cancelled.at));
        self.cancelled = Some(cancelled.into());
    }

    /// An archive is stored, and no manifest.
    pub(super) const fn is_unfinished(&self) -> bool {
        matches!(self.outcome, Outcome::Sealed | Outcome::Archived)
    }

    fn ask(&mut self, request: &Request) {
        // Who received a message received it after it was asked for, whatever the requester's clock says.
        let times = [request.requested_at, request.received_at];
        self.asked_at = times.into_iter().flatten().min();
        self.asked_by.clone_from(&request.requested_by);
        self.reason.clone_from(&request.reason);
        self.batch_ids.extend(request.batch_id.clone());
        self.is_request_known = true;
    }

    fn lose_access(&mut self, at: Option<Timestamp>, target: SignedDuration) {
        self.access_gone_at = at;
        let took = at
            .zip(self.asked_at)
            .map(|(gone, asked)| gone.duration_since(asked));
        // Access that was gone before it was asked for says only that a clock is wrong.
        let took = took.filter(|took| !took.is_negative());
        self.within_target = took.map(|took| took <= target);
        self.access_gone_after_seconds = took.map(|took| thousandths(took.as_secs_f64()));
    }

    fn keep(&mut self, archive: &Archive) {
        self.conversations = Some(archive.conversations);
        self.archive = Some(archive.key.clone());
        self.archive_bytes = Some(archive.bytes);
        self.archive_sha256 = Some(archive.sha256.clone());
    }
}

fn deactivated_at(steps: &[StepRecord]) -> Option<Timestamp> {
    let mut steps = steps.iter();
    let step = steps.find(|step| step.state == StateName::Deactivated)?;
    Some(step.completed_at)
}

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
