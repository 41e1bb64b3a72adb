//! When a request came.

use crate::job::{Job, Request};
use crate::machine::Checkpoint;

/// The request of a job, with the time when the first worker received it.
pub(super) fn as_first_received(job: &Job, checkpoint: &Checkpoint) -> Request {
    let mut request = job.request.clone();
    if checkpoint.is_of(&request) {
        let known = [request.received_at, checkpoint.request.received_at];
        request.received_at = known.into_iter().flatten().min();
    }
    request
}
