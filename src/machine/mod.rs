//! The state machine of one user. Pure: no clock, no random numbers, no I/O, no logging.
//!
//! [`transition()`] decides what an event means in a state, and what has to be done next. Live runs
//! and resumes call the same function: a resume is the event [`Event::Resumed`].

mod archive_progress;
mod checkpoint;
mod event;
mod evidence;
mod retry;
mod state;
#[cfg(test)]
mod table;
mod transition;
mod upload;

pub(crate) use archive_progress::{ArchiveInProgress, Crossing, Cursor, UploadInProgress};
pub(crate) use checkpoint::{Checkpoint, Converging, DeadLetter, SCHEMA};
pub(crate) use event::{Effect, Event, Pause, Wait};
pub(crate) use evidence::{
    AccessRemoved, Archive, Beginning, Call, Deletion, DeletionOutcome, ManifestRef, PriorEvidence,
    QueuesCleared, Residual, RetentionMark, Seal, StepRecord,
};
pub(crate) use retry::RetryPolicy;
pub(crate) use state::{Recording, Sealing, State, StateName};
pub(crate) use transition::{Context, Transition, transition};
pub(crate) use upload::{Part, UploadId};
