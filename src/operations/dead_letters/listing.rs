//! Lists dead letters.

use serde::Serialize;
use utoipa::ToSchema;

use super::scan::{DeadLetterScan, find};
use super::{DeadLetter, DeadLetterFilter, FullDeadLetter, is_left_over};
use crate::ports::Checkpoints;
use crate::ports::queue::Broker;
use crate::queue::QueueError;

/// A list of dead letters
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing {
    /// Oldest first.
    #[serde(rename = "letters")]
    pub dead_letters: Vec<Listed>,
    /// The number of further dead letters, beyond the limit.
    pub more: usize,
}

/// A dead letter in a list
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedLetter)]
pub(crate) struct Listed {
    #[serde(flatten)]
    pub dead_letter: DeadLetter,
    /// Whether an interrupted replay has already published the message; null if the checkpoint store does not respond.
    pub left_over: Option<bool>,
}

/// The dead letters that match, oldest first. Without a checkpoint store it is unknown which ones an interrupted replay has
/// already published.
pub(crate) async fn list(
    broker: &dyn Broker,
    checkpoints: Option<&dyn Checkpoints>,
    filter: &DeadLetterFilter,
) -> Result<Listing, QueueError> {
    let (dead_letters, more) = find(broker, filter).await?;
    let mut known = vec![None; dead_letters.len()];
    if let Some(checkpoints) = checkpoints {
        for (known, dead_letter) in known.iter_mut().zip(&dead_letters) {
            match is_left_over(checkpoints, dead_letter).await {
                Ok(left_over) => *known = Some(left_over),
                Err(failure) => {
                    tracing::warn!(%failure, "it is unknown whether dead letters are left over from a replay");
                    break;
                }
            }
        }
    }
    let dead_letters = dead_letters.into_iter().zip(known);
    Ok(Listing {
        dead_letters: dead_letters
            .map(|(dead_letter, left_over)| Listed {
                dead_letter,
                left_over,
            })
            .collect(),
        more,
    })
}

/// The dead letters that match, with headers, properties and body, in the order of the queue.
pub(crate) async fn show(
    broker: &dyn Broker,
    filter: &DeadLetterFilter,
) -> Result<Vec<FullDeadLetter>, QueueError> {
    let mut dead_letters = Vec::new();
    let mut scan = DeadLetterScan::begin(broker).await?;
    while filter.limit.is_none_or(|limit| dead_letters.len() < limit)
        && let Some((dead_letter, delivery)) = scan.next().await?
    {
        if filter.matches(&dead_letter) {
            dead_letters.push(FullDeadLetter::new(dead_letter, &delivery.envelope));
        }
    }
    scan.close().await?;
    Ok(dead_letters)
}
