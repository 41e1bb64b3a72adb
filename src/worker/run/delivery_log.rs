//! Logs how a run ended, and marks the span of its delivery.

use tracing::Span;

use super::Outcome;
use crate::failure::Code;
use crate::queue::Envelope;
use crate::telemetry::{metrics, span};
use crate::worker::settle::settlement::Settlement;

/// One line for every outcome that is not progress. A dead letter is an error, since somebody has to
/// act; a delay after a failure is a warning, since it may pass by itself.
pub(super) fn log_outcome(envelope: &Envelope, settlement: Settlement<'_>) {
    let message = envelope.message().ok();
    let user_id = message.map(|message| tracing::field::display(message.user_id));
    let batch_id = message.and_then(|message| message.request.batch_id.as_ref());

    let span = Span::current();
    span.record("offboarder.user_id", &user_id);
    span.record("offboarder.batch_id", batch_id.map(ToString::to_string));
    span.record("offboarder.disposition", settlement.outcome.as_str());

    if let Outcome::DeadLetter(given_up) = settlement.outcome {
        let reason = given_up.reason;
        metrics::dead_lettered(reason);
        span.record("offboarder.reason", reason.as_str());
        span::failed_with(&span, given_up.code.map_or(reason.as_str(), Code::as_str));
        tracing::error!(user_id, %reason, error = given_up.error, attempts = given_up.attempts,
            "dead letter");
    }

    if let Some(delay) = settlement.delay_reason() {
        let until = delay.until;
        let why = delay.why;
        if let Some(code) = delay.code {
            span.record("offboarder.reason", code.as_str());
        }
        // What every user meets, the circuit breaker has said, once.
        if delay.code.is_some() && matches!(settlement.outcome, Outcome::Delay { .. }) {
            tracing::warn!(user_id, %until, why, "delayed");
        } else {
            tracing::info!(user_id, %until, why, "delayed");
        }
    }
}
