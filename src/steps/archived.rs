//! The evidence that a state holds of a user whose conversations are archived.

use crate::failure::{Class, Code, Failure};
use crate::machine::{AccessRemoved, Archive, State};

/// The machine asks for seal and deletion only in `Archived`.
pub(super) fn archived(state: &State) -> Result<(&AccessRemoved, &Archive), Failure> {
    match state {
        State::Archived {
            access, archive, ..
        } => Ok((access, archive)),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => Err(Failure::new(
            Class::Defect,
            Code::IllegalTransition,
            format!("a deletion was asked for in the state {}", state.name()),
        )),
    }
}
