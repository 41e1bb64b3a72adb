//! What follows from a transition: another step of the same run, or the end of the run.

use std::time::Duration;

use jiff::Timestamp;

use super::{DeletionOutcome, Pause, Sealing, State};
use crate::failure::{Class, Code, Failure, Reason};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// The run continues with this step.
    Step(Step),
    /// The user is not deleted. Nothing has to be done for that: once the state is saved,
    /// [`Event::DeletionWithheld`](super::Event::DeletionWithheld) follows at once.
    Withhold(DeletionOutcome),
    /// The run ends.
    End(Verdict),
}

/// One step of a run. A step talks to the services, and reports an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Search the archive store for a seal or a manifest of an earlier run.
    LookBack,
    /// Check that the user exists, and remove it from its queues.
    ClearQueues,
    /// Set SCIM `active` to false.
    Deactivate,
    /// Stream the conversations into the archive store.
    Archive,
    /// Ask the guards, then store the evidence so far.
    Seal,
    /// Ask the guards, then delete the user.
    Delete {
        /// An earlier run may have sent the DELETE already.
        maybe_sent: bool,
    },
    /// Read until an accepted deletion shows.
    ConfirmDeletion,
    /// Store the manifest.
    Record,
    /// Read whether an off-boarded user is active again.
    LookAgain,
}

impl Step {
    /// The word for the step in metrics and traces.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::LookBack => "look_back",
            Self::ClearQueues => "clear_queues",
            Self::Deactivate => "deactivate",
            Self::Archive => "archive",
            Self::Seal => "seal",
            Self::Delete { .. } => "delete",
            Self::ConfirmDeletion => "confirm_deletion",
            Self::Record => "record",
            Self::LookAgain => "look_again",
        }
    }
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// A later run continues.
    Delay(Delay),
    /// The job is given up.
    DeadLetter { reason: Reason, failure: Failure },
    /// Nothing is left to do.
    Finish,
    /// An operator cancelled the request: nothing more is done for it.
    Cancel,
}

impl Verdict {
    /// What a cancellation means in this state. From the DELETE that the API accepted on there is nothing left to cancel,
    /// and a user who is finished stays so.
    pub(super) fn of_cancellation(state: &State) -> Option<Self> {
        match state {
            State::Archived {
                sealing: Sealing::Accepted { .. },
                ..
            } => None,
            State::Deleted { .. } | State::DeactivatedOnly { .. } => {
                state.is_finished().then_some(Self::Finish)
            }
            State::Received
            | State::QueuesCleared { .. }
            | State::Deactivated { .. }
            | State::Archived { .. } => Some(Self::Cancel),
        }
    }

    pub(super) fn user_not_found() -> Self {
        let reason = Reason::UserNotFound;
        Self::DeadLetter {
            reason,
            failure: Failure::new(
                Class::Permanent(reason),
                Code::UserNotFound,
                "the API does not know this user, and neither do we",
            ),
        }
    }
}

/// How long the job waits, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Delay {
    /// An attempt failed.
    Retry {
        /// From now.
        delay: Duration,
        /// Whether the failure counts against `OFFBOARDER_WORKER_MAX_ATTEMPTS`.
        spends_attempt: bool,
        failure: Failure,
    },
    /// Nothing failed: a guard, or a write that does not show yet, postpones the step.
    Until { until: Timestamp, why: Pause },
}
