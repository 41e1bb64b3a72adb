use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ArchiveInProgress, Beginning, Call, ManifestRef, Pause, PriorEvidence, Recording, State,
    StateName, StepRecord,
};
use crate::failure::{Failure, Reason};
use crate::job::{Request, UserId};

/// The version of the stored form. A newer one is refused, never guessed at.
pub(crate) const SCHEMA: u32 = 1;

/// Everything that is known of a user's off-boarding: what a worker needs to go on where another
/// stopped, and what `status` shows. It holds no secret, no name, no conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checkpoint {
    /// [`SCHEMA`] when it was written.
    pub schema: u32,
    /// Whose it is.
    pub user_id: UserId,
    /// Which manifest of this user is under way, from 1.
    pub revision: u32,
    /// The revision whose archive and seal belong to it: an older one when a later revision only tries the
    /// deletion again.
    #[serde(default = "first", rename = "set")]
    pub evidence_revision: u32,
    /// The manifest before this one.
    #[serde(default)]
    pub previous: Option<ManifestRef>,
    /// SHA-256 of the messages that earlier revisions answered.
    #[serde(default)]
    pub answered: Vec<String>,
    /// What was asked for.
    pub request: Request,
    /// The last completed step, with its data.
    pub state: State,
    /// One for each completed step, in order.
    pub steps: Vec<StepRecord>,
    /// What the step under way has done so far.
    pub step: StepInProgress,
    /// Failed attempts since the job began or was replayed.
    pub attempts: u32,
    /// The last failure, for people.
    #[serde(default)]
    pub last_failure: Option<Failure>,
    /// What it waits for, until when.
    #[serde(default)]
    pub waiting_until: Option<Timestamp>,
    /// Why it waits, where nothing failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Set while the job is a dead letter.
    #[serde(default)]
    pub dead_letter: Option<DeadLetter>,
    /// When this was saved.
    pub updated_at: Timestamp,
}

/// That the job was given up, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetter {
    /// The reason in its headers.
    pub reason: Reason,
    /// Attempts that were spent.
    pub attempts: u32,
    /// When.
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
    /// How far an archive got.
    #[serde(default)]
    pub archive: Option<ArchiveInProgress>,
    /// Everything is written, and reads do not show it yet.
    #[serde(default)]
    pub converging: Option<Converging>,
}

/// What a step waits for that has written everything: the writes are not sent again.
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
    /// A step that begins now.
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
    /// The checkpoint of a user never seen before.
    pub(crate) fn new(user_id: UserId, request: Request, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            user_id,
            revision: 1,
            evidence_revision: 1,
            previous: None,
            answered: Vec::new(),
            request,
            state: State::Received,
            steps: Vec::new(),
            step: StepInProgress::new(now),
            attempts: 0,
            last_failure: None,
            waiting_until: None,
            pause: None,
            dead_letter: None,
            updated_at: now,
        }
    }

    /// Takes over what a transition says: a new state completes the step under way.
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
        self.last_failure = None;
        self.waiting_until = None;
        self.pause = None;
        self.dead_letter = None;
        self.updated_at = now;
    }

    /// A state that no step of this run led to.
    pub(crate) fn enter(&mut self, state: State, now: Timestamp) {
        if !matches!(
            state,
            State::Archived { .. } | State::Deleted { .. } | State::DeactivatedOnly { .. }
        ) {
            self.steps.clear();
        }
        self.state = state;
        self.step = StepInProgress::new(now);
        self.last_failure = None;
        self.waiting_until = None;
        self.pause = None;
        self.dead_letter = None;
        self.updated_at = now;
    }

    /// Keeps what already changed something, of a step that goes on later.
    pub(crate) fn keep_writes(&mut self, calls: Vec<Call>) {
        self.step
            .calls
            .extend(calls.into_iter().filter(|call| call.method != "GET"));
    }

    /// Notes what it waits for, though nothing failed.
    pub(crate) fn postpone(&mut self, until: Timestamp, why: Pause, now: Timestamp) {
        self.last_failure = None;
        self.waiting_until = Some(until);
        self.pause = Some(why);
        self.dead_letter = None;
        self.updated_at = now;
    }

    /// Takes what the store holds for the checkpoint that was lost.
    pub(crate) fn adopt(&mut self, traces: &PriorEvidence) {
        self.revision = traces.revision;
        self.evidence_revision = traces.evidence_revision;
        self.previous.clone_from(&traces.previous);
        self.request = traces.request.clone();
        self.steps.clone_from(&traces.steps);
    }

    /// Takes over which revision begins.
    pub(crate) fn begin(&mut self, beginning: Beginning) {
        self.evidence_revision = beginning.revision;
        self.revision = beginning.revision;
        self.previous = beginning.previous;
    }

    /// Turns a finished off-boarding into the next revision of it, for `request`. A `whole` one gets
    /// objects of its own; otherwise archive and seal stay, and the steps that led to them.
    pub(crate) fn revise(&mut self, whole: bool, request: Request, now: Timestamp) {
        if let State::Deleted {
            recording: Recording::Recorded { manifest },
            ..
        }
        | State::DeactivatedOnly {
            recording: Recording::Recorded { manifest },
            ..
        } = &self.state
        {
            self.previous = Some(manifest.clone());
        }
        self.revision = self.revision.saturating_add(1);
        if whole {
            self.evidence_revision = self.revision;
        }
        self.steps.retain(|step| !step.state.is_terminal());
        self.answered.extend(self.request.message_sha256.take());
        self.request = request;
        self.attempts = 0;
        self.updated_at = now;
    }

    /// Whether CXone does not know the user and nothing was done: whoever can send a message can make any number of
    /// these.
    pub(crate) fn is_of_nobody(&self) -> bool {
        let unknown = self
            .dead_letter
            .as_ref()
            .is_some_and(|letter| letter.reason == Reason::UserNotFound);
        let nothing_done = self.step.calls.iter().all(|call| call.method == "GET");
        unknown && self.state == State::Received && self.previous.is_none() && nothing_done
    }

    /// What is stored of it. The calls of a user who was deleted are in the manifest, and no later one repeats them; a
    /// later manifest of a user who stayed does. Of the reads of a user whom CXone does not know the last ones are
    /// enough: each further message adds some.
    pub(crate) fn stored(&self) -> Cow<'_, Self> {
        const READS: usize = 2;
        let deleted = self.state.name() == StateName::Deleted && self.state.is_finished();
        if !deleted && !self.is_of_nobody() {
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

    /// When the user's access was gone and everything else done: the end of a finished off-boarding.
    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        let end = self.steps.iter().rfind(|step| step.state.is_terminal());
        end.map(|step| step.completed_at)
    }

    /// Notes a failed attempt and what it waits for.
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
        self.last_failure = Some(failure);
        self.waiting_until = Some(until);
        self.pause = None;
        self.dead_letter = None;
        self.updated_at = now;
    }

    /// Notes that the job is given up. A later delivery of it begins with fresh attempts.
    pub(crate) fn give_up(&mut self, reason: Reason, failure: Failure, now: Timestamp) {
        let attempts = self.attempts.saturating_add(1);
        self.attempts = 0;
        self.last_failure = Some(failure);
        self.waiting_until = None;
        self.pause = None;
        self.dead_letter = Some(DeadLetter {
            reason,
            attempts,
            at: now,
        });
        self.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Code};

    fn corpus() -> Vec<Checkpoint> {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/checkpoint");
        let entries = std::fs::read_dir(corpus).unwrap();
        let read = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        read.filter_map(|bytes| serde_json::from_slice(&bytes).ok())
            .collect()
    }

    #[test]
    fn only_a_deleted_user_is_stored_without_calls_and_all_else_stays() {
        let mut short = 0;
        for mut checkpoint in corpus() {
            // The end is the same for both but for its name.
            if let State::DeactivatedOnly {
                access,
                archive,
                deletion,
                recording,
            } = checkpoint.state.clone()
            {
                let kept = checkpoint.stored().into_owned();
                assert_eq!(kept, checkpoint, "a later manifest repeats its calls");
                checkpoint.state = State::Deleted {
                    access,
                    archive,
                    deletion,
                    recording,
                };
            }
            let stored = checkpoint.stored().into_owned();
            let mut without_calls = checkpoint.clone();
            without_calls
                .steps
                .iter_mut()
                .for_each(|step| step.calls.clear());
            if checkpoint.state.name() == StateName::Deleted && checkpoint.state.is_finished() {
                assert_eq!(stored, without_calls);
                short += usize::from(stored != checkpoint);
            } else {
                assert_eq!(stored, checkpoint);
            }
        }
        assert!(short > 0, "the corpus has a user who was deleted");
    }

    #[test]
    fn of_nobody_is_a_user_whom_cxone_does_not_know_and_to_whom_nothing_was_done() {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let fresh = Checkpoint::new(user_id, Request::default(), now);
        assert!(!fresh.is_of_nobody(), "it is under way");
        let given_up = |reason| {
            let mut checkpoint = fresh.clone();
            let failure = Failure::new(Class::Permanent(reason), Code::UserNotFound, "x");
            checkpoint.give_up(reason, failure, now);
            checkpoint
        };
        assert!(!given_up(Reason::ProtectedUser).is_of_nobody());
        let nobody = given_up(Reason::UserNotFound);
        assert!(nobody.is_of_nobody());
        let manifest = ManifestRef {
            key: String::new(),
            sha256: String::new(),
        };
        assert!(
            !Checkpoint {
                previous: Some(manifest),
                ..nobody.clone()
            }
            .is_of_nobody()
        );
        let call = Call {
            method: "PATCH".to_owned(),
            path: "/".to_owned(),
            status: 204,
            at: now,
            correlation_id: None,
            note: None,
        };
        let with = |method: &str| {
            let calls = vec![
                Call {
                    method: method.to_owned(),
                    ..call.clone()
                };
                5
            ];
            Checkpoint {
                step: StepInProgress {
                    calls,
                    ..StepInProgress::new(now)
                },
                ..nobody.clone()
            }
        };
        assert!(!with("PATCH").is_of_nobody(), "something was done");
        assert!(with("GET").is_of_nobody());
        assert_eq!(
            with("GET").stored().step.calls.len(),
            2,
            "a further message adds nothing to it"
        );
    }
}
