//! One function for each thing that an operator does. The commands and the HTTP API call these functions and do nothing
//! of their own, so that both do the same and both write the audit log.

pub(crate) mod audit_log;
pub(crate) mod batch_pause;
pub(crate) mod batches;
pub(crate) mod cancel;
pub(crate) mod dead_letters;
pub(crate) mod erasure;
pub(crate) mod evidence;
pub(crate) mod find;
pub(crate) mod fleet;
pub(crate) mod holds;
pub(crate) mod limits;
mod notice;
pub(crate) mod operation;
pub(crate) mod overview;
pub(crate) mod part;
pub(crate) mod pause;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod plans;
pub(crate) mod reactivate;
pub(crate) mod rehearsal;
pub(crate) mod report;
pub(crate) mod runbook;
pub(crate) mod series;
pub(crate) mod shared_answers;
pub(crate) mod status;
pub(crate) mod stops;
pub(crate) mod submit;
pub(crate) mod surge;
pub(crate) mod target;
pub(crate) mod times;
pub(crate) mod tracker;
pub(crate) mod urgent;
pub(crate) mod users;
pub(crate) mod verify;
pub(crate) mod when;

use crate::failure::Failure;

/// What a change of many did. A change that fails has changed some of them, and the operator has to know which.
#[derive(Debug)]
pub(crate) struct Partial<T> {
    pub done: T,
    /// Why the change ended early, if it did.
    pub failure: Option<Failure>,
}

impl<T> Partial<T> {
    pub(crate) const fn whole(done: T) -> Self {
        Self {
            done,
            failure: None,
        }
    }

    pub(crate) const fn cut_short(done: T, failure: Failure) -> Self {
        Self {
            done,
            failure: Some(failure),
        }
    }
}
