//! Replays dead letters: publishes their messages again, with fresh attempts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::assess::Assessor;
use super::error::DeadLetterError;
use super::pick::with_whole_groups;
use super::replay_run::{Manner, Run};
use super::report::{ReplayReport, Skipped};
use super::scan::{FoundInQueue, find};
use super::seen::SeenReplays;
use super::{Assessment, DeadLetter, DeadLetterFilter, ReplaySafety, count_by_group};
use crate::operations::Partial;
use crate::ports::Checkpoints;
use crate::ports::queue::Broker;
use crate::registers::audit_log::{AuditLog, Change, Operator, Recorded};
use crate::steps::Services;

/// Where and how dead letters are replayed.
pub(crate) struct Replay<'a> {
    pub broker: &'a dyn Broker,
    /// For notes, and for the progress of a canary.
    pub checkpoints: &'a dyn Checkpoints,
    pub services: &'a Arc<Services>,
    /// The minimum time between two dead letters.
    pub pace: Option<Duration>,
    /// Replays of each group first 1, then 10, then the rest; each stage waits at most this long until the dead letters
    /// of the stage before have passed the step that failed. A group whose fault comes back stops alone.
    pub canary: Option<Duration>,
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
            if may_go(&assessment, self.canary.is_some(), self.anyway) {
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

    /// Replays the dead letters of the plan, and no others. The audit log gets an entry at the beginning and one at the
    /// end. After a failure, the same command continues where this one ended.
    pub(crate) async fn execute(
        &self,
        plan: ReplayPlan,
        operator: &Operator,
    ) -> Partial<ReplayReport> {
        let report = ReplayReport {
            skipped: plan.skipped,
            ..ReplayReport::default()
        };
        if plan.chosen.is_empty() {
            return Partial::whole(report.by_group(&HashMap::new()));
        }
        let audit_log = AuditLog::new(
            Arc::clone(&self.services.archive_store),
            self.services.clock.clone(),
        );
        let begin = Change {
            what: "dead-letters replay",
            count: plan.chosen.len(),
            details: json!({
                "of": plan.filter.to_json(), "canary": self.canary.is_some(), "anyway": self.anyway,
            }),
        };
        let recorded = match audit_log.record(operator, begin).await {
            Ok(recorded) => recorded,
            Err(failure) => return Partial::cut_short(report, failure),
        };

        let mut replayed = self.run(&plan.chosen, report, &recorded).await;
        let end = ended(&replayed, &recorded);
        let ended = audit_log.record(operator, end).await;
        replayed.failure = replayed.failure.or(ended.err());
        replayed
    }

    async fn run(
        &self,
        chosen: &[DeadLetter],
        report: ReplayReport,
        _recorded: &Recorded,
    ) -> Partial<ReplayReport> {
        let publisher = self.broker.publisher(1);
        let manner = Manner {
            begun_at: self.services.clock.now(),
            pace: self.pace.unwrap_or_default(),
            canary: self.canary,
        };
        let run = Run::new(self.broker, self.checkpoints, &*publisher, manner, report);
        let replayed = run.replay(chosen).await;
        publisher.close().await;

        Partial {
            done: replayed.0,
            failure: replayed.1.err(),
        }
    }
}

/// The entry of the audit log for the end of a replay.
fn ended(replayed: &Partial<ReplayReport>, begun: &Recorded) -> Change {
    let report = &replayed.done;
    Change {
        what: "dead-letters replay ended",
        count: report.moved.len(),
        details: json!({
            "act": begun.id(), "cleared": report.cleared.len(), "skipped": report.skipped.len(),
            "stopped": report.stopped,
            "error": replayed.failure.as_ref().map(ToString::to_string),
        }),
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
