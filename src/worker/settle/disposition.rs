//! What becomes of a delivery after a run. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::failure::{Code, Failure, Reason};
use crate::job::{Source, UserId};
use crate::machine::StateName;
use crate::steps::Interrupt;
use crate::worker::run::{Ended, Outcome};

/// What becomes of a delivery. Pure, so that it can be read and tested alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disposition {
    Acknowledge,
    /// Its user's manifest is stored, which is announced.
    Finish(UserId, Box<Ended>),
    /// It goes on in another queue.
    Forward(Source),
    /// It goes to the end of its queue, untouched: how often workers died with it is not forgotten.
    GiveBack,
    /// It begins again, for a user who came back.
    Reissue {
        source: Source,
        /// Which off-boarding it stands for.
        revision: u32,
    },
    /// It waits in a queue of its own.
    Park {
        until: Timestamp,
        /// Whether a visit came to an end of its own: what a worker survived is no poison.
        survived: bool,
        why: String,
        /// The failure that it waits after, if it does.
        code: Option<Code>,
    },
    DeadLetter(Letter),
}

impl Disposition {
    /// A wait that no visit of its own came to.
    pub(crate) fn park(until: Timestamp, why: &str) -> Self {
        Self::Park {
            until,
            survived: false,
            why: why.to_owned(),
            code: None,
        }
    }

    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Finish(..) => "finished",
            Self::Forward(_) => "forwarded",
            Self::GiveBack => "given back",
            Self::Reissue { .. } => "reissued",
            Self::Park { .. } => "parked",
            Self::DeadLetter(_) => "dead-lettered",
        }
    }
}

/// The headers of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) reason: Reason,
    pub(crate) error: String,
    pub(crate) code: Option<Code>,
    pub(crate) state: Option<StateName>,
    pub(crate) attempts: u32,
    pub(crate) at: Timestamp,
}

/// How long a job waits after something that was not its own fault.
const AFTER_INTERRUPT: SignedDuration = SignedDuration::from_secs(3);
const AFTER_SYSTEMIC: SignedDuration = SignedDuration::from_secs(10);

/// What follows from a visit.
pub(crate) fn disposition(
    visit: Result<Outcome, Interrupt>,
    user_id: UserId,
    source: Source,
    now: Timestamp,
) -> Disposition {
    match visit {
        Ok(Outcome::Finished(ended)) => Disposition::Finish(user_id, ended),
        Ok(Outcome::Obsolete) => Disposition::Acknowledge,
        Ok(Outcome::Reissue { revision }) => Disposition::Reissue { source, revision },
        Ok(Outcome::MoveToArchiveLane) => Disposition::Forward(source.after_access()),
        Ok(Outcome::Delay { until, why, code }) => Disposition::Park {
            until,
            survived: true,
            why,
            code,
        },
        Ok(Outcome::Busy { for_at_most }) => {
            let pause = SignedDuration::try_from(for_at_most)
                .unwrap_or(AFTER_INTERRUPT)
                .min(AFTER_SYSTEMIC);
            Disposition::park(now + pause, "another worker has the user")
        }
        Ok(Outcome::DeadLetter {
            reason,
            failure,
            state,
            attempts,
        }) => Disposition::DeadLetter(Letter {
            reason,
            error: failure.to_string(),
            code: Some(failure.code),
            state: Some(state),
            attempts,
            at: now,
        }),
        Err(Interrupt::Draining) => Disposition::GiveBack,
        Err(Interrupt::SliceOver) => Disposition::Forward(source),
        Err(Interrupt::LeaseLost) => Disposition::park(
            now + AFTER_INTERRUPT,
            "the lease is lost: another worker may have the user",
        ),
        Err(Interrupt::Systemic(failure)) => Disposition::Park {
            until: now + AFTER_SYSTEMIC,
            survived: false,
            why: failure.to_string(),
            code: Some(failure.code),
        },
    }
}

/// A step panicked: the job is given up, since it would panic again.
pub(crate) fn panicked(failure: &Failure, now: Timestamp) -> Disposition {
    Disposition::DeadLetter(Letter {
        reason: Reason::Poison,
        error: failure.to_string(),
        code: Some(failure.code),
        state: None,
        attempts: 1,
        at: now,
    })
}

/// It is no message that can be worked on.
pub(crate) fn malformed(error: String, now: Timestamp) -> Disposition {
    let reason = Reason::MalformedMessage;
    Disposition::DeadLetter(Letter {
        reason,
        error,
        code: None,
        state: None,
        attempts: 0,
        at: now,
    })
}
