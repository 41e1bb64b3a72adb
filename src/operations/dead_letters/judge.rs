use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::Letter;
use crate::failure::{Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::ports::Checkpoints;
use crate::steps::Services;

/// Whether a replay is safe now, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// A replay that was cut short has published it already: all that is left is to take it off.
    LeftOver,
    /// What was at fault answers.
    Safe,
    /// No probe can show that the cause is gone: a canary can.
    Unproven,
    /// The user went on since by another message, or has a newer letter.
    Answered,
    /// It would come back.
    NotYet,
}

/// A verdict, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Judgement {
    /// What.
    pub verdict: Verdict,
    /// For people.
    pub why: String,
}

fn judged(verdict: Verdict, why: impl Into<String>) -> Judgement {
    Judgement {
        verdict,
        why: why.into(),
    }
}

/// Judges letters by the checkpoints, by reading, and by one probe for each service that was at fault.
pub(crate) struct Judge {
    services: Arc<Services>,
    probes: Mutex<HashMap<Code, Judgement>>,
}

impl Judge {
    /// Asks these services.
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            probes: Mutex::default(),
        }
    }

    /// Changes nothing. What cannot be asked is a `NotYet` that says so.
    pub(crate) async fn judge(&self, letter: &Letter) -> Judgement {
        self.try_judge(letter)
            .await
            .unwrap_or_else(|failure| judged(Verdict::NotYet, failure.to_string()))
    }

    async fn try_judge(&self, letter: &Letter) -> Result<Judgement, Failure> {
        if is_left_over(&*self.services.checkpoints, letter).await? {
            return Ok(judged(
                Verdict::LeftOver,
                "a replay that was cut short has published it already",
            ));
        }
        let Some(user_id) = letter.user_id else {
            let why = "the body is no message, and stays none: submit the user anew, then discard the letter";
            return Ok(judged(Verdict::NotYet, why));
        };
        let checkpoint = self.services.checkpoints.read(user_id).await?;
        if let Some(why) = checkpoint.and_then(|checkpoint| answered(letter, &checkpoint)) {
            return Ok(judged(Verdict::Answered, why));
        }
        match letter.reason {
            Reason::ProtectedUser => self.protected(user_id).await,
            Reason::UserNotFound => self.unknown(user_id).await,
            Reason::MalformedMessage
            | Reason::ApiRejected
            | Reason::RetriesExhausted
            | Reason::ArchiveConflict
            | Reason::Poison => Ok(self.probe(letter.code).await),
        }
    }

    async fn protected(&self, user_id: UserId) -> Result<Judgement, Failure> {
        match self.services.protection(user_id).await? {
            Some(why) => Ok(judged(
                Verdict::NotYet,
                format!("{why} (OFFBOARDER_GUARD_PROTECTED)"),
            )),
            None => Ok(judged(
                Verdict::Safe,
                "the protected list does not cover the user any more",
            )),
        }
    }

    async fn unknown(&self, user_id: UserId) -> Result<Judgement, Failure> {
        if self.services.cxone.user_exists(user_id).await?.value {
            return Ok(judged(Verdict::Safe, "CXone knows the user now"));
        }
        let why =
            "CXone still does not know the user: compare ID and tenant (OFFBOARDER_CXONE_BASE_URI)";
        Ok(judged(Verdict::NotYet, why))
    }

    async fn probe(&self, code: Option<Code>) -> Judgement {
        let Some(code) = code else {
            return judged(
                Verdict::Unproven,
                "workers died on it: find out why, then replay with a canary",
            );
        };
        let asked = whom_to_ask(code);
        let mut probes = self.probes.lock().await;
        if let Some(known) = probes.get(&asked) {
            return known.clone();
        }
        let judgement = match self.services.probe(asked).await {
            Ok(true) => judged(Verdict::Safe, "what was at fault answers a probe"),
            Ok(false) => {
                let why = format!(
                    "no probe shows that {code} is mended: mend it, then replay with a canary"
                );
                judged(Verdict::Unproven, why)
            }
            Err(failure) => judged(Verdict::NotYet, failure.to_string()),
        };
        probes.insert(asked, judgement.clone());
        judgement
    }
}

/// Faults that pass by themselves are over when the service answers.
const fn whom_to_ask(code: Code) -> Code {
    match code {
        Code::CxoneCursorLost | Code::CxoneVersionConflict | Code::CxoneNotConverged => {
            Code::CxoneTimeout
        }
        Code::ArchiveUploadLost => Code::ArchiveUnreachable,
        other => other,
    }
}

/// What became of the user since the letter, if anything did.
fn answered(letter: &Letter, checkpoint: &Checkpoint) -> Option<String> {
    let at = letter.dead_lettered_at?;
    match &checkpoint.dead_letter {
        Some(newer) if newer.at > at => Some(format!(
            "a newer dead letter stands for this user, of {}",
            newer.at
        )),
        None if checkpoint.updated_at > at => Some(format!(
            "the user went on since, by another message ({}, {}): discard the letter",
            checkpoint.state.name(),
            checkpoint.updated_at
        )),
        Some(_) | None => None,
    }
}

/// Whether a replay of this letter was killed after its message was published for certain: it says so itself,
/// or the user moved on since it was about to.
pub(crate) async fn is_left_over(
    checkpoints: &dyn Checkpoints,
    letter: &Letter,
) -> Result<bool, Failure> {
    let Some(note) = checkpoints.replay_note(letter.id.as_str()).await? else {
        return Ok(false);
    };
    if note.published {
        return Ok(true);
    }
    let Some(user_id) = letter.user_id else {
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

    use super::super::letter::tests::envelope;
    use super::*;
    use crate::failure::Class;
    use crate::job::Request;
    use crate::machine::Pause;
    use crate::queue::headers::dead_letter;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_user_who_went_on_or_has_a_newer_letter_answers_an_old_one() {
        let id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let letter = Letter::read(&envelope(
            id,
            vec![(dead_letter::AT, at(100).to_string().into())],
        ));
        let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow");
        let mut checkpoint = Checkpoint::new(id.parse().unwrap(), Request::default(), at(50));
        assert_eq!(answered(&letter, &checkpoint), None);
        checkpoint.give_up(Reason::RetriesExhausted, failure.clone(), at(99));
        checkpoint.updated_at = at(200);
        assert_eq!(
            answered(&letter, &checkpoint),
            None,
            "an archive under way saves, and proves nothing"
        );
        checkpoint.give_up(Reason::RetriesExhausted, failure, at(101));
        assert!(
            answered(&letter, &checkpoint)
                .unwrap()
                .contains("newer dead letter")
        );
        checkpoint.postpone(at(300), Pause::DeletionRateLimit, at(102));
        assert!(
            answered(&letter, &checkpoint)
                .unwrap()
                .contains("went on since")
        );
    }
}
