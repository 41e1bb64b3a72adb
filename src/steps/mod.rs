//! One file per step. A step reads before it writes and reads back what it wrote, so that repeating
//! it after a crash is harmless; it reports what happened as an [`Event`] and decides nothing.

mod archive;
mod archive_pages;
mod archive_quiet;
mod archive_store;
mod archive_stream;
mod archived;
mod cancellation;
mod checkpoint_session;
mod clear_queues;
mod confirm_deletion;
mod converge;
mod deactivate;
mod delete;
mod deletions_seen;
mod documents;
mod guard;
mod look_back;
mod prior_evidence;
mod probe;
mod read_again;
mod record;
mod recount;
mod seal;
mod sealed_archive;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::failure::{Class, Failure};
use crate::guards::Guards;
use crate::job::Job;
use crate::limits::DeletePolicy;
use crate::machine::{Call, Event, RetryPolicy, Step};
use crate::manifest::Actor;
use crate::ports::{Answered, ArchiveStore, Checkpoints, Tenant};
use crate::registers::ProtectedSource;
use crate::telemetry::span;

pub(crate) use archive::begin as begin_archive;
pub(crate) use archive_pages::page;
pub(crate) use cancellation::Cancellation;
pub(crate) use checkpoint_session::CheckpointSession;
pub(crate) use documents::MAX_DOCUMENT_BYTES;
pub(crate) use guard::on_deletion;
pub(crate) use look_back::{is_recorded, look_back};

/// What every step works with. Made once for each process.
pub(crate) struct Services {
    pub(crate) clock: Clock,
    pub tenant: Arc<dyn Tenant>,
    /// Where archives, seals and manifests go.
    pub archive_store: Arc<dyn ArchiveStore>,
    pub checkpoints: Arc<dyn Checkpoints>,
    pub guards: Guards,
    pub protected: ProtectedSource,
    pub delete: DeletePolicy,
    pub retry: RetryPolicy,
    /// How far back the archive reaches.
    pub history: Duration,
    /// The longest interval of one query, in days.
    pub window_days: Option<u32>,
    /// Named in the manifest as its writer.
    pub actor: Actor,
}

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

/// Keeps the call as evidence, and returns what the API answered.
fn keep<T>(calls: &mut Vec<Call>, answered: Answered<T>) -> T {
    calls.push(answered.call);
    answered.value
}

/// Does one step, and reports what happened.
pub(crate) async fn perform(
    step: &Step,
    services: &Services,
    session: &mut CheckpointSession,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    match step {
        Step::LookBack => look_back(services, job).await,
        Step::LookAgain => look_back::look_again(services, session.checkpoint()).await,
        Step::ClearQueues => {
            clear_queues::clear_queues(services, session.checkpoint_mut(), calls).await
        }
        Step::Deactivate => deactivate::deactivate(services, session.checkpoint_mut(), calls).await,
        Step::Archive => Box::pin(archive::archive(services, session)).await,
        Step::Seal => Box::pin(seal::seal(services, session, calls)).await,
        Step::Delete { maybe_sent } => {
            Box::pin(delete::delete(services, session, *maybe_sent, calls)).await
        }
        Step::ConfirmDeletion => confirm_deletion::confirm_deletion(services, session, calls).await,
        Step::Record => record::record(services, session, calls).await,
    }
}
