//! Why an operation on dead letters was not done.

use super::filter::GroupName;
use crate::failure::Failure;
use crate::queue::QueueError;

/// Why dead letters were not found, or nothing was done to them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeadLetterError {
    #[error(
        "no group has a fingerprint that begins with {name}; {}",
        listed(candidates)
    )]
    NoSuchGroup {
        name: GroupName,
        /// All groups.
        candidates: Vec<String>,
    },
    #[error("{name} is the beginning of {} fingerprints: give more digits; {}", candidates.len(), listed(candidates))]
    Ambiguous {
        name: GroupName,
        candidates: Vec<String>,
    },
    /// A safety rule forbids it.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(Failure),
}

impl From<Failure> for DeadLetterError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<QueueError> for DeadLetterError {
    fn from(error: QueueError) -> Self {
        Self::Failed(error.into())
    }
}

fn listed(candidates: &[String]) -> String {
    const SHOWN: usize = 20;

    if candidates.is_empty() {
        return "there is none".to_owned();
    }
    let shown = candidates.get(..SHOWN).unwrap_or(candidates).join(", ");
    match candidates.len().saturating_sub(SHOWN) {
        0 => format!("there are: {shown}"),
        more => format!("there are: {shown}, and {more} more"),
    }
}
