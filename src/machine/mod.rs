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
mod table;
mod transition;

pub use archive_progress::{ArchiveInProgress, Crossing, Cursor, UploadInProgress};
pub use checkpoint::{Checkpoint, Converging, DeadLetter, SCHEMA, StepInProgress};
pub use event::{Effect, Event, Pause, Wait};
pub use evidence::{
    AccessRemoved, Archive, Beginning, Call, Deletion, DeletionOutcome, ManifestRef, QueuesCleared,
    Residual, RetentionMark, Seal, StepRecord, Traces,
};
pub use retry::{RetryPolicy, after_failure};
pub use state::{Recording, Sealing, State, StateName};
pub use table::{diagram, document_section, table};
pub use transition::{Context, DeletePolicy, IllegalTransition, Transition, transition};
