use serde::Serialize;
use utoipa::ToSchema;

use super::{Letter, Pass, Pick, Whole, is_left_over, look};
use crate::ports::Checkpoints;
use crate::ports::queue::Broker;
use crate::queue::QueueError;

/// Letters as they are listed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing {
    /// The oldest first.
    pub letters: Vec<Listed>,
    /// How many more there are than the limit.
    pub more: usize,
}

/// A letter, and whether a replay that was cut short has published it already.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedLetter)]
pub(crate) struct Listed {
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
    /// Null where the checkpoint store does not answer.
    pub left_over: Option<bool>,
}

/// The letters that are meant, the oldest first. They can be looked at without a checkpoint store: which of them
/// are left over from a replay is unknown then.
pub(crate) async fn list(
    broker: &dyn Broker,
    checkpoints: Option<&dyn Checkpoints>,
    pick: &Pick,
) -> Result<Listing, QueueError> {
    let (letters, more) = look(broker, pick).await?;
    let mut known = vec![None; letters.len()];
    if let Some(checkpoints) = checkpoints {
        for (known, letter) in known.iter_mut().zip(&letters) {
            match is_left_over(checkpoints, letter).await {
                Ok(left_over) => *known = Some(left_over),
                Err(failure) => {
                    tracing::warn!(%failure, "whether letters are left over from a replay is not known");
                    break;
                }
            }
        }
    }
    let letters = letters.into_iter().zip(known);
    Ok(Listing {
        letters: letters
            .map(|(letter, left_over)| Listed { letter, left_over })
            .collect(),
        more,
    })
}

/// The letters that are meant, with all that they hold, as they come.
pub(crate) async fn show(broker: &dyn Broker, pick: &Pick) -> Result<Vec<Whole>, QueueError> {
    let mut letters = Vec::new();
    let mut pass = Pass::begin(broker).await?;
    while pick.limit.is_none_or(|limit| letters.len() < limit)
        && let Some((letter, delivery)) = pass.next().await?
    {
        if pick.takes(&letter) {
            letters.push(Whole::new(letter, &delivery.envelope));
        }
    }
    pass.close().await?;
    Ok(letters)
}
