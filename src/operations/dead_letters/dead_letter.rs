//! A dead letter, as its headers and its body describe it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::failure::{Code, Failure, Reason};
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::queue::headers::{DEATH, dead_letter};
use crate::queue::{Envelope, HeaderValue, fingerprint};

/// The ID of a dead letter: a hash of its content
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{16}$", example = "0123456789abcdef")]
pub struct DeadLetterId(String);

impl DeadLetterId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeadLetterId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeadLetterId> for String {
    fn from(id: DeadLetterId) -> Self {
        id.0
    }
}

impl FromStr for DeadLetterId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |one: u8| one.is_ascii_digit() || (b'a'..=b'f').contains(&one);
        if text.len() == 16 && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err("the ID of a dead letter is 16 hex digits, as `dead-letters list` shows it")
        }
    }
}

/// A dead letter, without the body
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeadLetterSummary)]
pub(crate) struct DeadLetter {
    pub id: DeadLetterId,
    /// The user; null if the body is not a valid message.
    pub user_id: Option<UserId>,
    /// The batch of the message.
    pub batch_id: Option<BatchId>,
    /// The reason. A message that RabbitMQ itself moved here is `poison`.
    pub reason: Reason,
    /// The code of the last failure, if this release knows it.
    pub code: Option<Code>,
    /// The step that failed; empty if unknown.
    pub step: String,
    /// The last completed state; empty if unknown.
    pub state: String,
    /// The text of the last failure.
    pub error: String,
    /// Equal for all dead letters of one fault.
    pub fingerprint: String,
    /// The number of attempts.
    pub attempts: i64,
    /// When the message became a dead letter.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dead_lettered_at: Option<Timestamp>,
    /// The worker that published the dead letter.
    pub worker: String,
    /// The number of earlier replays.
    pub replays: i64,
    /// Whether it was replayed, and the same fault made it a dead letter again.
    pub came_back: bool,
    /// When the last replay of it began, if it was replayed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub replayed_at: Option<Timestamp>,
}

/// The error of a message that RabbitMQ moved.
const MOVED: &str =
    "RabbitMQ delivered it again and again without an acknowledgement, and moved it here";

impl DeadLetter {
    /// Reads the headers and the body.
    pub(crate) fn read(envelope: &Envelope) -> Self {
        let properties = &envelope.properties;
        let text = |name: &str| properties.text(name).unwrap_or_default();
        let number = |name: &str| properties.number(name).unwrap_or(0);
        let reason = text(dead_letter::REASON);
        let reason = Reason::ALL
            .iter()
            .find(|known| known.as_str() == reason)
            .copied();
        let mut error = text(dead_letter::ERROR);
        if reason.is_none() && error.is_empty() {
            MOVED.clone_into(&mut error);
        }
        let reason = reason.unwrap_or(Reason::Poison);
        let code = Some(text(dead_letter::CODE))
            .filter(|code| !code.is_empty())
            .or_else(|| bracketed(&error));
        let code = code.and_then(|code| {
            Code::ALL
                .iter()
                .find(|known| known.as_str() == code)
                .copied()
        });
        let state = text(dead_letter::STATE);
        let step = Some(text(dead_letter::STEP)).filter(|step| !step.is_empty());
        let step = step.or_else(|| step_after(&state)).unwrap_or_default();
        let message = envelope.message().ok();
        let fingerprint = fingerprint(word(code, reason), &step, &error);
        let replays = number(dead_letter::REPLAYS);
        // Earlier releases did not note the fault that they replayed.
        let replayed_fault = properties.text(dead_letter::REPLAYED_FAULT);
        let came_back = replays > 0 && replayed_fault.is_none_or(|fault| fault == fingerprint);
        Self {
            id: identify(envelope),
            user_id: message.map(|message| message.user_id),
            batch_id: message.and_then(|message| message.request.batch_id.clone()),
            fingerprint,
            reason,
            code,
            step,
            state,
            error,
            attempts: number(dead_letter::ATTEMPTS),
            dead_lettered_at: envelope.dead_lettered_at(),
            worker: text(dead_letter::WORKER),
            replays,
            came_back,
            replayed_at: properties
                .text(dead_letter::REPLAYED_AT)
                .and_then(|at| at.parse().ok()),
        }
    }

    /// The last completed state; `None` if the dead letter does not name one.
    pub(super) fn last_state(&self) -> Option<StateName> {
        StateName::parse(&self.state)
    }

    /// The word for the fault: the code, or the reason if there is no code.
    pub(crate) const fn word(&self) -> &'static str {
        word(self.code, self.reason)
    }
}

/// The number of dead letters of each group.
pub(super) fn count_by_group<'a>(
    dead_letters: impl IntoIterator<Item = &'a DeadLetter>,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for dead_letter in dead_letters {
        *counts.entry(dead_letter.fingerprint.clone()).or_default() += 1;
    }
    counts
}

/// The fingerprint of a dead letter with this failure.
pub(super) fn fingerprint_of(failure: &Failure, state: StateName) -> String {
    fingerprint(
        failure.code.as_str(),
        state.next_step(),
        &failure.to_string(),
    )
}

const fn word(code: Option<Code>, reason: Reason) -> &'static str {
    match code {
        Some(code) => code.as_str(),
        None => reason.as_str(),
    }
}

/// The code at the end of the text of an error; dead letters of an earlier release have no header for it.
fn bracketed(error: &str) -> Option<String> {
    Some(error.strip_suffix(']')?.rsplit_once('[')?.1.to_owned())
}

fn step_after(state: &str) -> Option<String> {
    Some(StateName::parse(state)?.next_step().to_owned())
}

/// Hashes everything that a scan does not change. Each part is hashed with its length, so that parts cannot run together.
fn identify(envelope: &Envelope) -> DeadLetterId {
    let properties = &envelope.properties;
    let text = |name: &str| properties.text(name).unwrap_or_default();
    let at = text(dead_letter::AT);
    let worker = text(dead_letter::WORKER);
    let death = properties.headers.get(DEATH).map(HeaderValue::to_json);
    let death = death.unwrap_or_default().to_string();
    let message_id = properties.message_id.clone().unwrap_or_default();
    let mut hash = Sha256::new();
    let pieces = [
        at.as_bytes(),
        worker.as_bytes(),
        death.as_bytes(),
        message_id.as_bytes(),
        envelope.routing_key.as_bytes(),
        envelope.body(),
    ];
    for piece in pieces {
        hash.update(piece.len().to_be_bytes());
        hash.update(piece);
    }
    DeadLetterId(hex::encode(hash.finalize().get(..8).unwrap_or_default()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::queue::{AddedHeaders, Properties, successor};

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    pub(in crate::operations::dead_letters) fn envelope(
        body: &str,
        headers: AddedHeaders,
    ) -> Envelope {
        let properties = successor(&Properties::default(), headers);
        Envelope::of_test("offboarding.dead", "users", properties, body)
    }

    fn of_a_worker(at: &str) -> AddedHeaders {
        vec![
            (dead_letter::REASON, "retries_exhausted".into()),
            (dead_letter::ERROR, "slow [cxone_timeout]".into()),
            (dead_letter::STATE, "Deactivated".into()),
            (dead_letter::ATTEMPTS, 8_i64.into()),
            (dead_letter::AT, at.into()),
            (dead_letter::WORKER, "w-1".into()),
            (dead_letter::REPLAYS, 2_i64.into()),
        ]
    }

    #[test]
    fn a_dead_letter_is_read_with_or_without_the_headers_of_this_release() {
        let old = DeadLetter::read(&envelope(ID, of_a_worker("2026-11-01T00:00:00Z")));
        let mut headers = of_a_worker("2026-11-01T00:00:00Z");
        headers.extend([
            (dead_letter::CODE, "cxone_timeout".into()),
            (dead_letter::STEP, "archive".into()),
        ]);
        assert_eq!(old, DeadLetter::read(&envelope(ID, headers)));
        assert_eq!(
            (old.reason, old.code),
            (Reason::RetriesExhausted, Some(Code::CxoneTimeout))
        );
        assert_eq!(
            (old.step.as_str(), old.attempts, old.replays),
            ("archive", 8, 2)
        );
        assert_eq!(old.dead_lettered_at, "2026-11-01T00:00:00Z".parse().ok());
        assert_eq!(old.user_id, ID.parse().ok());
    }

    #[test]
    fn dead_letters_that_differ_in_time_or_body_have_other_ids_and_a_scan_does_not_change_them() {
        let one = || envelope(ID, of_a_worker("2026-11-01T00:00:00Z"));
        let id = DeadLetter::read(&one()).id;
        let mut scanned = one();
        scanned.properties = successor(&Properties::default(), {
            let mut headers = of_a_worker("2026-11-01T00:00:00Z");
            headers.push(("x-seen", 1_i64.into()));
            headers
        });
        assert_eq!(DeadLetter::read(&scanned).id, id);
        assert_ne!(
            DeadLetter::read(&envelope(ID, of_a_worker("2026-11-01T00:00:01Z"))).id,
            id
        );
        let upper = ID.to_uppercase();
        assert_ne!(
            DeadLetter::read(&envelope(&upper, of_a_worker("2026-11-01T00:00:00Z"))).id,
            id
        );
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn what_rabbitmq_moved_is_poison_and_an_invalid_body_has_no_user() {
        let moved = DeadLetter::read(&envelope("no message", Vec::new()));
        assert_eq!(
            (moved.reason, moved.code, moved.user_id),
            (Reason::Poison, None, None)
        );
        assert_eq!((moved.word(), moved.error.as_str()), ("poison", MOVED));
    }
}
