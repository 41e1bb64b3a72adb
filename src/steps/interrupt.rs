//! Why a step did not end.

use crate::failure::{Class, Failure};
use crate::telemetry::span;

/// Why a run stopped for a reason that is not the job's own. It costs no attempt, and the machine
/// never sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum Interrupt {
    /// The process was asked to end.
    #[error("draining")]
    Draining,
    /// The time slice of the delivery is over.
    #[error("the time slice is over")]
    SliceOver,
    /// Another worker has the user now.
    #[error("the lease is lost")]
    LeaseLost,
    /// Every user would meet this fault.
    #[error("{0}")]
    Systemic(Failure),
}

/// Why a step did not end.
#[derive(Debug)]
pub(crate) enum Stopped {
    Failed(Failure),
    Interrupted(Interrupt),
}

impl Stopped {
    /// Marks the span of the step as failed, unless the run only has to end early.
    pub(crate) fn record_in(&self, span: &tracing::Span) {
        match self {
            Self::Failed(failure) | Self::Interrupted(Interrupt::Systemic(failure)) => {
                span::failed(span, failure.code);
            }
            Self::Interrupted(
                Interrupt::Draining | Interrupt::SliceOver | Interrupt::LeaseLost,
            ) => {}
        }
    }
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(error: E) -> Self {
        let failure = error.into();
        match failure.class {
            Class::Systemic => Self::Interrupted(Interrupt::Systemic(failure)),
            Class::Transient
            | Class::Throttled
            | Class::UnknownOutcome
            | Class::Permanent(_)
            | Class::Defect => Self::Failed(failure),
        }
    }
}
