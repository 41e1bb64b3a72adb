//! What a transition depends on besides state and event.

use super::RetryPolicy;
use crate::job::Action;
use crate::limits::DeletePolicy;

#[derive(Debug, Clone)]
pub(crate) struct Context<'a> {
    /// What the request asks for.
    pub action: Action,
    pub delete: DeletePolicy,
    pub retry: &'a RetryPolicy,
    /// An operator asked for the deletion again after the user ended at `DeactivatedOnly`.
    pub resubmitted: bool,
    /// Attempts that this job has spent.
    pub attempts: u32,
    /// Uniform in `[0, 1)`.
    pub jitter: f64,
}
