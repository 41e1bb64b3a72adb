//! What became of a replayed message, as the checkpoint of its user shows it.

use std::collections::HashMap;

use super::dead_letter::fingerprint_of;
use super::{DeadLetter, DeadLetterId};
use crate::failure::{Class, Failure};
use crate::machine::{Checkpoint, StateName};
use crate::ports::{Checkpoints, ReplayNote, ReplayedUser};

/// A dead letter that was replayed.
pub(super) struct Sent {
    pub(super) dead_letter: DeadLetter,
    /// `None` if the body names no user, so that nothing shows what became of it.
    pub(super) followed: Option<ReplayedUser>,
}

/// What happened to a replayed message so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReplayOutcome {
    /// No worker has taken the message, or its step is in progress.
    Open,
    /// The user passed the step that had failed.
    Past,
    /// The same fault did not come back, and the step is not passed: the user waits for a guard, or has another fault.
    Otherwise,
    /// The same fault came back.
    Back(String),
}

impl Sent {
    /// The checkpoint is that of the user, right before the message is published.
    pub(super) fn new(dead_letter: &DeadLetter, checkpoint: Option<&Checkpoint>) -> Self {
        let given_up = checkpoint.and_then(|checkpoint| checkpoint.dead_letter.as_ref());
        let state = checkpoint.map(|checkpoint| checkpoint.state.name().to_string());
        let followed = dead_letter.user_id.map(|user_id| ReplayedUser {
            user_id,
            state: state.unwrap_or_else(|| dead_letter.state.clone()),
            saved_before: checkpoint.map(|checkpoint| checkpoint.updated_at),
            given_up_before: given_up.map(|given_up| given_up.at),
        });
        Self {
            dead_letter: dead_letter.clone(),
            followed,
        }
    }

    /// As far as the note of a process that died says.
    pub(super) fn of_note(dead_letter: &DeadLetter, note: &ReplayNote) -> Self {
        let followed = dead_letter.user_id.map(|user_id| ReplayedUser {
            user_id,
            state: dead_letter.state.clone(),
            saved_before: note.saved_before,
            given_up_before: None,
        });
        Self {
            dead_letter: dead_letter.clone(),
            followed,
        }
    }

    pub(super) fn note(&self, published: bool) -> ReplayNote {
        ReplayNote {
            published,
            saved_before: self.followed.as_ref().and_then(|user| user.saved_before),
        }
    }

    /// Reads what became of it. Nothing shows what became of a message without a user.
    pub(super) async fn outcome(
        &self,
        checkpoints: &dyn Checkpoints,
    ) -> Result<ReplayOutcome, Failure> {
        let Some(followed) = &self.followed else {
            return Ok(ReplayOutcome::Otherwise);
        };
        let checkpoint = checkpoint_of(checkpoints, &self.dead_letter).await?;
        let fault = self.dead_letter.fingerprint.as_str();
        Ok(outcome(followed, fault, checkpoint.as_ref()))
    }
}

/// How many users are read at the end, to report what became of them.
const READ_AT_THE_END: usize = 1000;

/// What is known of the replayed messages now, by dead letter. What cannot be read is not known.
pub(super) async fn known_outcomes(
    sent: &[Sent],
    checkpoints: &dyn Checkpoints,
) -> HashMap<DeadLetterId, ReplayOutcome> {
    let mut known = HashMap::new();
    for one in sent.iter().take(READ_AT_THE_END) {
        if one.followed.is_none() {
            continue;
        }
        match one.outcome(checkpoints).await {
            Ok(outcome) => known.insert(one.dead_letter.id.clone(), outcome),
            Err(failure) => {
                tracing::warn!(%failure, "it is unknown what became of replayed dead letters");
                break;
            }
        };
    }
    known
}

/// What became of a user whose dead letter with this fingerprint was replayed.
pub(super) fn outcome(
    followed: &ReplayedUser,
    fault: &str,
    checkpoint: Option<&Checkpoint>,
) -> ReplayOutcome {
    let Some(checkpoint) = checkpoint else {
        return ReplayOutcome::Open;
    };
    if checkpoint.state.is_finished() {
        return ReplayOutcome::Past;
    }
    let given_up = checkpoint.dead_letter.as_ref().map(|given_up| given_up.at);
    let unmoved = Some(checkpoint.updated_at) == followed.saved_before;
    // A worker that continues an archive saves the checkpoint while the dead letter is still in it.
    if unmoved || (given_up.is_some() && given_up == followed.given_up_before) {
        return ReplayOutcome::Open;
    }
    let state = checkpoint.state.name();
    if StateName::parse(&followed.state).is_some_and(|before| state > before) {
        return ReplayOutcome::Past;
    }
    match &checkpoint.last_failure {
        Some(failure) if fingerprint_of(failure, state) == fault => {
            ReplayOutcome::Back(failure.to_string())
        }
        // There are attempts left.
        Some(_) if given_up.is_none() => ReplayOutcome::Open,
        Some(_) | None => ReplayOutcome::Otherwise,
    }
}

/// The checkpoint of the user. Only the worker decides about one that cannot be read.
pub(super) async fn checkpoint_of(
    checkpoints: &dyn Checkpoints,
    dead_letter: &DeadLetter,
) -> Result<Option<Checkpoint>, Failure> {
    let Some(user_id) = dead_letter.user_id else {
        return Ok(None);
    };
    match checkpoints.read(user_id).await {
        Ok(checkpoint) => Ok(checkpoint),
        Err(failure) if failure.class == Class::Systemic => Err(failure),
        Err(_unreadable) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::failure::{Class, Code, Reason};
    use crate::job::Request;
    use crate::machine::{Pause, QueuesCleared, State};
    use crate::queue::headers::dead_letter;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn failure(text: &str) -> Failure {
        Failure::new(Class::Transient, Code::CxoneTimeout, text)
    }

    /// A user who was given up at second 2, and the dead letter.
    fn given_up() -> (Checkpoint, DeadLetter) {
        let mut checkpoint = Checkpoint::new(ID.parse().unwrap(), Request::default(), at(1));
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 7 s"), at(2));
        let headers = vec![
            (dead_letter::ERROR, "slow for 9 s [cxone_timeout]".into()),
            (dead_letter::STATE, "Received".into()),
        ];
        (checkpoint, DeadLetter::read(&envelope(ID, headers)))
    }

    #[test]
    fn a_fault_that_came_back_differs_from_one_that_passed_and_from_one_that_waits() {
        let (mut checkpoint, dead_letter) = given_up();
        let sent = Sent::new(&dead_letter, Some(&checkpoint));
        let followed = sent.followed.as_ref().unwrap();
        let seen = |checkpoint: Option<&Checkpoint>| {
            outcome(followed, &dead_letter.fingerprint, checkpoint)
        };
        assert_eq!(seen(None), ReplayOutcome::Open);
        assert_eq!(
            seen(Some(&checkpoint)),
            ReplayOutcome::Open,
            "no worker took it"
        );
        checkpoint.updated_at = at(3);
        assert_eq!(
            seen(Some(&checkpoint)),
            ReplayOutcome::Open,
            "a part of an archive was saved"
        );
        checkpoint.fail(failure("slow for 8 s"), true, at(9), at(4));
        assert!(
            matches!(seen(Some(&checkpoint)), ReplayOutcome::Back(_)),
            "at the first attempt"
        );
        checkpoint.fail(failure("another"), true, at(9), at(4));
        assert_eq!(seen(Some(&checkpoint)), ReplayOutcome::Open);
        checkpoint.give_up(Reason::RetriesExhausted, failure("another"), at(5));
        assert_eq!(
            seen(Some(&checkpoint)),
            ReplayOutcome::Otherwise,
            "another fault of the same step proves nothing"
        );
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 8 s"), at(5));
        assert!(matches!(seen(Some(&checkpoint)), ReplayOutcome::Back(_)));
        checkpoint.postpone(at(9), Pause::DeletionRateLimit, at(6));
        assert_eq!(
            seen(Some(&checkpoint)),
            ReplayOutcome::Otherwise,
            "it waits for a guard"
        );
    }

    #[test]
    fn a_user_whose_state_moved_on_is_past_also_with_a_new_fault() {
        let (mut checkpoint, dead_letter) = given_up();
        let followed = Sent::new(&dead_letter, Some(&checkpoint)).followed.unwrap();
        let queues = QueuesCleared {
            confirmed: true,
            residual: Vec::new(),
            agent: None,
        };
        checkpoint.advance(State::QueuesCleared { queues }, Vec::new(), at(3));
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 7 s"), at(4));
        let seen = outcome(&followed, &dead_letter.fingerprint, Some(&checkpoint));
        assert_eq!(seen, ReplayOutcome::Past);
    }
}
