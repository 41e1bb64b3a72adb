//! Assesses whether a replay is safe now. “Safe” rests on something that was seen: the read that had failed succeeds now,
//! or the last replay of the same fault got past the step. A probe of the service can only show that it still fails.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::seen::SeenReplays;
use super::{Assessment, DeadLetter, ReplaySafety};
use crate::failure::{Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::ports::Checkpoints;
use crate::steps::Services;

/// Assesses dead letters with the checkpoints, with what was seen of earlier replays, with reads, and with one probe for
/// each service that was at fault.
pub(super) struct Assessor<'a> {
    services: &'a Arc<Services>,
    seen: &'a SeenReplays,
    /// Why a service still fails; `None` if it answers.
    probes: Mutex<HashMap<Code, Option<String>>>,
}

impl<'a> Assessor<'a> {
    pub(super) fn new(services: &'a Arc<Services>, seen: &'a SeenReplays) -> Self {
        Self {
            services,
            seen,
            probes: Mutex::default(),
        }
    }

    /// Changes nothing. If the assessment fails, the replay is not safe yet, and the failure says why.
    pub(super) async fn assess(&self, dead_letter: &DeadLetter) -> Assessment {
        self.try_assess(dead_letter)
            .await
            .unwrap_or_else(|failure| Assessment::new(ReplaySafety::NotYet, failure.to_string()))
    }

    async fn try_assess(&self, dead_letter: &DeadLetter) -> Result<Assessment, Failure> {
        if is_left_over(&*self.services.checkpoints, dead_letter).await? {
            return Ok(Assessment::new(
                ReplaySafety::LeftOver,
                "an interrupted replay has already published it",
            ));
        }
        let Some(user_id) = dead_letter.user_id else {
            let why = "the body is not a valid message: submit the user again, then discard the dead letter";
            return Ok(Assessment::new(ReplaySafety::NotYet, why));
        };
        let checkpoint = self.services.checkpoints.read(user_id).await?;
        if let Some(why) = checkpoint.and_then(|checkpoint| answered(dead_letter, &checkpoint)) {
            return Ok(Assessment::new(ReplaySafety::Answered, why));
        }
        if dead_letter.code == Some(Code::NotInOrder) {
            let why = "an order is never changed: submit the user again if it is to leave, then discard the dead letter";
            return Ok(Assessment::new(ReplaySafety::NotYet, why));
        }
        match dead_letter.reason {
            Reason::ProtectedUser => self.protected(user_id).await,
            Reason::UserNotFound => self.unknown(user_id).await,
            Reason::MalformedMessage
            | Reason::ApiRejected
            | Reason::RetriesExhausted
            | Reason::ArchiveConflict
            | Reason::Poison => Ok(self.fault(dead_letter).await),
        }
    }

    async fn protected(&self, user_id: UserId) -> Result<Assessment, Failure> {
        match self.services.protection(user_id).await? {
            Some(why) => Ok(Assessment::new(
                ReplaySafety::NotYet,
                format!("{why} (OFFBOARDER_GUARD_PROTECTED)"),
            )),
            None => Ok(Assessment::new(
                ReplaySafety::Safe,
                "the protected list no longer covers the user",
            )),
        }
    }

    async fn unknown(&self, user_id: UserId) -> Result<Assessment, Failure> {
        if self.services.tenant.user_exists(user_id).await?.value {
            return Ok(Assessment::new(
                ReplaySafety::Safe,
                "CXone knows the user now",
            ));
        }
        let why =
            "CXone still does not know the user: compare ID and tenant (OFFBOARDER_CXONE_BASE_URI)";
        Ok(Assessment::new(ReplaySafety::NotYet, why))
    }

    /// Whether a fault is over, of which only a replay can show the end.
    async fn fault(&self, dead_letter: &DeadLetter) -> Assessment {
        if let Some(code) = dead_letter.code
            && let Some(why) = self.still_fails(code).await
        {
            return Assessment::new(ReplaySafety::NotYet, why);
        }
        if let Some(seen) = self.seen.verdict(dead_letter) {
            return seen;
        }
        let why = dead_letter.code.map_or_else(
            || "workers crashed on it: find out why, then replay with a canary".to_owned(),
            |code| {
                format!(
                    "no probe can show whether {code} is fixed: fix it, then replay with a canary"
                )
            },
        );
        Assessment::new(ReplaySafety::Unproven, why)
    }

    /// Why the service that was at fault still fails, if it does.
    async fn still_fails(&self, code: Code) -> Option<String> {
        let asked = probe_of(code);
        let mut probes = self.probes.lock().await;
        if let Some(known) = probes.get(&asked) {
            return known.clone();
        }
        let failure = self.services.probe(asked).await.err();
        let why = failure.map(|failure| failure.to_string());
        probes.insert(asked, why.clone());
        why
    }
}

/// The code whose probe asks the service that was at fault.
const fn probe_of(code: Code) -> Code {
    match code {
        Code::CxoneCursorLost | Code::CxoneVersionConflict | Code::CxoneNotConverged => {
            Code::CxoneTimeout
        }
        Code::ArchiveUploadLost => Code::ArchiveUnreachable,
        other => other,
    }
}

/// What happened to the user since the dead letter, if anything.
fn answered(dead_letter: &DeadLetter, checkpoint: &Checkpoint) -> Option<String> {
    if let Some(cancelled) = &checkpoint.cancelled {
        return Some(format!(
            "cancelled by {} at {:.0}: a worker would drop the message; discard the dead letter",
            cancelled.who, cancelled.at
        ));
    }
    let at = dead_letter.dead_lettered_at?;
    match &checkpoint.dead_letter {
        Some(newer) if newer.at > at => {
            Some(format!("the user has a newer dead letter, of {}", newer.at))
        }
        None if checkpoint.updated_at > at => Some(format!(
            "the user continued since then, with another message ({}, {}): discard the dead letter",
            checkpoint.state.name(),
            checkpoint.updated_at
        )),
        Some(_) | None => None,
    }
}

/// Whether an interrupted replay has certainly published the message: its note says so, or the checkpoint of the user has
/// changed since the note.
pub(crate) async fn is_left_over(
    checkpoints: &dyn Checkpoints,
    dead_letter: &DeadLetter,
) -> Result<bool, Failure> {
    let Some(note) = checkpoints.replay_note(dead_letter.id.as_str()).await? else {
        return Ok(false);
    };
    if note.published {
        return Ok(true);
    }
    let Some(user_id) = dead_letter.user_id else {
        return Ok(false);
    };
    let saved = checkpoints
        .read(user_id)
        .await?
        .map(|checkpoint| checkpoint.updated_at);
    Ok(saved.is_some() && saved != note.saved_before)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::failure::Class;
    use crate::job::Request;
    use crate::machine::{Pause, samples};
    use crate::queue::headers::dead_letter;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_user_who_continued_or_has_a_newer_dead_letter_answers_an_old_one() {
        let id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let dead_letter = DeadLetter::read(&envelope(
            id,
            vec![(dead_letter::AT, at(100).to_string().into())],
        ));
        let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow");
        let mut checkpoint = Checkpoint::new(id.parse().unwrap(), Request::default(), at(50));
        assert_eq!(answered(&dead_letter, &checkpoint), None);
        checkpoint.give_up(Reason::RetriesExhausted, failure.clone(), at(99));
        checkpoint.updated_at = at(200);
        assert_eq!(
            answered(&dead_letter, &checkpoint),
            None,
            "an archive in progress saves checkpoints, which proves nothing"
        );
        checkpoint.give_up(Reason::RetriesExhausted, failure, at(101));
        assert!(
            answered(&dead_letter, &checkpoint)
                .unwrap()
                .contains("newer dead letter")
        );
        let mut cancelled = checkpoint.clone();
        cancelled.cancel(samples::cancelled(at(105)), at(105));
        let why = answered(&dead_letter, &cancelled).unwrap();
        assert!(why.contains("cancelled by ada"), "{why}");
        checkpoint.postpone(at(300), Pause::DeletionRateLimit, at(102));
        assert!(
            answered(&dead_letter, &checkpoint)
                .unwrap()
                .contains("continued since then")
        );
    }
}
