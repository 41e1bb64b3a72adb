//! One file per step. A step reads before it writes and reads back what it wrote, so that repeating
//! it after a crash is harmless; it reports what happened as an [`Event`] and decides nothing.

mod archive;
mod archive_pages;
mod archive_quiet;
mod cancellation;
mod checkpoint_session;
mod clear_queues;
mod converge;
mod deactivate;
mod delete;
mod deletions_seen;
mod guard;
mod look_back;
mod probe;
mod read_again;
mod record;
mod recount;
mod seal;

use std::sync::Arc;
use std::time::Duration;

use crate::adapters::cxone::{Answered, Client};
use crate::clock::Clock;
use crate::failure::{Class, Failure};
use crate::guards::Guards;
use crate::job::Job;
use crate::limits::DeletePolicy;
use crate::machine::{Call, Deletion, Effect, Event, RetryPolicy};
use crate::manifest::Actor;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::ProtectedSource;
use crate::telemetry::span;

pub(crate) use archive::begin as begin_archive;
pub(crate) use archive_pages::page;
pub(crate) use cancellation::Cancellation;
pub(crate) use checkpoint_session::CheckpointSession;
pub(crate) use guard::on_deletion;
pub(crate) use look_back::{is_recorded, look_back};
pub(crate) use seal::MAX_DOCUMENT_BYTES;

/// What every step works with. Made once a process.
pub(crate) struct Services {
    pub(crate) clock: Clock,
    pub cxone: Client,
    /// Where archives, seals and manifests go.
    pub archive_store: Arc<dyn ArchiveStore>,
    pub checkpoints: Arc<dyn Checkpoints>,
    pub guards: Guards,
    pub protected: ProtectedSource,
    pub delete: DeletePolicy,
    /// How a user's own failures are tried again.
    pub retry: RetryPolicy,
    /// How far back the archive reaches.
    pub history: Duration,
    /// The longest interval of one query, in days.
    pub window_days: Option<u32>,
    /// Who this is, for the manifest.
    pub actor: Actor,
}

/// Why the work on a job stopped for a reason that is not the job's own. It costs no attempt, and
/// the machine never sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Interrupt {
    /// The process was asked to end.
    #[error("draining")]
    Draining,
    /// The slice of the delivery is over.
    #[error("the slice is over")]
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
    /// Into the span of the step: a failure is one, an interrupt only where it comes from a fault.
    pub(crate) fn tell(&self, span: &tracing::Span) {
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

/// Keeps the call as evidence and gives back what it answered.
fn keep<T>(calls: &mut Vec<Call>, answered: Answered<T>) -> T {
    calls.push(answered.call);
    answered.value
}

/// Does what an effect asks for; `None` for those that are the worker's to do.
pub(crate) async fn perform(
    effect: &Effect,
    services: &Services,
    journal: &mut CheckpointSession,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Option<Result<Event, Stopped>> {
    Some(match effect {
        Effect::LookBack => look_back(services, job).await,
        Effect::LookAgain => look_back::look_again(services, journal.checkpoint()).await,
        Effect::ClearQueues => {
            clear_queues::clear_queues(services, journal.checkpoint_mut(), calls).await
        }
        Effect::Deactivate => {
            deactivate::deactivate(services, journal.checkpoint_mut(), calls).await
        }
        Effect::Archive => Box::pin(archive::archive(services, journal)).await,
        Effect::Seal => Box::pin(seal::seal(services, journal, calls)).await,
        Effect::Delete { maybe_sent } => {
            Box::pin(delete::delete(services, journal, *maybe_sent, calls)).await
        }
        Effect::ConfirmDeletion => delete::confirm(services, journal, calls).await,
        Effect::Withhold(outcome) => Ok(Event::DeletionWithheld(Deletion::without_call(*outcome))),
        Effect::Record => record::record(services, journal, calls).await,
        Effect::Wait(_) | Effect::DeadLetter(_) | Effect::Finish => return None,
    })
}
