//! What is stored of a batch and of each of its users.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::failure::Reason;
use crate::job::BatchId;
use crate::machine::{Checkpoint, DeletionOutcome, Pause, State, StateName};

/// What a batch needs to know of one user. It is stored beside the checkpoint, for every user, so its form is
/// short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The batch that the request came with.
    #[serde(default, rename = "b", skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// The last completed step.
    #[serde(rename = "s")]
    pub state: StateName,
    /// When it was asked for, or first seen.
    #[serde(
        default,
        rename = "r",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub requested_at: Option<Timestamp>,
    /// When the access was gone.
    #[serde(
        default,
        rename = "a",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_removed_at: Option<Timestamp>,
    /// When there was nothing left to do.
    #[serde(
        default,
        rename = "f",
        with = "millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub finished_at: Option<Timestamp>,
    /// What it waits for.
    #[serde(default, rename = "w", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Why it is a dead letter.
    #[serde(default, rename = "l", skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Reason>,
    /// How the deletion ended.
    #[serde(default, rename = "d", skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionOutcome>,
    /// When it was saved.
    #[serde(rename = "u", with = "millisecond::required")]
    pub updated_at: Timestamp,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wait {
    /// Until when.
    #[serde(rename = "u", with = "millisecond::required")]
    pub until: Timestamp,
    /// The code of the last failure, or the word of the pause.
    #[serde(rename = "y")]
    pub why: String,
}

/// What is stored of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// There is no checkpoint: no worker took the job yet, or Redis forgot.
    Nothing,
    /// There is one.
    Summary(Summary),
    /// There is one that this release cannot read.
    Unreadable,
}

impl From<&Checkpoint> for Summary {
    fn from(checkpoint: &Checkpoint) -> Self {
        let failure = checkpoint.last_failure.as_ref();
        let why = checkpoint.pause.map(Pause::as_str);
        let why = why
            .or_else(|| Some(failure?.code.as_str()))
            .unwrap_or("unknown");
        let ended_at = || checkpoint.ended_at().unwrap_or(checkpoint.updated_at);
        Self {
            batch_id: checkpoint.request.batch_id.clone(),
            state: checkpoint.state.name(),
            requested_at: checkpoint
                .request
                .requested_at
                .or(checkpoint.request.received_at)
                .map(stored),
            access_removed_at: checkpoint.state.access().map(|access| stored(access.at)),
            finished_at: checkpoint.state.is_finished().then(ended_at).map(stored),
            wait: checkpoint.waiting_until.map(|until| Wait {
                until: stored(until),
                why: why.to_owned(),
            }),
            dead_letter: checkpoint.dead_letter.as_ref().map(|letter| letter.reason),
            deletion: match &checkpoint.state {
                State::Deleted { deletion, .. } | State::DeactivatedOnly { deletion, .. } => {
                    Some(deletion.outcome)
                }
                State::Received
                | State::QueuesCleared { .. }
                | State::Deactivated { .. }
                | State::Archived { .. } => None,
            },
            updated_at: stored(checkpoint.updated_at),
        }
    }
}

/// As it is read back. The last second of time has no milliseconds.
fn stored(at: Timestamp) -> Timestamp {
    let whole = |_out_of_range| Timestamp::from_second(at.as_second());
    Timestamp::from_millisecond(at.as_millisecond())
        .or_else(whole)
        .unwrap_or(at)
}

impl Summary {
    /// Where the user stands at `now`. A wait that is over is none.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        if self.dead_letter.is_some() {
            Standing::DeadLetter
        } else if self.finished_at.is_some() {
            Standing::Finished
        } else if self.wait.as_ref().is_some_and(|wait| wait.until > now) {
            Standing::Waiting
        } else {
            Standing::UnderWay
        }
    }
}

/// Where a user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Terminal, and the manifest is stored.
    Finished,
    /// Given up.
    DeadLetter,
    /// It waits.
    Waiting,
    /// In a worker's hands, or on its way there.
    UnderWay,
    /// No worker has taken it yet, or Redis forgot.
    NotBegun,
    /// The checkpoint is a later release's.
    Unreadable,
}

/// A batch, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedBatch)]
pub(crate) struct Listed {
    /// Its name.
    pub batch_id: BatchId,
    /// When its first user was sent.
    #[schema(value_type = String, format = DateTime)]
    pub begun_at: Timestamp,
    /// How many there are.
    pub users: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Code, Failure};
    use crate::job::Request;

    fn checkpoint() -> Checkpoint {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let batch_id = Some("2026-11".parse().unwrap());
        let received_at = Some(Timestamp::from_second(7).unwrap());
        let request = Request {
            batch_id,
            received_at,
            ..Request::default()
        };
        Checkpoint::new(user_id, request, Timestamp::from_second(8).unwrap())
    }

    /// What is read back of it, which has to be short.
    fn told(checkpoint: &Checkpoint) -> Summary {
        let text = serde_json::to_string(&Summary::from(checkpoint)).unwrap();
        assert!(text.len() < 200, "{text}");
        let read = serde_json::from_str(&text).unwrap();
        assert_eq!(Summary::from(checkpoint), read);
        read
    }

    #[test]
    fn a_wait_says_why_and_what_came_after_it_takes_its_place() {
        let (now, until) = (
            Timestamp::from_second(9).unwrap(),
            Timestamp::from_second(99).unwrap(),
        );
        let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "x");
        let mut checkpoint = checkpoint();
        assert_eq!(told(&checkpoint).standing(now), Standing::UnderWay);
        assert_eq!(
            told(&checkpoint).requested_at,
            checkpoint.request.received_at
        );
        let why = |checkpoint: &Checkpoint| told(checkpoint).wait.map(|wait| wait.why);
        checkpoint.postpone(until, Pause::DeletionRateLimit, now);
        assert_eq!(why(&checkpoint).as_deref(), Some("brake"));
        checkpoint.fail(failure.clone(), true, until, now);
        assert_eq!(why(&checkpoint).as_deref(), Some("cxone_timeout"));
        checkpoint.postpone(until, Pause::NotDue, now);
        assert_eq!(why(&checkpoint).as_deref(), Some("not_due"));
        assert_eq!(told(&checkpoint).standing(now), Standing::Waiting);
        assert_eq!(
            told(&checkpoint).standing(until),
            Standing::UnderWay,
            "the wait is over"
        );
        checkpoint.give_up(Reason::RetriesExhausted, failure, now);
        assert_eq!(
            (why(&checkpoint), told(&checkpoint).standing(now)),
            (None, Standing::DeadLetter)
        );
    }

    #[test]
    fn checkpoints_of_every_kind_are_told_shortly() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/checkpoint");
        let mut finished = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(&bytes) {
                let summary = told(&checkpoint);
                assert_eq!(
                    summary.finished_at.is_some(),
                    checkpoint.state.is_finished()
                );
                finished += u32::from(summary.finished_at.is_some());
            }
        }
        assert!(finished > 0, "the corpus has some that are finished");
    }
}
