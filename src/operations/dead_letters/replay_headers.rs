//! What a replayed message carries besides what its publisher sent.

use jiff::{SignedDuration, Timestamp};

use super::DeadLetter;
use crate::job::Source;
use crate::machine::Checkpoint;
use crate::queue::headers::{ADMITTED, PLACEHOLDER_SINCE, dead_letter};
use crate::queue::{AddedHeaders, Envelope};

/// The routing key of the queue that the message came from.
pub(super) fn key(envelope: &Envelope) -> &'static str {
    let known = Source::ALL
        .into_iter()
        .find(|source| source.routing_key() == envelope.routing_key);
    known.unwrap_or(Source::Users).routing_key()
}

/// The number of replays, the fault and the time of this one, and the time up to which the message answers dead letters:
/// a worker that gave the user up after one copy drops a second copy.
pub(super) fn headers(
    dead_letter: &DeadLetter,
    checkpoint: Option<&Checkpoint>,
    begun_at: Timestamp,
) -> AddedHeaders {
    let latest = checkpoint
        .and_then(|checkpoint| checkpoint.dead_letter.as_ref())
        .map(|dead| dead.at);
    let at: Option<Timestamp> = dead_letter.dead_lettered_at.max(latest);
    // The header has milliseconds, so the dead letter is older than the next one.
    let since = at.and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok());
    let since = since.map(|since| (PLACEHOLDER_SINCE, since.as_millisecond().into()));
    since
        .into_iter()
        .chain([
            (ADMITTED, 1_i64.into()),
            (
                dead_letter::REPLAYS,
                dead_letter.replays.saturating_add(1).into(),
            ),
            (
                dead_letter::REPLAYED_FAULT,
                dead_letter.fingerprint.as_str().into(),
            ),
            (dead_letter::REPLAYED_AT, begun_at.to_string().into()),
        ])
        .collect()
}

#[cfg(test)]
#[path = "replay_headers_tests.rs"]
mod tests;
