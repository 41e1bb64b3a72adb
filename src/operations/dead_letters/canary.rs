use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::letter::fingerprint_of;
use super::{Letter, Replay};
use crate::failure::Failure;
use crate::machine::Checkpoint;
use crate::ports::ReplayNote;

/// How many go at a time; the last stage is the rest.
pub(super) const CANARY_STAGES: [usize; 3] = [1, 10, usize::MAX];

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A letter that was replayed, and how its user stood just before.
pub(super) struct Sent {
    letter: Letter,
    saved_before: Option<Timestamp>,
    given_up_before: Option<Timestamp>,
}

/// What became of it so far.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody took it up yet, or its step is under way.
    Open,
    /// It got past the step that had failed, or met another fault.
    Past,
    /// A fault of this fingerprint came back.
    Back(String),
}

impl Sent {
    pub(super) fn new(letter: &Letter, checkpoint: Option<&Checkpoint>) -> Self {
        let given_up = checkpoint.and_then(|checkpoint| checkpoint.dead_letter.as_ref());
        Self {
            letter: letter.clone(),
            saved_before: checkpoint.map(|checkpoint| checkpoint.updated_at),
            given_up_before: given_up.map(|letter| letter.at),
        }
    }

    pub(super) const fn note(&self, published: bool) -> ReplayNote {
        ReplayNote {
            published,
            saved_before: self.saved_before,
        }
    }

    fn fate(&self, checkpoint: Option<&Checkpoint>, faults: &HashSet<&str>) -> Fate {
        let Some(checkpoint) = checkpoint else {
            return Fate::Open;
        };
        if self.letter.user_id.is_none() || checkpoint.state.is_finished() {
            return Fate::Past;
        }
        let given_up = checkpoint.dead_letter.as_ref().map(|letter| letter.at);
        let unmoved = Some(checkpoint.updated_at) == self.saved_before;
        // An archive that goes on is saved while it still counts as given up.
        if unmoved || (given_up.is_some() && given_up == self.given_up_before) {
            return Fate::Open;
        }
        let failure = checkpoint.last_failure.as_ref();
        let back = failure.filter(|failure| {
            faults.contains(fingerprint_of(failure, checkpoint.state.name()).as_str())
        });
        match (back, failure) {
            (Some(failure), _) => Fate::Back(failure.to_string()),
            (None, Some(_)) if given_up.is_none() => Fate::Open,
            (None, _) => Fate::Past,
        }
    }
}

impl Replay<'_> {
    /// Waits until all of these got past what had failed; `Ok(Err)` says why the replay has to stop. `all` are
    /// the letters whose faults count.
    pub(super) async fn watch(
        &self,
        mut sent: Vec<Sent>,
        all: &[Letter],
        patience: Duration,
    ) -> Result<Result<(), String>, Failure> {
        let faults: HashSet<&str> = all
            .iter()
            .map(|letter| letter.fingerprint.as_str())
            .collect();
        let until = Instant::now() + patience;
        loop {
            let mut open = Vec::new();
            for one in sent {
                match one.fate(self.checkpoint(&one.letter).await?.as_ref(), &faults) {
                    Fate::Open => open.push(one),
                    Fate::Past => {}
                    Fate::Back(error) => {
                        let whose = one
                            .letter
                            .user_id
                            .map(|user| user.to_string())
                            .unwrap_or_default();
                        return Ok(Err(format!("the fault came back for {whose}: {error}")));
                    }
                }
            }
            if open.is_empty() {
                return Ok(Ok(()));
            }
            if Instant::now() >= until {
                let (count, seconds) = (open.len(), patience.as_secs());
                return Ok(Err(format!(
                    "{count} did not get on within {seconds} s: is a worker running?"
                )));
            }
            sent = open;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::envelope;
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
    fn what_came_back_is_told_from_what_got_past_and_from_what_waits() {
        let failure = |text: &str| Failure::new(Class::Transient, Code::CxoneTimeout, text);
        let mut checkpoint = Checkpoint::new(ID.parse().unwrap(), Request::default(), at(1));
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 7 s"), at(2));
        let headers = vec![
            (dead_letter::ERROR, "slow for 9 s [cxone_timeout]".into()),
            (dead_letter::STATE, "Received".into()),
        ];
        let letter = Letter::read(&envelope(ID, headers));
        let sent = Sent::new(&letter, Some(&checkpoint));
        let fate = |checkpoint: &Checkpoint| {
            sent.fate(Some(checkpoint), &[letter.fingerprint.as_str()].into())
        };
        assert_eq!(sent.fate(None, &HashSet::new()), Fate::Open);
        assert_eq!(fate(&checkpoint), Fate::Open, "nobody took it up");
        checkpoint.updated_at = at(3);
        assert_eq!(
            fate(&checkpoint),
            Fate::Open,
            "a part of an archive was saved"
        );
        checkpoint.fail(failure("slow for 8 s"), true, at(9), at(4));
        assert!(
            matches!(fate(&checkpoint), Fate::Back(_)),
            "at the first attempt"
        );
        checkpoint.fail(failure("another"), true, at(9), at(4));
        assert_eq!(fate(&checkpoint), Fate::Open);
        checkpoint.give_up(Reason::RetriesExhausted, failure("another"), at(5));
        assert_eq!(fate(&checkpoint), Fate::Past, "another fault");
        checkpoint.give_up(Reason::RetriesExhausted, failure("slow for 8 s"), at(5));
        assert!(matches!(fate(&checkpoint), Fate::Back(_)));
        checkpoint.postpone(at(9), Pause::DeletionRateLimit, at(6));
        assert_eq!(fate(&checkpoint), Fate::Past, "it waits for a guard");
    }
}
