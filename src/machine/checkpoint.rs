//! The checkpoint of one user, and what each kind of progress changes in it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ArchiveInProgress, Beginning, Call, Cancelled, ManifestRef, Pause, PriorEvidence, State,
    StateName, StepRecord,
};
use crate::failure::{Class, Failure, Reason};
use crate::job::{Request, UserId};
use crate::profile::TenantProfile;

/// The version of the stored form. A release refuses a newer version and does not touch the record.
pub(crate) const SCHEMA: u32 = 1;

/// At most that many processes of one off-boarding are named, the last ones: a user who waits for weeks is taken by many.
const MOST_WORKERS: usize = 50;

/// Everything that is known of a user's off-boarding: what a worker needs to continue where another
/// stopped, and what `status` shows. It holds no secret, no name and no conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checkpoint {
    /// [`SCHEMA`] of the release that wrote it.
    pub schema: u32,
    pub user_id: UserId,
    /// Whose API the off-boarding began at; it ends at the same.
    #[serde(default, skip_serializing_if = "TenantProfile::is_tutorial")]
    pub profile: TenantProfile,
    /// The number of the manifest that this off-boarding leads to, from 1.
    pub revision: u32,
    /// The revision whose archive and seal belong to it: an older one when a later revision only tries the
    /// deletion again.
    #[serde(default = "first", rename = "set")]
    pub evidence_revision: u32,
    /// A before-image of that revision is stored, so that it is decided once whether the user is deleted or reactivated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_image: bool,
    /// An archive of that revision was stored before this run, which has no checkpoint of it: the access had been removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived_before: bool,
    /// The manifest before this one.
    #[serde(default)]
    pub previous: Option<ManifestRef>,
    /// SHA-256 of the messages that earlier revisions answered.
    #[serde(default)]
    pub answered: Vec<String>,
    pub request: Request,
    pub state: State,
    /// One for each completed step, in order.
    pub steps: Vec<StepRecord>,
    pub step: StepInProgress,
    /// The processes that took the user for this off-boarding, each once; the one that took it last comes last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<String>,
    /// Failed attempts since the job began or was replayed.
    pub attempts: u32,
    /// The last failure, for people.
    #[serde(default)]
    pub last_failure: Option<Failure>,
    /// When the next attempt is due.
    #[serde(default)]
    pub waiting_until: Option<Timestamp>,
    /// Why the job waits, where nothing failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Set while the job is a dead letter.
    #[serde(default)]
    pub dead_letter: Option<DeadLetter>,
    /// Set while the request is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Cancelled>,
    /// When this was saved.
    pub updated_at: Timestamp,
}

/// Why and when the job was given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    /// The `x-offboarder-reason` of the dead letter.
    pub reason: Reason,
    /// Attempts that were spent on the job.
    pub attempts: u32,
    /// When the job was given up.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The step that follows the state, as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StepInProgress {
    /// When its first attempt began.
    pub started_at: Timestamp,
    /// Attempts that failed.
    pub failed: u32,
    /// Calls that already changed something, of attempts that failed later on.
    #[serde(default)]
    pub calls: Vec<Call>,
    #[serde(default)]
    pub archive: Option<ArchiveInProgress>,
    /// Set once every write is accepted, while reads do not show it yet.
    #[serde(default)]
    pub converging: Option<Converging>,
}

/// A step that has written everything and waits until reads show it. It sends no write again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Converging {
    /// When the last write was accepted.
    pub since: Timestamp,
    /// Queues that the user was owner or supervisor of.
    #[serde(default)]
    pub queues: Vec<String>,
}

const fn first() -> u32 {
    1
}

impl StepInProgress {
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self {
            started_at: now,
            failed: 0,
            calls: Vec::new(),
            archive: None,
            converging: None,
        }
    }
}

impl Checkpoint {
    /// The checkpoint of a user who has none.
    pub(crate) fn new(user_id: UserId, request: Request, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            user_id,
            profile: TenantProfile::default(),
            revision: 1,
            evidence_revision: 1,
            before_image: false,
            archived_before: false,
            previous: None,
            answered: Vec::new(),
            request,
            state: State::Received,
            steps: Vec::new(),
            step: StepInProgress::new(now),
            workers: Vec::new(),
            attempts: 0,
            last_failure: None,
            waiting_until: None,
            pause: None,
            dead_letter: None,
            cancelled: None,
            updated_at: now,
        }
    }

    /// Enters the state that a step led to. A new state completes the step in progress.
    pub(crate) fn advance(&mut self, state: State, calls: Vec<Call>, now: Timestamp) {
        if state.name() == self.state.name() {
            self.step.calls.extend(calls);
        } else {
            let step = std::mem::replace(&mut self.step, StepInProgress::new(now));
            let mut all_calls = step.calls;
            all_calls.extend(calls);

            self.steps.push(StepRecord {
                state: state.name(),
                started_at: step.started_at,
                completed_at: now,
                attempts: step.failed.saturating_add(1),
                calls: all_calls,
            });
        }

        self.state = state;
        self.waits_no_longer(now);
    }

    /// Enters a state that no step of this run led to.
    pub(crate) fn enter(&mut self, state: State, now: Timestamp) {
        if state.archive().is_none() {
            self.steps.clear();
        }

        self.state = state;
        self.step = StepInProgress::new(now);
        self.waits_no_longer(now);
    }

    pub(super) fn waits_no_longer(&mut self, now: Timestamp) {
        self.last_failure = None;
        self.waiting_until = None;
        self.pause = None;
        self.dead_letter = None;
        self.cancelled = None;
        self.updated_at = now;
    }

    /// Notes that a job no longer waits for a guard or a quota. Returns whether it did wait.
    pub(crate) fn ends_its_wait(&mut self, now: Timestamp) -> bool {
        let is_quota = |failure: &mut Failure| failure.class == Class::Throttled;
        let had_failed = self.last_failure.take_if(is_quota).is_some();
        let waited = self.pause.take().is_some() || had_failed;
        if waited {
            self.waiting_until = None;
            self.updated_at = now;
        }
        waited
    }

    /// Keeps the writes of a step that continues later, as evidence.
    pub(crate) fn keep_writes(&mut self, calls: Vec<Call>) {
        self.step
            .calls
            .extend(calls.into_iter().filter(|call| call.method != "GET"));
    }

    /// Notes why and until when the job waits although nothing failed.
    pub(crate) fn postpone(&mut self, until: Timestamp, why: Pause, now: Timestamp) {
        self.waits_no_longer(now);
        self.waiting_until = Some(until);
        self.pause = Some(why);
    }

    /// Takes what the archive store holds in place of a lost checkpoint.
    pub(crate) fn adopt(&mut self, evidence: &PriorEvidence) {
        let is_same = self.evidence_revision == evidence.evidence_revision;
        self.before_image = evidence.before_image || (is_same && self.before_image);
        self.archived_before = false;
        self.revision = evidence.revision;
        self.evidence_revision = evidence.evidence_revision;
        self.previous.clone_from(&evidence.previous);
        self.request = evidence.request.clone();
        self.steps.clone_from(&evidence.steps);
        let since = std::mem::replace(&mut self.workers, evidence.workers.clone());
        self.taken_by(since);
    }

    /// Notes the processes that took the user, in their order.
    pub(crate) fn taken_by(&mut self, workers: impl IntoIterator<Item = String>) {
        for worker in workers {
            self.workers.retain(|known| *known != worker);
            self.workers.push(worker);
        }
        let surplus = self.workers.len().saturating_sub(MOST_WORKERS);
        self.workers.drain(..surplus);
    }

    pub(crate) fn begin(&mut self, beginning: Beginning) {
        self.before_image &= self.evidence_revision == beginning.revision;
        self.archived_before = beginning.archived;
        self.evidence_revision = beginning.revision;
        self.revision = beginning.revision;
        self.previous = beginning.previous;
    }

    /// Turns a finished off-boarding into its next revision, for `request`. A `whole` revision gets
    /// objects of its own; otherwise archive and seal stay, with the steps that led to them.
    pub(crate) fn revise(&mut self, whole: bool, request: Request, now: Timestamp) {
        if let Some(manifest) = self.state.manifest() {
            self.previous = Some(manifest.clone());
        }

        self.revision = self.revision.saturating_add(1);
        if whole {
            self.evidence_revision = self.revision;
            self.before_image = false;
            self.archived_before = false;
        }

        self.steps.retain(|step| !step.state.is_terminal());
        // This run's own process took the user last.
        self.workers.drain(..self.workers.len().saturating_sub(1));
        self.answered.extend(self.request.message_sha256.take());
        self.request = request;
        self.attempts = 0;
        self.updated_at = now;
    }

    /// Whether nothing is left to do, and nobody has to act: finished, or cancelled.
    pub(crate) const fn has_ended(&self) -> bool {
        let is_over = self.state.is_finished() || self.cancelled.is_some();
        is_over && self.dead_letter.is_none()
    }

    /// Whether CXone does not know the user and nothing was done. Anyone who can publish a message can
    /// cause any number of these.
    pub(crate) fn is_unknown_user(&self) -> bool {
        let given_up_as_unknown = self
            .dead_letter
            .as_ref()
            .is_some_and(|dead_letter| dead_letter.reason == Reason::UserNotFound);
        let nothing_done = self.step.calls.iter().all(|call| call.method == "GET");

        given_up_as_unknown
            && self.state == State::Received
            && self.previous.is_none()
            && nothing_done
    }

    /// Whether an operator cancelled the request before any worker received it.
    pub(crate) fn was_never_taken(&self) -> bool {
        self.cancelled.is_some()
            && self.request.received_at.is_none()
            && self.state == State::Received
            && self.step.calls.is_empty()
    }

    /// What is stored of the checkpoint, without calls that only use up memory. The calls of a deleted
    /// user are in the manifest, and no later manifest repeats them (a later manifest of a user who
    /// stayed does). Of a user whom CXone does not know the last two reads are enough, since each
    /// further message adds some.
    pub(crate) fn stored(&self) -> Cow<'_, Self> {
        const READS: usize = 2;

        let deleted = self.state.name() == StateName::Deleted && self.state.is_finished();
        if !deleted && !self.is_unknown_user() {
            return Cow::Borrowed(self);
        }

        let mut short = self.clone();
        if deleted {
            short.steps.iter_mut().for_each(|step| step.calls.clear());
        }

        let surplus = short.step.calls.len().saturating_sub(READS);
        short.step.calls.drain(..surplus);
        Cow::Owned(short)
    }

    /// When the last step of a finished off-boarding was completed.
    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        let end = self.steps.iter().rfind(|step| step.state.is_terminal());
        end.map(|step| step.completed_at)
    }

    /// Notes a failed attempt and when the next one is due.
    pub(crate) fn fail(
        &mut self,
        failure: Failure,
        spends_attempt: bool,
        until: Timestamp,
        now: Timestamp,
    ) {
        if spends_attempt {
            self.attempts = self.attempts.saturating_add(1);
            self.step.failed = self.step.failed.saturating_add(1);
        }

        self.waits_no_longer(now);
        self.last_failure = Some(failure);
        self.waiting_until = Some(until);
    }

    /// Notes that the job is given up. A replay of it begins with fresh attempts.
    pub(crate) fn give_up(&mut self, reason: Reason, failure: Failure, now: Timestamp) {
        let attempts = self.attempts.saturating_add(1);

        self.waits_no_longer(now);
        self.attempts = 0;
        self.last_failure = Some(failure);
        self.dead_letter = Some(DeadLetter {
            reason,
            attempts,
            at: now,
        });
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
