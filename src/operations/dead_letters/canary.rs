//! Watches what becomes of replayed dead letters, so that a replay stops when the same fault comes back.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::DeadLetter;
use super::dead_letter::fingerprint_of;
use crate::failure::{Class, Failure};
use crate::machine::Checkpoint;
use crate::ports::{Checkpoints, ReplayNote};

/// The number of dead letters in each stage; the last stage is the rest.
pub(super) const CANARY_STAGES: [usize; 3] = [1, 10, usize::MAX];

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A dead letter that was replayed, and the checkpoint of its user right before.
pub(super) struct Sent {
    dead_letter: DeadLetter,
    saved_before: Option<Timestamp>,
    given_up_before: Option<Timestamp>,
}

/// What happened to a replayed message so far.
#[derive(Debug, PartialEq, Eq)]
enum CanaryOutcome {
    /// No worker has taken the message, or its step is in progress.
    Open,
    /// The user passed the step that had failed, or has another fault.
    Past,
    /// The same fault came back.
    Back(String),
}

impl Sent {
    pub(super) fn new(dead_letter: &DeadLetter, checkpoint: Option<&Checkpoint>) -> Self {
        let given_up = checkpoint.and_then(|checkpoint| checkpoint.dead_letter.as_ref());
        Self {
            dead_letter: dead_letter.clone(),
            saved_before: checkpoint.map(|checkpoint| checkpoint.updated_at),
            given_up_before: given_up.map(|given_up| given_up.at),
        }
    }

    pub(super) const fn note(&self, published: bool) -> ReplayNote {
        ReplayNote {
            published,
            saved_before: self.saved_before,
        }
    }

    fn outcome(&self, checkpoint: Option<&Checkpoint>, faults: &HashSet<&str>) -> CanaryOutcome {
        let Some(checkpoint) = checkpoint else {
            return CanaryOutcome::Open;
        };
        if self.dead_letter.user_id.is_none() || checkpoint.state.is_finished() {
            return CanaryOutcome::Past;
        }
        let given_up = checkpoint.dead_letter.as_ref().map(|given_up| given_up.at);
        let unmoved = Some(checkpoint.updated_at) == self.saved_before;
        // A worker that continues an archive saves the checkpoint while the dead letter is still in it.
        if unmoved || (given_up.is_some() && given_up == self.given_up_before) {
            return CanaryOutcome::Open;
        }
        let failure = checkpoint.last_failure.as_ref();
        let back = failure.filter(|failure| {
            faults.contains(fingerprint_of(failure, checkpoint.state.name()).as_str())
        });
        match (back, failure) {
            (Some(failure), _) => CanaryOutcome::Back(failure.to_string()),
            (None, Some(_)) if given_up.is_none() => CanaryOutcome::Open,
            (None, _) => CanaryOutcome::Past,
        }
    }
}

/// Waits until all of these users have passed the step that had failed. Returns why the replay has to stop, if so.
/// `all` are the dead letters whose faults count.
pub(super) async fn watch(
    checkpoints: &dyn Checkpoints,
    mut sent: Vec<Sent>,
    all: &[DeadLetter],
    patience: Duration,
) -> Result<Option<String>, Failure> {
    let faults: HashSet<&str> = all
        .iter()
        .map(|dead_letter| dead_letter.fingerprint.as_str())
        .collect();
    let until = Instant::now() + patience;
    loop {
        let mut open = Vec::new();
        for one in sent {
            match one.outcome(
                checkpoint_of(checkpoints, &one.dead_letter).await?.as_ref(),
                &faults,
            ) {
                CanaryOutcome::Open => open.push(one),
                CanaryOutcome::Past => {}
                CanaryOutcome::Back(error) => {
                    let whose = one
                        .dead_letter
                        .user_id
                        .map(|user| user.to_string())
                        .unwrap_or_default();
                    return Ok(Some(format!("the fault came back for {whose}: {error}")));
                }
            }
        }
        if open.is_empty() {
            return Ok(None);
        }
        if Instant::now() >= until {
            return Ok(Some(format!(
                "{} did not pass the step within {} s: is a worker running?",
                open.len(),
                patience.as_secs()
            )));
        }
        sent = open;
        tokio::time::sleep(POLL_INTERVAL).await;
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
    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::failure::{Class, Code, Reason};
    use crate::job::Request;
    use crate::machine::Pause;
    use crate::queue::headers::dead_letter;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_fault_that_came_back_differs_from_one_that_passed_and_from_one_that_waits() {
        let failure = |text: &str| Failure::new(Class::Transient, Code::CxoneTimeout, text);
        let mut checkpoint = Checkpoint::new(ID.parse().unwrap(), Request::default(), at(1));
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 7 s"), at(2));
        let headers = vec![
            (dead_letter::ERROR, "slow for 9 s [cxone_timeout]".into()),
            (dead_letter::STATE, "Received".into()),
        ];
        let dead_letter = DeadLetter::read(&envelope(ID, headers));
        let sent = Sent::new(&dead_letter, Some(&checkpoint));
        let outcome = |checkpoint: &Checkpoint| {
            sent.outcome(Some(checkpoint), &[dead_letter.fingerprint.as_str()].into())
        };
        assert_eq!(sent.outcome(None, &HashSet::new()), CanaryOutcome::Open);
        assert_eq!(
            outcome(&checkpoint),
            CanaryOutcome::Open,
            "no worker took it"
        );
        checkpoint.updated_at = at(3);
        assert_eq!(
            outcome(&checkpoint),
            CanaryOutcome::Open,
            "a part of an archive was saved"
        );
        checkpoint.fail(failure("slow for 8 s"), true, at(9), at(4));
        assert!(
            matches!(outcome(&checkpoint), CanaryOutcome::Back(_)),
            "at the first attempt"
        );
        checkpoint.fail(failure("another"), true, at(9), at(4));
        assert_eq!(outcome(&checkpoint), CanaryOutcome::Open);
        checkpoint.give_up(Reason::RetriesExhausted, failure("another"), at(5));
        assert_eq!(outcome(&checkpoint), CanaryOutcome::Past, "another fault");
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 8 s"), at(5));
        assert!(matches!(outcome(&checkpoint), CanaryOutcome::Back(_)));
        checkpoint.postpone(at(9), Pause::DeletionRateLimit, at(6));
        assert_eq!(
            outcome(&checkpoint),
            CanaryOutcome::Past,
            "it waits for a guard"
        );
    }
}
