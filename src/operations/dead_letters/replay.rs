//! Finds the dead letters that a replay may publish again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::assess::Assessor;
use super::error::DeadLetterError;
use super::pick::with_whole_groups;
use super::report::{ReplayReport, Skipped};
use super::scan::{FoundInQueue, find};
use super::seen::SeenReplays;
use super::{Assessment, DeadLetter, DeadLetterFilter, ReplaySafety, count_by_group};
use crate::ports::Checkpoints;
use crate::ports::queue::Broker;
use crate::steps::Services;

/// Where and how dead letters are replayed.
pub(crate) struct Replay<'a> {
    pub broker: &'a dyn Broker,
    /// For what was seen of earlier replays.
    pub checkpoints: &'a dyn Checkpoints,
    pub services: &'a Arc<Services>,
    /// Whether a canary comes first.
    pub canary: bool,
    /// Also replays dead letters that are not safe to replay yet.
    pub anyway: bool,
}

/// The dead letters that a replay is going to work on.
pub(crate) struct ReplayPlan {
    filter: DeadLetterFilter,
    chosen: Vec<DeadLetter>,
    skipped: Vec<Skipped>,
}

/// Whether a dead letter may be replayed. With `anyway` each may.
fn may_go(assessment: &Assessment, canary: bool, anyway: bool) -> bool {
    match assessment.safety {
        ReplaySafety::LeftOver | ReplaySafety::Safe => true,
        // A canary may prove what nothing has shown yet.
        ReplaySafety::Unproven | ReplaySafety::CameBack => canary || anyway,
        ReplaySafety::Answered | ReplaySafety::NotYet => anyway,
    }
}

impl ReplayPlan {
    /// Whether no dead letter matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.chosen.is_empty() && self.skipped.is_empty()
    }

    /// The number of dead letters to replay.
    pub(crate) fn to_replay(&self) -> usize {
        self.chosen.len()
    }

    /// The number of dead letters that stay in the queue.
    pub(crate) fn to_skip(&self) -> usize {
        self.skipped.len()
    }

    /// Which ones were asked for, those to replay, and those that stay.
    pub(crate) fn into_parts(self) -> (DeadLetterFilter, Vec<DeadLetter>, Vec<Skipped>) {
        (self.filter, self.chosen, self.skipped)
    }

    /// What the replay would do.
    pub(crate) fn dry_run(self) -> ReplayReport {
        let report = ReplayReport {
            moved: self.chosen,
            skipped: self.skipped,
            ..ReplayReport::default()
        };
        report.by_group(&HashMap::new())
    }

    /// For the question before the replay: the groups, and how many dead letters of each are chosen.
    pub(crate) fn by_group(&self) -> BTreeMap<String, usize> {
        count_by_group(&self.chosen)
    }
}

impl Replay<'_> {
    /// Finds the dead letters that match, and assesses each. It changes nothing.
    pub(crate) async fn plan(
        &self,
        filter: DeadLetterFilter,
    ) -> Result<ReplayPlan, DeadLetterError> {
        let filter = with_whole_groups(self.broker, filter).await?;
        let FoundInQueue {
            dead_letters, seen, ..
        } = find(self.broker, &filter).await?;
        let seen = SeenReplays::read(self.checkpoints, seen).await;
        let assessor = Assessor::new(self.services, &seen);
        let mut chosen = Vec::new();
        let mut skipped = Vec::new();
        for dead_letter in dead_letters {
            let assessment = assessor.assess(&dead_letter).await;
            if may_go(&assessment, self.canary, self.anyway) {
                chosen.push(dead_letter);
            } else {
                skipped.push(Skipped {
                    dead_letter,
                    why: assessment.why,
                });
            }
        }

        Ok(ReplayPlan {
            filter,
            chosen,
            skipped,
        })
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
