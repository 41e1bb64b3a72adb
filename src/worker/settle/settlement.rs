//! What an outcome means for the delivery: which message takes its place, if one does. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::failure::Code;
use crate::job::{Lane, Source};
use crate::machine::StateName;
use crate::ports::batches::FinishedBatch;
use crate::queue::headers::{ADMITTED, PLACEHOLDER_SINCE, REVISION, dead_letter};
use crate::queue::{AddedHeaders, Envelope, delay_headers};
use crate::steps::Interrupt;
use crate::worker::run::{AccessGone, GivenUp, Outcome};

/// How long a job is delayed after something that was not its own fault.
const AFTER_INTERRUPT: SignedDuration = SignedDuration::from_secs(3);
const AFTER_SYSTEMIC: SignedDuration = SignedDuration::from_secs(10);
/// How long a placeholder is delayed before a run checks how far the work is.
const PLACEHOLDER_DELAY: SignedDuration = SignedDuration::from_secs(30);
/// Of an error in a header: all headers must fit into one frame.
const MAX_ERROR_CHARS: usize = 2048;

/// Where the message goes that takes the place of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The queue of this source.
    Jobs(Source),
    /// A delay queue, and from there the queue that it came from.
    Delayed {
        until: Timestamp,
    },
    DeadLetters,
}

/// The message that takes the place of a delivery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Successor {
    pub(crate) route: Route,
    pub(crate) headers: AddedHeaders,
}

/// A [`Destination`], where the delay queue is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Jobs(Source),
    Delayed(Duration),
    DeadLetters,
}

/// Why a delivery is delayed, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DelayReason {
    pub(crate) until: Timestamp,
    pub(crate) why: String,
    /// The failure that caused the delay, if one did.
    pub(crate) code: Option<Code>,
}

/// What an outcome means for its delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settlement<'a> {
    pub(crate) outcome: &'a Outcome,
    /// The queue that the delivery came from.
    pub(crate) source: Source,
    /// When the run ended. Settling may take longer, and try more than once.
    pub(crate) ended_at: Timestamp,
    /// The user's batch, if no user of it has anything left to do.
    pub(crate) finished_batch: Option<&'a FinishedBatch>,
}

impl Settlement<'_> {
    /// That the user's access is gone, which is announced before the delivery is acknowledged. The
    /// announcement and the message for the archive lane are published at once: after a crash
    /// between the two, the user may be finished when the delivery comes again. So a delivery of
    /// the access lane also announces it then.
    pub(crate) fn access_gone(&self) -> Option<&AccessGone> {
        match self.outcome {
            Outcome::MoveToArchiveLane(access_gone) => access_gone.as_deref(),
            Outcome::Finished(ended) if self.source.lane() == Lane::Access => {
                ended.access_gone.as_ref()
            }
            Outcome::Cancelled(end) if self.source.lane() == Lane::Access => {
                end.access_gone.as_ref()
            }
            Outcome::Finished(_)
            | Outcome::Reissue { .. }
            | Outcome::Cancelled(_)
            | Outcome::Obsolete
            | Outcome::Delay { .. }
            | Outcome::NotDue { .. }
            | Outcome::Busy { .. }
            | Outcome::DeadLetter(_)
            | Outcome::Interrupted(_) => None,
        }
    }

    /// Where the job continues; `None` when the delivery is acknowledged without a successor.
    pub(crate) fn destination(&self) -> Option<Destination> {
        let source = self.source;
        let ended_at = self.ended_at;
        match self.outcome {
            Outcome::Finished(_) | Outcome::Cancelled(_) | Outcome::Obsolete => None,
            Outcome::MoveToArchiveLane(_) => Some(Destination::Jobs(source.after_access())),
            Outcome::Reissue { .. }
            | Outcome::Interrupted(Interrupt::Draining | Interrupt::SliceOver) => {
                Some(Destination::Jobs(source))
            }
            Outcome::Delay { until, .. } | Outcome::NotDue { until } => {
                Some(Destination::Delayed { until: *until })
            }
            Outcome::Busy {
                for_at_most,
                look_again,
            } => {
                let wait = look_again.map_or(*for_at_most, |look| look.min(*for_at_most));
                let wait = SignedDuration::try_from(wait).unwrap_or(AFTER_INTERRUPT);
                let until = ended_at + wait.min(AFTER_SYSTEMIC);
                Some(Destination::Delayed { until })
            }
            Outcome::Interrupted(Interrupt::LeaseLost) => {
                let until = ended_at + AFTER_INTERRUPT;
                Some(Destination::Delayed { until })
            }
            Outcome::Interrupted(Interrupt::Systemic(failure)) => {
                // A Redis that fails over is back in seconds; until then no worker takes the job from its queue.
                let away = failure.code == Code::CheckpointsUnreachable;
                let until = ended_at
                    + if away {
                        AFTER_INTERRUPT
                    } else {
                        AFTER_SYSTEMIC
                    };
                Some(Destination::Delayed { until })
            }
            Outcome::DeadLetter(_) => Some(Destination::DeadLetters),
        }
    }

    /// The message that takes the place of a delivery, if one does.
    pub(crate) fn successor(
        &self,
        envelope: &Envelope,
        worker: &str,
        now: Timestamp,
    ) -> Option<Successor> {
        let mut headers = self.headers(envelope, worker);
        let route = match self.destination()? {
            Destination::Jobs(source) => Route::Jobs(source),
            Destination::DeadLetters => Route::DeadLetters,
            Destination::Delayed { until } => {
                let (delay, delayed) = delay_headers(until, now);
                headers.extend(delayed);
                Route::Delayed(delay)
            }
        };
        Some(Successor { route, headers })
    }

    fn headers(&self, envelope: &Envelope, worker: &str) -> AddedHeaders {
        match self.outcome {
            // A run that came to an end of its own: the message did no harm, and the count begins again.
            Outcome::Finished(_)
            | Outcome::Cancelled(_)
            | Outcome::Obsolete
            | Outcome::Delay { .. }
            | Outcome::Interrupted(Interrupt::SliceOver) => Vec::new(),
            Outcome::MoveToArchiveLane(_) => vec![(ADMITTED, 1_i64.into())],
            Outcome::Reissue { revision } => vec![(REVISION, (*revision).into())],
            // How often workers died with the message still counts.
            Outcome::NotDue { .. }
            | Outcome::Busy { .. }
            | Outcome::Interrupted(
                Interrupt::Draining | Interrupt::LeaseLost | Interrupt::Systemic(_),
            ) => envelope.deaths_header(),
            Outcome::DeadLetter(given_up) => dead_letter_headers(given_up, worker, self.ended_at),
        }
    }

    /// Why the outcome delays the job, if it does.
    pub(crate) fn delay_reason(&self) -> Option<DelayReason> {
        let Some(Destination::Delayed { until }) = self.destination() else {
            return None;
        };
        let because = |why: &str, code| DelayReason {
            until,
            why: why.to_owned(),
            code,
        };

        match self.outcome {
            Outcome::Delay { why, code, .. } => Some(because(why, *code)),
            Outcome::NotDue { .. } => Some(because("it is not due yet", None)),
            Outcome::Busy { .. } => Some(because("another worker has the user", None)),
            Outcome::Interrupted(Interrupt::LeaseLost) => {
                let why = "the lease is lost: another worker may have the user";
                Some(because(why, None))
            }
            Outcome::Interrupted(Interrupt::Systemic(failure)) => {
                Some(because(&failure.to_string(), Some(failure.code)))
            }
            Outcome::Finished(_)
            | Outcome::MoveToArchiveLane(_)
            | Outcome::Reissue { .. }
            | Outcome::Cancelled(_)
            | Outcome::Obsolete
            | Outcome::DeadLetter(_)
            | Outcome::Interrupted(Interrupt::Draining | Interrupt::SliceOver) => None,
        }
    }
}

/// A delayed copy of a delivery whose work continues.
pub(crate) fn placeholder(now: Timestamp) -> Successor {
    let (delay, mut headers) = delay_headers(now + PLACEHOLDER_DELAY, now);
    headers.push((PLACEHOLDER_SINCE, now.as_millisecond().into()));
    Successor {
        route: Route::Delayed(delay),
        headers,
    }
}

fn dead_letter_headers(given_up: &GivenUp, worker: &str, at: Timestamp) -> AddedHeaders {
    let state = given_up.state.map_or("", StateName::as_str);
    let step = given_up.state.map_or("", StateName::next_step);
    let mut headers = vec![
        (dead_letter::REASON, given_up.reason.as_str().into()),
        (dead_letter::ERROR, short(&given_up.error).into()),
        (dead_letter::STATE, state.into()),
        (dead_letter::STEP, step.into()),
        (dead_letter::ATTEMPTS, given_up.attempts.into()),
        (dead_letter::AT, at.to_string().into()),
        (dead_letter::WORKER, worker.into()),
    ];
    let code = given_up
        .code
        .map(|code| (dead_letter::CODE, code.as_str().into()));

    headers.extend(code);
    headers
}

fn short(error: &str) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", error.get(..end).unwrap_or_default()),
        None => error.to_owned(),
    }
}

#[cfg(test)]
#[path = "settlement_tests.rs"]
mod tests;
