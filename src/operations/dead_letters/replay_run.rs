//! A replay in progress: stage by stage, and message by message.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::assess::is_left_over;
use super::canary::{CANARY_STAGES, GroupStages, watch};
use super::outcome::{ReplayOutcome, Sent, checkpoint_of};
use super::report::{ReplayReport, Skipped};
use super::scan::SetScan;
use super::{DeadLetter, DeadLetterId};
use crate::failure::Failure;
use crate::job::Source;
use crate::machine::Checkpoint;
use crate::ports::queue::{Broker, Delivery, Publisher};
use crate::ports::{Checkpoints, GroupReplay};
use crate::queue::headers::{PLACEHOLDER_SINCE, dead_letter};
use crate::queue::names::JOBS_EXCHANGE;
use crate::queue::{AddedHeaders, Envelope, replayed, without_dead_letter};

/// A replay in progress.
pub(super) struct Run<'a> {
    broker: &'a dyn Broker,
    checkpoints: &'a dyn Checkpoints,
    publisher: &'a dyn Publisher,
    begun_at: Timestamp,
    pace: Duration,
    canary: Option<Duration>,
    /// The note of each group, by fingerprint.
    groups: HashMap<String, GroupReplay>,
    sent: Vec<Sent>,
    report: ReplayReport,
}

/// How a replay publishes.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) begun_at: Timestamp,
    /// The minimum time between two dead letters.
    pub(super) pace: Duration,
    /// How long a stage of a canary waits; `None` without a canary.
    pub(super) canary: Option<Duration>,
}

/// How many users of each group the note of its replay names.
const FOLLOWED: usize = 20;
/// How many users are read at the end, to report what became of them.
const READ_AT_THE_END: usize = 1000;

impl<'a> Run<'a> {
    pub(super) fn new(
        broker: &'a dyn Broker,
        checkpoints: &'a dyn Checkpoints,
        publisher: &'a dyn Publisher,
        manner: Manner,
        report: ReplayReport,
    ) -> Self {
        let Manner {
            begun_at,
            pace,
            canary,
        } = manner;
        Self {
            broker,
            checkpoints,
            publisher,
            begun_at,
            pace,
            canary,
            groups: HashMap::new(),
            sent: Vec::new(),
            report,
        }
    }

    /// Replays them. The report says what was done, also after a failure.
    pub(super) async fn replay(
        mut self,
        chosen: &[DeadLetter],
    ) -> (ReplayReport, Result<(), Failure>) {
        let ran = self.stages(chosen).await;
        let noted = self.note_groups().await;
        let followed = self.follow().await;
        (self.report.by_group(&followed), ran.and(noted))
    }

    async fn stages(&mut self, chosen: &[DeadLetter]) -> Result<(), Failure> {
        let Some(patience) = self.canary else {
            return self.stage(chosen).await;
        };

        let mut groups = GroupStages::of(chosen);
        for size in CANARY_STAGES {
            let mut stage = Vec::new();
            for group in &mut groups {
                stage.extend(group.stage(size));
            }
            let first = self.sent.len();
            self.stage(&stage).await?;
            groups.retain(|group| !group.rest.is_empty());
            if groups.is_empty() {
                break;
            }

            let has_rest = |sent: &&Sent| {
                let fault = &sent.dead_letter.fingerprint;
                groups.iter().any(|group| group.fingerprint == *fault)
            };
            let watched = self.sent.iter().skip(first).filter(has_rest);
            let stopped = watch(self.checkpoints, watched.collect(), patience).await?;
            for group in groups.extract_if(.., |group| stopped.contains_key(&group.fingerprint)) {
                let why = stopped.get(&group.fingerprint).cloned();
                self.report.stop(group, &why.unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn stage(&mut self, stage: &[DeadLetter]) -> Result<(), Failure> {
        let mut scan = SetScan::new(self.broker, stage);
        let mut due = Instant::now();
        while let Some((dead_letter, delivery)) = scan.next().await? {
            tokio::time::sleep_until(due).await;
            due = Instant::now() + self.pace;
            match self.one(&dead_letter, &delivery).await? {
                Some(one) => {
                    self.report.moved.push(dead_letter);
                    self.count_in_group(&one).await?;
                    self.sent.push(one);
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
        Ok(())
    }

    /// Counts a published message, and notes whom to read to find out what became of it.
    async fn count_in_group(&mut self, sent: &Sent) -> Result<(), Failure> {
        let fingerprint = &sent.dead_letter.fingerprint;
        let group = self.groups.entry(fingerprint.clone());
        let group = group.or_insert_with(|| GroupReplay {
            at: self.begun_at,
            count: 0,
            followed: Vec::new(),
        });
        group.count += 1;
        if group.followed.len() < FOLLOWED
            && let Some(followed) = &sent.followed
        {
            group.followed.push(followed.clone());
            let noting = self.checkpoints.note_group_replay(fingerprint, group);
            noting.await?;
        }
        Ok(())
    }

    /// Notes how many messages of each group were published, where that is more than was noted with the last user.
    async fn note_groups(&self) -> Result<(), Failure> {
        let more = |group: &GroupReplay| group.count > group.followed.len() as u64;
        for (fingerprint, group) in self.groups.iter().filter(|(_, group)| more(group)) {
            let noting = self.checkpoints.note_group_replay(fingerprint, group);
            noting.await?;
        }
        Ok(())
    }

    /// What is known of the replayed messages now, by dead letter. What cannot be read is not known.
    async fn follow(&self) -> HashMap<DeadLetterId, ReplayOutcome> {
        let mut known = HashMap::new();
        for sent in self.sent.iter().take(READ_AT_THE_END) {
            if sent.followed.is_none() {
                continue;
            }
            match sent.outcome(self.checkpoints).await {
                Ok(outcome) => known.insert(sent.dead_letter.id.clone(), outcome),
                Err(failure) => {
                    tracing::warn!(%failure, "it is unknown what became of replayed dead letters");
                    break;
                }
            };
        }
        known
    }

    /// Publishes the message, then takes the dead letter off. `None` if an earlier replay had published it.
    async fn one(
        &self,
        dead_letter: &DeadLetter,
        delivery: &Delivery,
    ) -> Result<Option<Sent>, Failure> {
        let checkpoints = self.checkpoints;
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

        let mut added = headers(dead_letter, checkpoint.as_ref(), self.begun_at);
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

/// The number of replays, the fault and the time of this one, and the time up to which the message answers dead letters:
/// a worker that gave the user up after one copy drops a second copy.
fn headers(
    dead_letter: &DeadLetter,
    checkpoint: Option<&Checkpoint>,
    begun_at: Timestamp,
) -> AddedHeaders {
    let latest = checkpoint
        .and_then(|checkpoint| checkpoint.dead_letter.as_ref())
        .map(|dead| dead.at);
    let at: Option<Timestamp> = dead_letter.dead_lettered_at.max(latest);
    // The header has milliseconds, so the dead letter is older than the next one.
    let since = at.and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok());
    let since = since.map(|since| (PLACEHOLDER_SINCE, since.as_millisecond().into()));
    since
        .into_iter()
        .chain([
            (
                dead_letter::REPLAYS,
                dead_letter.replays.saturating_add(1).into(),
            ),
            (
                dead_letter::REPLAYED_FAULT,
                dead_letter.fingerprint.as_str().into(),
            ),
            (dead_letter::REPLAYED_AT, begun_at.to_string().into()),
        ])
        .collect()
}

#[cfg(test)]
#[path = "replay_run_tests.rs"]
mod tests;
