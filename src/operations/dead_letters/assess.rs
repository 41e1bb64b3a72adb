//! Assesses whether a replay is safe now: whether what was at fault works again.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::DeadLetter;
use crate::failure::{Code, Failure, Reason};
use crate::job::UserId;
use crate::machine::Checkpoint;
use crate::ports::Checkpoints;
use crate::steps::Services;

/// Whether a replay is safe now, from safe to unsafe
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReplaySafety {
    /// An interrupted replay has already published the message; the dead letter only has to be taken off.
    LeftOver,
    /// What was at fault works again.
    Safe,
    /// No probe can show whether the cause is fixed; a canary can.
    Unproven,
    /// The user continued with another message, or has a newer dead letter.
    Answered,
    /// The fault would come back.
    NotYet,
}

/// Whether a replay is safe now, and why
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Assessment {
    #[serde(rename = "verdict")]
    pub safety: ReplaySafety,
    /// For people.
    pub why: String,
}

fn assessment(safety: ReplaySafety, why: impl Into<String>) -> Assessment {
    Assessment {
        safety,
        why: why.into(),
    }
}

/// Assesses dead letters with the checkpoints, with reads, and with one probe for each service that was at fault.
pub(crate) struct Assessor {
    services: Arc<Services>,
    probes: Mutex<HashMap<Code, Assessment>>,
}

impl Assessor {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            probes: Mutex::default(),
        }
    }

    /// Changes nothing. If the assessment fails, the replay is not safe yet, and the failure says why.
    pub(crate) async fn assess(&self, dead_letter: &DeadLetter) -> Assessment {
        self.try_assess(dead_letter)
            .await
            .unwrap_or_else(|failure| assessment(ReplaySafety::NotYet, failure.to_string()))
    }

    async fn try_assess(&self, dead_letter: &DeadLetter) -> Result<Assessment, Failure> {
        if is_left_over(&*self.services.checkpoints, dead_letter).await? {
            return Ok(assessment(
                ReplaySafety::LeftOver,
                "an interrupted replay has already published it",
            ));
        }
        let Some(user_id) = dead_letter.user_id else {
            let why = "the body is not a valid message: submit the user again, then discard the dead letter";
            return Ok(assessment(ReplaySafety::NotYet, why));
        };
        let checkpoint = self.services.checkpoints.read(user_id).await?;
        if let Some(why) = checkpoint.and_then(|checkpoint| answered(dead_letter, &checkpoint)) {
            return Ok(assessment(ReplaySafety::Answered, why));
        }
        match dead_letter.reason {
            Reason::ProtectedUser => self.protected(user_id).await,
            Reason::UserNotFound => self.unknown(user_id).await,
            Reason::MalformedMessage
            | Reason::ApiRejected
            | Reason::RetriesExhausted
            | Reason::ArchiveConflict
            | Reason::Poison => Ok(self.probe(dead_letter.code).await),
        }
    }

    async fn protected(&self, user_id: UserId) -> Result<Assessment, Failure> {
        match self.services.protection(user_id).await? {
            Some(why) => Ok(assessment(
                ReplaySafety::NotYet,
                format!("{why} (OFFBOARDER_GUARD_PROTECTED)"),
            )),
            None => Ok(assessment(
                ReplaySafety::Safe,
                "the protected list no longer covers the user",
            )),
        }
    }

    async fn unknown(&self, user_id: UserId) -> Result<Assessment, Failure> {
        if self.services.tenant.user_exists(user_id).await?.value {
            return Ok(assessment(ReplaySafety::Safe, "CXone knows the user now"));
        }
        let why =
            "CXone still does not know the user: compare ID and tenant (OFFBOARDER_CXONE_BASE_URI)";
        Ok(assessment(ReplaySafety::NotYet, why))
    }

    async fn probe(&self, code: Option<Code>) -> Assessment {
        let Some(code) = code else {
            return assessment(
                ReplaySafety::Unproven,
                "workers crashed on it: find out why, then replay with a canary",
            );
        };
        let asked = probe_of(code);
        let mut probes = self.probes.lock().await;
        if let Some(known) = probes.get(&asked) {
            return known.clone();
        }
        let assessment = match self.services.probe(asked).await {
            Ok(true) => assessment(ReplaySafety::Safe, "what was at fault answers a probe"),
            Ok(false) => {
                let why = format!(
                    "no probe can show whether {code} is fixed: fix it, then replay with a canary"
                );
                assessment(ReplaySafety::Unproven, why)
            }
            Err(failure) => assessment(ReplaySafety::NotYet, failure.to_string()),
        };
        probes.insert(asked, assessment.clone());
        assessment
    }
}

/// The code whose probe shows whether a fault is over: faults that pass by themselves are over when the service responds.
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
    use crate::machine::Pause;
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
        checkpoint.postpone(at(300), Pause::DeletionRateLimit, at(102));
        assert!(
            answered(&dead_letter, &checkpoint)
                .unwrap()
                .contains("continued since then")
        );
    }
}
