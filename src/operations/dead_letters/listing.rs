//! Lists dead letters.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::assess::{Assessor, is_left_over};
use super::error::DeadLetterError;
use super::outcome::checkpoint_of;
use super::pick::with_whole_groups;
use super::scan::{find, find_as};
use super::seen::SeenReplays;
use super::{Access, Assessment, DeadLetter, DeadLetterFilter, FullDeadLetter, next};
use crate::address::RunbookUrl;
use crate::machine::StateName;
use crate::ports::Checkpoints;
use crate::ports::queue::Broker;
use crate::steps::Services;

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
    /// The last completed state, by the checkpoint if there is one; null if unknown.
    pub last_state: Option<StateName>,
    /// Whether the user still has access.
    pub access: Access,
}

/// The dead letters that match, oldest first. Without a checkpoint store it is unknown which ones an interrupted replay has
/// already published, and the access is what each dead letter says.
pub(crate) async fn list(
    broker: &dyn Broker,
    checkpoints: Option<&dyn Checkpoints>,
    filter: DeadLetterFilter,
) -> Result<Listing, DeadLetterError> {
    let filter = with_whole_groups(broker, filter).await?;
    let found = find(broker, &filter).await?;
    let mut checkpoints = checkpoints;
    let mut listed = Vec::with_capacity(found.dead_letters.len());
    for dead_letter in found.dead_letters {
        let read = match checkpoints {
            Some(checkpoints) => Some(read_one(checkpoints, dead_letter.clone()).await),
            None => None,
        };
        match read {
            Some(Ok(one)) => listed.push(one),
            Some(Err(failure)) => {
                tracing::warn!(%failure, "it is unknown whether dead letters are left over from a replay");
                checkpoints = None;
                listed.push(unread(dead_letter));
            }
            None => listed.push(unread(dead_letter)),
        }
    }
    Ok(Listing {
        dead_letters: listed,
        more: found.more,
    })
}

async fn read_one(
    checkpoints: &dyn Checkpoints,
    dead_letter: DeadLetter,
) -> Result<Listed, crate::failure::Failure> {
    let left_over = is_left_over(checkpoints, &dead_letter).await?;
    let checkpoint = checkpoint_of(checkpoints, &dead_letter).await?;
    let state = checkpoint
        .as_ref()
        .map(|checkpoint| checkpoint.state.name());
    Ok(Listed {
        left_over: Some(left_over),
        last_state: state.or_else(|| dead_letter.last_state()),
        access: Access::of(&dead_letter, checkpoint.as_ref()),
        dead_letter,
    })
}

fn unread(dead_letter: DeadLetter) -> Listed {
    Listed {
        left_over: None,
        last_state: dead_letter.last_state(),
        access: Access::of(&dead_letter, None),
        dead_letter,
    }
}

/// A dead letter with everything that is known of it
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownDeadLetter {
    #[serde(flatten)]
    pub whole: FullDeadLetter,
    /// The last completed state, by the checkpoint if there is one; null if unknown.
    pub last_state: Option<StateName>,
    /// Whether the user still has access.
    pub access: Access,
    /// Whether a replay is safe now; null if the settings do not say where CXone is.
    #[serde(rename = "judgement")]
    pub assessment: Option<Assessment>,
    /// The command to run next; null without a judgement.
    pub next: Option<String>,
    /// The section of the runbook; null without `OFFBOARDER_RUNBOOK_URL`.
    pub runbook: Option<String>,
}

/// The dead letters that match, oldest first, with headers, properties and body. Without services none is assessed.
pub(crate) async fn show(
    broker: &dyn Broker,
    services: Option<&Arc<Services>>,
    runbook: Option<&RunbookUrl>,
    filter: DeadLetterFilter,
) -> Result<Vec<ShownDeadLetter>, DeadLetterError> {
    let filter = with_whole_groups(broker, filter).await?;
    let found = find_as(broker, &filter, |dead_letter, delivery| {
        FullDeadLetter::new(dead_letter, &delivery.envelope)
    })
    .await?;
    let Some(services) = services else {
        let whole = found.dead_letters.into_iter();
        return Ok(whole.map(|whole| unassessed(whole, runbook)).collect());
    };

    let seen = SeenReplays::read(&*services.checkpoints, found.seen).await;
    let assessor = Assessor::new(services, &seen);
    let mut shown = Vec::new();
    for whole in found.dead_letters {
        let assessment = assessor.assess(&whole.dead_letter).await;
        let next = next::for_one(assessment.safety, &whole.dead_letter);
        let read = checkpoint_of(&*services.checkpoints, &whole.dead_letter).await;
        let checkpoint = read.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "the access is taken from the dead letter");
            None
        });
        let state = checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.state.name());
        shown.push(ShownDeadLetter {
            last_state: state.or_else(|| whole.dead_letter.last_state()),
            access: Access::of(&whole.dead_letter, checkpoint.as_ref()),
            assessment: Some(assessment),
            next: Some(next),
            runbook: section(runbook, &whole.dead_letter),
            whole,
        });
    }
    Ok(shown)
}

fn unassessed(whole: FullDeadLetter, runbook: Option<&RunbookUrl>) -> ShownDeadLetter {
    ShownDeadLetter {
        last_state: whole.dead_letter.last_state(),
        access: Access::of(&whole.dead_letter, None),
        assessment: None,
        next: None,
        runbook: section(runbook, &whole.dead_letter),
        whole,
    }
}

fn section(runbook: Option<&RunbookUrl>, dead_letter: &DeadLetter) -> Option<String> {
    runbook.map(|runbook| runbook.section(dead_letter.word()))
}
