//! Replays dead letters: publishes their messages again, with fresh attempts.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::canary::{CANARY_STAGES, Sent, checkpoint_of, watch};
use super::scan::{SetScan, find};
use super::{Assessment, Assessor, DeadLetter, DeadLetterFilter, ReplaySafety, is_left_over};
use crate::failure::Failure;
use crate::job::Source;
use crate::machine::Checkpoint;
use crate::operations::Partial;
use crate::ports::Checkpoints;
use crate::ports::queue::{Broker, Delivery, Publisher};
use crate::queue::headers::{PLACEHOLDER_SINCE, dead_letter};
use crate::queue::names::JOBS_EXCHANGE;
use crate::queue::{AddedHeaders, Envelope, replayed, without_dead_letter};
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
    /// Replays first 1, then 10, then the rest; each stage waits at most this long until the dead letters of the stage
    /// before have passed the step that failed.
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

/// What a replay did. Dead letters that it does not name are unchanged
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayReport {
    /// Published again, and taken off the queue.
    pub moved: Vec<DeadLetter>,
    /// Taken off the queue, because an earlier replay that was interrupted had published them.
    pub cleared: Vec<DeadLetter>,
    /// Left in the queue.
    pub skipped: Vec<Skipped>,
    /// Why the replay ended early, if it did.
    pub stopped: Option<String>,
}

/// A dead letter that was left in the queue
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Skipped {
    #[serde(rename = "letter")]
    pub dead_letter: DeadLetter,
    /// Why it was skipped.
    pub why: String,
}

/// The result of a replay, or of its dry run
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayResult<'a> {
    /// Whether this was a dry run, which changes nothing.
    pub dry_run: bool,
    /// What happened to each dead letter.
    #[serde(flatten)]
    pub report: &'a ReplayReport,
    /// The failure that ended the replay early, if there was one.
    pub error: Option<&'a str>,
}

/// Whether a dead letter may be replayed. With `anyway` each may.
fn may_go(assessment: &Assessment, canary: bool, anyway: bool) -> bool {
    match assessment.safety {
        ReplaySafety::LeftOver | ReplaySafety::Safe => true,
        ReplaySafety::Unproven => canary || anyway,
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
        ReplayReport {
            moved: self.chosen,
            skipped: self.skipped,
            ..ReplayReport::default()
        }
    }
}

impl Replay<'_> {
    /// Finds the dead letters that match, and assesses each. It changes nothing.
    pub(crate) async fn plan(&self, filter: DeadLetterFilter) -> Result<ReplayPlan, Failure> {
        let (found, _more) = find(self.broker, &filter).await?;
        let assessor = Assessor::new(Arc::clone(self.services));
        let mut chosen = Vec::new();
        let mut skipped = Vec::new();
        for dead_letter in found {
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
            return Partial::whole(report);
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
        let mut run = Run {
            replay: self,
            publisher: &*publisher,
            report,
        };
        let failure = run.stages(chosen).await.err();
        let report = run.report;
        publisher.close().await;

        Partial {
            done: report,
            failure,
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

/// A replay in progress.
struct Run<'a> {
    replay: &'a Replay<'a>,
    publisher: &'a dyn Publisher,
    report: ReplayReport,
}

impl Run<'_> {
    async fn stages(&mut self, chosen: &[DeadLetter]) -> Result<(), Failure> {
        let Some(patience) = self.replay.canary else {
            self.stage(chosen).await?;
            return Ok(());
        };

        let mut rest = chosen;
        for size in CANARY_STAGES {
            let (stage, after) = rest.split_at(size.min(rest.len()));
            let sent = self.stage(stage).await?;
            rest = after;
            if rest.is_empty() {
                break;
            }
            if let Some(why) = watch(self.replay.checkpoints, sent, chosen, patience).await? {
                let skipped = |dead_letter: &DeadLetter| Skipped {
                    dead_letter: dead_letter.clone(),
                    why: why.clone(),
                };
                self.report.skipped.extend(rest.iter().map(skipped));
                self.report.stopped = Some(why);
                break;
            }
        }
        Ok(())
    }

    async fn stage(&mut self, stage: &[DeadLetter]) -> Result<Vec<Sent>, Failure> {
        let mut scan = SetScan::new(self.replay.broker, stage);
        let mut sent = Vec::new();
        let mut due = Instant::now();
        while let Some((dead_letter, delivery)) = scan.next().await? {
            tokio::time::sleep_until(due).await;
            due = Instant::now() + self.replay.pace.unwrap_or_default();
            match self.one(&dead_letter, &delivery).await? {
                Some(one) => {
                    self.report.moved.push(dead_letter);
                    sent.push(one);
                }
                None => self.report.cleared.push(dead_letter),
            }
        }

        let missed = scan.close().await?;
        let gone = stage
            .iter()
            .filter(|dead_letter| missed.contains(&dead_letter.id));
        self.report.skipped.extend(gone.map(|dead_letter| Skipped {
            dead_letter: dead_letter.clone(),
            why: "it is not in the queue any more: someone else took it off".to_owned(),
        }));
        Ok(sent)
    }

    /// Publishes the message, then takes the dead letter off. `None` if an earlier replay had published it.
    async fn one(
        &self,
        dead_letter: &DeadLetter,
        delivery: &Delivery,
    ) -> Result<Option<Sent>, Failure> {
        let checkpoints = self.replay.checkpoints;
        if let Some(user_id) = dead_letter.user_id {
            crate::failpoint::arm(&user_id.to_string());
        }
        if is_left_over(checkpoints, dead_letter).await? {
            delivery.acknowledge().await?;
            return Ok(None);
        }

        let checkpoint = checkpoint_of(checkpoints, dead_letter).await?;
        let sent = Sent::new(dead_letter, checkpoint.as_ref());
        checkpoints
            .note_replay(dead_letter.id.as_str(), &sent.note(false))
            .await?;

        let mut added = headers(dead_letter, checkpoint.as_ref());
        let envelope = &delivery.envelope;
        added.extend(replayed(&envelope.properties));
        let properties = without_dead_letter(&envelope.properties, added);
        self.publisher
            .publish(JOBS_EXCHANGE, key(envelope), envelope.body(), &properties)
            .await?;

        checkpoints
            .note_replay(dead_letter.id.as_str(), &sent.note(true))
            .await?;
        delivery.acknowledge().await?;
        Ok(Some(sent))
    }
}

/// The routing key of the queue that the message came from.
fn key(envelope: &Envelope) -> &'static str {
    let known = Source::ALL
        .into_iter()
        .find(|source| source.routing_key() == envelope.routing_key);
    known.unwrap_or(Source::Users).routing_key()
}

/// The number of replays, and the time up to which the message answers dead letters: a worker that gave the user up after
/// one copy drops a second copy.
fn headers(dead_letter: &DeadLetter, checkpoint: Option<&Checkpoint>) -> AddedHeaders {
    let latest = checkpoint
        .and_then(|checkpoint| checkpoint.dead_letter.as_ref())
        .map(|dead| dead.at);
    let at: Option<Timestamp> = dead_letter.dead_lettered_at.max(latest);
    // The header has milliseconds, so the dead letter is older than the next one.
    let since = at.and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok());
    let since = since.map(|since| (PLACEHOLDER_SINCE, since.as_millisecond().into()));
    since
        .into_iter()
        .chain([(
            dead_letter::REPLAYS,
            dead_letter.replays.saturating_add(1).into(),
        )])
        .collect()
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
