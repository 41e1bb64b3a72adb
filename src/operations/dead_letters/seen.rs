//! What was seen of earlier replays. A verdict rests on this: a job is given up only because the probe of the service
//! succeeds, so a probe that succeeds proves nothing about the fault.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::DeadLetter;
use super::assessment::{Assessment, ReplaySafety};
use super::outcome::{ReplayOutcome, outcome};
use crate::failure::{Class, Failure};
use crate::ports::{Checkpoints, GroupReplay};

/// The dead letters of one fault in the queue, also those that a filter does not match.
#[derive(Debug, Clone, Default)]
pub(super) struct InQueue {
    /// Those that came back, by the time when their last replay began; earlier releases did not note it.
    came_back: BTreeMap<Option<Timestamp>, usize>,
    last_at: Option<Timestamp>,
}

/// By fingerprint.
pub(super) type SeenInQueue = HashMap<String, InQueue>;

impl InQueue {
    pub(super) fn add(&mut self, dead_letter: &DeadLetter) {
        if dead_letter.came_back {
            *self.came_back.entry(dead_letter.replayed_at).or_default() += 1;
            self.last_at = self.last_at.max(dead_letter.dead_lettered_at);
        }
    }
}

/// The last replay of a group, and what became of it
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastReplay {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The number of messages that it published.
    pub replayed: u64,
    /// The number of users whose checkpoints were read: the first ones.
    pub followed: usize,
    /// Of these: passed the step that had failed.
    pub got_past: usize,
    /// Of these: met the same fault again.
    pub came_back: usize,
    /// Of these: wait for a guard, or have another fault.
    pub otherwise: usize,
    /// Of these: no worker is done with them yet.
    pub open: usize,
}

/// Dead letters that were replayed and came back with the same fault
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CameBack {
    /// The number of them: those of the last replay if that is known, or else all in the queue.
    pub count: u64,
    /// The number of messages that the last replay published; null if that is not known any more.
    pub of: Option<u64>,
    /// When the last one became a dead letter again; null if it is not in the queue yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
}

/// What was seen of the replays of one fault.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    queue: InQueue,
    pub(super) last: Option<LastReplay>,
}

/// What was seen of the replays of each fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenReplays(HashMap<String, Seen>);

impl SeenReplays {
    /// Reads what became of the last replay of these faults. What cannot be read is no evidence.
    pub(super) async fn read(checkpoints: &dyn Checkpoints, queue: SeenInQueue) -> Self {
        let mut all = HashMap::new();
        for (fingerprint, queue) in queue {
            let last = match last_replay(checkpoints, &fingerprint).await {
                Ok(last) => last,
                Err(failure) => {
                    tracing::warn!(%failure, fingerprint, "it is unknown what became of the last replay");
                    None
                }
            };
            all.insert(fingerprint, Seen { queue, last });
        }
        Self(all)
    }

    pub(super) fn of(&self, fingerprint: &str) -> Option<&Seen> {
        self.0.get(fingerprint)
    }

    /// What earlier replays show about this dead letter, if they show anything.
    pub(super) fn verdict(&self, dead_letter: &DeadLetter) -> Option<Assessment> {
        self.of(&dead_letter.fingerprint)?.verdict(dead_letter)
    }
}

impl Seen {
    /// The dead letters that came back, if there are any.
    pub(super) fn came_back(&self) -> Option<CameBack> {
        let Some(last) = &self.last else {
            let count = self.queue.came_back.values().sum::<usize>();
            return (count > 0).then_some(CameBack {
                count: count as u64,
                of: None,
                last_at: self.queue.last_at,
            });
        };
        let count = (self.back_since(last) as u64).min(last.replayed);
        (count > 0).then(|| CameBack {
            count,
            of: Some(last.replayed),
            last_at: self.queue.last_at.filter(|at| *at >= last.at),
        })
    }

    /// How many of the last replay came back, by their own headers or by the checkpoints of their users.
    fn back_since(&self, last: &LastReplay) -> usize {
        let in_queue = self.queue.came_back.get(&Some(last.at)).copied();
        in_queue.unwrap_or_default().max(last.came_back)
    }

    fn verdict(&self, dead_letter: &DeadLetter) -> Option<Assessment> {
        let at = dead_letter.dead_lettered_at;
        // A dead letter of the last replay is newer than it, whatever the clocks of two machines say.
        let is_older = |last: &&LastReplay| {
            dead_letter.replayed_at != Some(last.at) && at.is_some_and(|at| last.at > at)
        };
        let later = self.last.as_ref().filter(is_older);

        if let Some(last) = later
            && last.got_past > 0
            && last.otherwise == 0
            && self.back_since(last) == 0
        {
            let why = format!(
                "{} of {} of the last replay, of {:.0}, got past the step",
                last.got_past, last.replayed, last.at
            );
            return Some(Assessment::new(ReplaySafety::Safe, why));
        }

        let after_it = self.queue.last_at > at;
        let came_back = dead_letter.came_back
            || later.is_some_and(|last| self.back_since(last) > 0)
            || (after_it && later.is_none());
        came_back.then(|| Assessment::new(ReplaySafety::CameBack, self.came_back_text(at)))
    }

    fn came_back_text(&self, at: Option<Timestamp>) -> String {
        let seen = self.came_back();
        let last_at = seen.as_ref().and_then(|seen| seen.last_at).or(at);
        let last = last_at.map_or_else(String::new, |at| format!(", last at {at:.0}"));
        let counts = match seen {
            Some(CameBack {
                count,
                of: Some(of),
                ..
            }) => format!(" for {count} of {of}"),
            Some(CameBack { count, .. }) => format!(" for {count}"),
            None => String::new(),
        };
        format!("came back{counts} after a replay{last}: fix the cause, then replay with a canary")
    }
}

async fn last_replay(
    checkpoints: &dyn Checkpoints,
    fingerprint: &str,
) -> Result<Option<LastReplay>, Failure> {
    let Some(replay) = checkpoints.group_replay(fingerprint).await? else {
        return Ok(None);
    };
    let mut last = LastReplay::of(&replay);
    for user in &replay.followed {
        let checkpoint = match checkpoints.read(user.user_id).await {
            Ok(checkpoint) => checkpoint,
            Err(failure) if failure.class == Class::Systemic => return Err(failure),
            Err(_unreadable) => None,
        };
        last.count(&outcome(user, fingerprint, checkpoint.as_ref()));
    }
    Ok(Some(last))
}

impl LastReplay {
    const fn of(replay: &GroupReplay) -> Self {
        Self {
            at: replay.at,
            replayed: replay.count,
            followed: replay.followed.len(),
            got_past: 0,
            came_back: 0,
            otherwise: 0,
            open: 0,
        }
    }

    const fn count(&mut self, outcome: &ReplayOutcome) {
        match outcome {
            ReplayOutcome::Open => self.open += 1,
            ReplayOutcome::Past => self.got_past += 1,
            ReplayOutcome::Otherwise => self.otherwise += 1,
            ReplayOutcome::Back(_) => self.came_back += 1,
        }
    }
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
