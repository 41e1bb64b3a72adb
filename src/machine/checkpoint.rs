use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ArchiveInProgress, Call, State, StepRecord};
use crate::failure::{Failure, Reason};
use crate::job::{Request, UserId};

/// The version of the stored form. A newer one is refused, never guessed at.
pub const SCHEMA: u32 = 1;

/// Everything that is known of a user's off-boarding: what a worker needs to go on where another
/// stopped, and what `status` shows. It holds no secret, no name, no conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// [`SCHEMA`] when it was written.
    pub schema: u32,
    /// Whose it is.
    pub user_id: UserId,
    /// Which off-boarding of this user; names the objects in the store.
    pub revision: u32,
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
    /// Set while the job is a dead letter.
    #[serde(default)]
    pub dead_letter: Option<DeadLetter>,
    /// When this was saved.
    pub updated_at: Timestamp,
}

/// That the job was given up, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The reason in its headers.
    pub reason: Reason,
    /// Attempts that were spent.
    pub attempts: u32,
    /// When.
    pub at: Timestamp,
}

/// The step that follows the state, as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepInProgress {
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
}

impl StepInProgress {
    /// A step that begins now.
    pub const fn new(now: Timestamp) -> Self {
        Self { started_at: now, failed: 0, calls: Vec::new(), archive: None }
    }
}

impl Checkpoint {
    /// The checkpoint of a user never seen before.
    pub fn new(user_id: UserId, request: Request, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            user_id,
            revision: 1,
            request,
            state: State::Received,
            steps: Vec::new(),
            step: StepInProgress::new(now),
            attempts: 0,
            last_failure: None,
            waiting_until: None,
            dead_letter: None,
            updated_at: now,
        }
    }

    /// Takes over what a transition says: a new state completes the step under way.
    pub fn advance(&mut self, state: State, calls: Vec<Call>, now: Timestamp) {
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
        self.dead_letter = None;
        self.updated_at = now;
    }

    /// Notes a failed attempt and what it waits for.
    pub fn fail(&mut self, failure: Failure, spends_attempt: bool, until: Timestamp, now: Timestamp) {
        if spends_attempt {
            self.attempts = self.attempts.saturating_add(1);
            self.step.failed = self.step.failed.saturating_add(1);
        }
        self.last_failure = Some(failure);
        self.waiting_until = Some(until);
        self.updated_at = now;
    }

    /// Notes that the job is given up. A later delivery of it begins with fresh attempts.
    pub fn give_up(&mut self, reason: Reason, failure: Failure, now: Timestamp) {
        let attempts = self.attempts.saturating_add(1);
        self.attempts = 0;
        self.last_failure = Some(failure);
        self.waiting_until = None;
        self.dead_letter = Some(DeadLetter { reason, attempts, at: now });
        self.updated_at = now;
    }
}
