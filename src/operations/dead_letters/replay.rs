use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::canary::{CANARY_STAGES, Sent};
use super::sweep::Sweep;
use super::{Judge, Judgement, Letter, Pick, Verdict, is_left_over};
use crate::failure::{Class, Failure};
use crate::job::Source;
use crate::machine::Checkpoint;
use crate::ports::Checkpoints;
use crate::ports::queue::{Broker, Delivery, Publisher};
use crate::queue::headers::{PLACEHOLDER_SINCE, dead_letter};
use crate::queue::names::JOBS_EXCHANGE;
use crate::queue::{AddedHeaders, Envelope, replayed, without_dead_letter};
use crate::registers::audit_log::{AuditLog, Change, Operator};

/// A replay of letters that were looked at before.
pub(crate) struct Replay<'a> {
    /// Where the letters are.
    pub broker: &'a dyn Broker,
    /// Where notes go, and where it is seen what becomes of a canary.
    pub checkpoints: &'a dyn Checkpoints,
    /// The least time between two.
    pub pace: Option<Duration>,
    /// First 1, then 10, then the rest, each when those before got past the step that failed; and how long to
    /// wait for that.
    pub canary: Option<Duration>,
}

/// What a replay did. What it does not name stayed as it was.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Published, and taken off.
    pub moved: Vec<Letter>,
    /// Taken off: an earlier replay, which was cut short, had published them.
    pub cleared: Vec<Letter>,
    /// Left where they are.
    pub skipped: Vec<Skipped>,
    /// Why it ended before the end, if it did.
    pub stopped: Option<String>,
}

/// A letter that was left where it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Skipped {
    /// Which.
    pub letter: Letter,
    /// Why.
    pub why: String,
}

/// What a replay did, or would do, as it is told.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayTold<'a> {
    /// Nothing was changed.
    pub dry_run: bool,
    /// What became of each letter.
    #[serde(flatten)]
    pub report: &'a Report,
    /// Why it was cut short, if it was.
    pub error: Option<&'a str>,
}

/// Tells those that may be replayed from the others, `anyway` all of them.
pub(super) fn may_go(judgement: &Judgement, canary: bool, anyway: bool) -> bool {
    match judgement.verdict {
        Verdict::LeftOver | Verdict::Safe => true,
        Verdict::Unproven => canary || anyway,
        Verdict::Answered | Verdict::NotYet => anyway,
    }
}

impl Replay<'_> {
    /// Judges each letter; those that are not to be replayed now go into the report. `anyway` replays them too.
    pub(crate) async fn choose(
        &self,
        judge: &Judge,
        letters: Vec<Letter>,
        anyway: bool,
        report: &mut Report,
    ) -> Vec<Letter> {
        let mut chosen = Vec::new();
        for letter in letters {
            let judgement = judge.judge(&letter).await;
            if may_go(&judgement, self.canary.is_some(), anyway) {
                chosen.push(letter);
            } else {
                report.skipped.push(Skipped {
                    letter,
                    why: judgement.why,
                });
            }
        }
        chosen
    }

    /// The same as [`Self::run`], in the log of acts: that it begins, and how it ended.
    pub(crate) async fn on_record(
        &self,
        audit_log: &AuditLog,
        by: &Operator,
        (pick, anyway): (&Pick, bool),
        letters: Vec<Letter>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let details =
            json!({ "of": pick.told(), "canary": self.canary.is_some(), "anyway": anyway });
        let change = Change {
            what: "dead-letters replay",
            count: letters.len(),
            details,
        };
        let begun = audit_log.record(by, change).await?;
        let result = self.run(letters, report).await;
        let error = result.as_ref().err().map(ToString::to_string);
        let details = json!({
            "act": begun.id(), "cleared": report.cleared.len(), "skipped": report.skipped.len(),
            "stopped": report.stopped, "error": error,
        });
        let change = Change {
            what: "dead-letters replay ended",
            count: report.moved.len(),
            details,
        };
        let recorded = audit_log.record(by, change).await;
        result.and(recorded.map(|_recorded| ()))
    }

    /// Replays these letters and no others. On an error the report tells how far it got; doing it again goes on.
    pub(crate) async fn run(
        &self,
        letters: Vec<Letter>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let publisher = self.broker.publisher(1);
        let result = self.stages(&*publisher, letters, report).await;
        publisher.close().await;
        result
    }

    async fn stages(
        &self,
        publisher: &dyn Publisher,
        letters: Vec<Letter>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let Some(patience) = self.canary else {
            return self
                .stage(publisher, &letters, report)
                .await
                .map(|_sent| ());
        };
        let mut rest = letters.as_slice();
        for size in CANARY_STAGES {
            let (stage, after) = rest.split_at(size.min(rest.len()));
            let sent = self.stage(publisher, stage, report).await?;
            rest = after;
            if rest.is_empty() {
                break;
            }
            if let Err(why) = self.watch(sent, &letters, patience).await? {
                let skipped = |letter: &Letter| Skipped {
                    letter: letter.clone(),
                    why: why.clone(),
                };
                report.skipped.extend(rest.iter().map(skipped));
                report.stopped = Some(why);
                break;
            }
        }
        Ok(())
    }

    async fn stage(
        &self,
        publisher: &dyn Publisher,
        letters: &[Letter],
        report: &mut Report,
    ) -> Result<Vec<Sent>, Failure> {
        let mut sweep = Sweep::new(self.broker, letters);
        let (mut sent, mut due) = (Vec::new(), Instant::now());
        while let Some((letter, delivery)) = sweep.next().await? {
            tokio::time::sleep_until(due).await;
            due = Instant::now() + self.pace.unwrap_or_default();
            match self.one(publisher, &letter, &delivery).await? {
                Some(one) => {
                    report.moved.push(letter);
                    sent.push(one);
                }
                None => report.cleared.push(letter),
            }
        }
        let missed = sweep.close().await?;
        let gone = letters
            .iter()
            .filter(|letter| missed.contains(&letter.id))
            .cloned();
        let why = "it is not in the queue any more: somebody else took it";
        report.skipped.extend(gone.map(|letter| Skipped {
            letter,
            why: why.to_owned(),
        }));
        Ok(sent)
    }

    /// Publishes, and then takes off; `None` when an earlier replay had published it.
    async fn one(
        &self,
        publisher: &dyn Publisher,
        letter: &Letter,
        delivery: &Delivery,
    ) -> Result<Option<Sent>, Failure> {
        if let Some(user_id) = letter.user_id {
            crate::failpoint::arm(&user_id.to_string());
        }
        if is_left_over(self.checkpoints, letter).await? {
            delivery.acknowledge().await?;
            return Ok(None);
        }
        let checkpoint = self.checkpoint(letter).await?;
        let sent = Sent::new(letter, checkpoint.as_ref());
        self.checkpoints
            .note_replay(letter.id.as_str(), &sent.note(false))
            .await?;
        let mut added = headers(letter, checkpoint.as_ref());
        let envelope = &delivery.envelope;
        added.extend(replayed(&envelope.properties));
        let properties = without_dead_letter(&envelope.properties, added);
        publisher
            .publish(JOBS_EXCHANGE, key(envelope), envelope.body(), &properties)
            .await?;
        self.checkpoints
            .note_replay(letter.id.as_str(), &sent.note(true))
            .await?;
        delivery.acknowledge().await?;
        Ok(Some(sent))
    }

    /// The user's checkpoint. One that cannot be understood is the worker's to judge.
    pub(super) async fn checkpoint(&self, letter: &Letter) -> Result<Option<Checkpoint>, Failure> {
        let Some(user_id) = letter.user_id else {
            return Ok(None);
        };
        match self.checkpoints.read(user_id).await {
            Ok(checkpoint) => Ok(checkpoint),
            Err(failure) if failure.class == Class::Systemic => Err(failure),
            Err(_unreadable) => Ok(None),
        }
    }
}

/// Where the message goes: to the queue that it was in.
fn key(envelope: &Envelope) -> &'static str {
    let known = Source::ALL
        .into_iter()
        .find(|source| source.routing_key() == envelope.routing_key);
    known.unwrap_or(Source::Users).routing_key()
}

/// How often it was replayed, and that only letters up to now are answered by it: a worker that gives the user
/// up after one copy drops a second.
fn headers(letter: &Letter, checkpoint: Option<&Checkpoint>) -> AddedHeaders {
    let latest = checkpoint
        .and_then(|checkpoint| checkpoint.dead_letter.as_ref())
        .map(|dead| dead.at);
    let at: Option<Timestamp> = letter.dead_lettered_at.max(latest);
    // A header tells milliseconds; the letter lies before the next one.
    let since = at.and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok());
    let since = since.map(|since| (PLACEHOLDER_SINCE, since.as_millisecond().into()));
    since
        .into_iter()
        .chain([(
            dead_letter::REPLAYS,
            letter.replays.saturating_add(1).into(),
        )])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::envelope;
    use super::*;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    #[test]
    fn a_replayed_message_keeps_what_was_the_publishers_and_nothing_of_the_letter() {
        let envelope = envelope(
            ID,
            vec![
                (dead_letter::REASON, "poison".into()),
                (dead_letter::ERROR, "x".into()),
                (dead_letter::STATE, "".into()),
                (dead_letter::ATTEMPTS, 3_i64.into()),
                (dead_letter::AT, "2026-11-01T00:00:00.0015Z".into()),
                (dead_letter::WORKER, "w".into()),
                (dead_letter::CODE, "panicked".into()),
                (dead_letter::STEP, "".into()),
                (dead_letter::REPLAYS, 1_i64.into()),
                (PLACEHOLDER_SINCE, 5_i64.into()),
                ("traceparent", "00-1-2-01".into()),
                ("x-offboarder-revision", 2_i64.into()),
            ],
        );
        let letter = Letter::read(&envelope);
        let properties = without_dead_letter(&envelope.properties, headers(&letter, None));
        let told: Vec<_> = properties
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_json().to_string()))
            .collect();
        let since = "1793491200002".to_owned();
        assert_eq!(
            told,
            [
                ("traceparent", "\"00-1-2-01\"".to_owned()),
                ("x-offboarder-replays", "2".to_owned()),
                ("x-offboarder-revision", "2".to_owned()),
                ("x-offboarder-stand-in", since),
            ]
        );
        let at = letter.dead_lettered_at.unwrap();
        assert!(Timestamp::from_millisecond(1_793_491_200_002).unwrap() > at);
    }

    #[test]
    fn a_canary_may_try_what_no_probe_can_show_and_nothing_else() {
        let may = |verdict, canary, anyway| {
            may_go(
                &Judgement {
                    verdict,
                    why: String::new(),
                },
                canary,
                anyway,
            )
        };
        for verdict in [Verdict::LeftOver, Verdict::Safe] {
            assert!(may(verdict, false, false));
        }
        assert!(!may(Verdict::Unproven, false, false) && may(Verdict::Unproven, true, false));
        for verdict in [Verdict::Answered, Verdict::NotYet] {
            assert!(!may(verdict, true, false) && may(verdict, false, true));
        }
    }
}
