//! The calls of a step, as evidence.

use crate::machine::Call;
use crate::ports::Answered;

/// Keeps the call as evidence, and returns what the API answered.
pub(super) fn keep<T>(calls: &mut Vec<Call>, answered: Answered<T>) -> T {
    calls.push(answered.call);
    answered.value
}
