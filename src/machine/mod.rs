//! The state machine of one user. Pure: no clock, no random numbers, no I/O, no logging.
//!
//! [`transition()`] decides what an event means in a state, and what has to be done next. A live run
//! and a resume call the same function: a resume is the event [`Event::Resumed`].

mod archive_progress;
mod cancelled;
mod checkpoint;
mod context;
mod effect;
mod event;
mod evidence;
mod prior_evidence;
mod retry;
#[cfg(test)]
pub(crate) mod samples;
mod state;
#[cfg(test)]
mod table;
mod taken_back;
mod transition;
mod upload;

pub(crate) use archive_progress::{ArchiveInProgress, Crossing, Cursor, UploadInProgress};
pub(crate) use cancelled::{Cancelled, Reactivation};
pub(crate) use checkpoint::{Checkpoint, Converging, DeadLetter, SCHEMA};
pub(crate) use context::Context;
pub(crate) use effect::{Delay, Effect, Step, Verdict};
pub(crate) use event::{Event, Pause};
pub(crate) use evidence::{
    AccessRemoved, Archive, Beginning, Call, Deletion, DeletionOutcome, LegalHold, ManifestRef,
    QueuesCleared, Residual, RetentionMark, Seal,
};
pub(crate) use prior_evidence::{PriorEvidence, StepRecord};
pub(crate) use retry::RetryPolicy;
pub(crate) use state::{Recording, Sealing, State, StateName};
pub(crate) use transition::{Transition, transition};
pub(crate) use upload::{Part, UploadId};
