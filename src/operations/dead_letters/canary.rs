//! Watches what becomes of replayed dead letters, so that a replay of a group stops when its fault comes back.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::DeadLetter;
use super::outcome::{ReplayOutcome, Sent};
use crate::failure::Failure;
use crate::operations::tracker::{Interruption, Tracker};
use crate::ports::Checkpoints;

/// The number of dead letters in each stage of a group; the last stage is the rest.
pub(super) const CANARY_STAGES: [usize; 3] = [1, 10, usize::MAX];

const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The dead letters of one fault in a replay. The stages of all groups run side by side, and each group is judged by
/// itself.
pub(super) struct GroupStages {
    pub(super) fingerprint: String,
    /// Those that are not replayed yet.
    pub(super) rest: Vec<DeadLetter>,
}

impl GroupStages {
    /// By fault, in the order of the first dead letter of each.
    pub(super) fn of(chosen: &[DeadLetter]) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for dead_letter in chosen {
            let fingerprint = dead_letter.fingerprint.as_str();
            let place = *places.entry(fingerprint).or_insert_with(|| {
                groups.push(Self {
                    fingerprint: fingerprint.to_owned(),
                    rest: Vec::new(),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(place) {
                group.rest.push(dead_letter.clone());
            }
        }
        groups
    }

    /// Takes the next stage out of the rest.
    pub(super) fn stage(&mut self, size: usize) -> Vec<DeadLetter> {
        let size = size.min(self.rest.len());
        self.rest.drain(..size).collect()
    }

    /// Takes the next one out of the rest whose user shows what becomes of it.
    pub(super) fn next_with_user(&mut self) -> Option<DeadLetter> {
        let place = self.rest.iter().position(|one| one.user_id.is_some())?;
        Some(self.rest.remove(place))
    }
}

/// What a watch saw.
pub(super) enum Watched {
    /// Why groups have to stop, by their fingerprint.
    Judged(HashMap<String, String>),
    Interrupted(Interruption),
}

/// Waits until all of these users have passed the step that had failed, or their group has to stop.
pub(super) async fn watch(
    checkpoints: &dyn Checkpoints,
    sent: Vec<&Sent>,
    patience: Duration,
    tracker: &Tracker,
) -> Result<Watched, Failure> {
    let mut stopped: HashMap<String, String> = HashMap::new();
    let mut waiting = sent;
    let until = Instant::now() + patience;
    loop {
        let mut open = Vec::new();
        for one in waiting {
            let fault = &one.dead_letter.fingerprint;
            if stopped.contains_key(fault) {
                continue;
            }
            match one.outcome(checkpoints).await? {
                ReplayOutcome::Open => open.push(one),
                ReplayOutcome::Past | ReplayOutcome::Otherwise => {}
                ReplayOutcome::Back(error) => {
                    let user = one.dead_letter.user_id.map(|user| user.to_string());
                    let whose = user.unwrap_or_default();
                    let why = format!("the fault came back for {whose}: {error}");
                    stopped.insert(fault.clone(), why);
                }
            }
        }
        open.retain(|one| !stopped.contains_key(&one.dead_letter.fingerprint));
        if open.is_empty() {
            return Ok(Watched::Judged(stopped));
        }
        if Instant::now() >= until {
            stopped.extend(too_slow(&open, patience));
            return Ok(Watched::Judged(stopped));
        }
        waiting = open;
        if let Some(interruption) = tracker.wait(POLL_INTERVAL).await {
            return Ok(Watched::Interrupted(interruption));
        }
    }
}

fn too_slow(open: &[&Sent], patience: Duration) -> HashMap<String, String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for one in open {
        *counts.entry(&one.dead_letter.fingerprint).or_default() += 1;
    }
    let why = |count: usize| {
        format!(
            "{count} did not pass the step within {} s: is a worker running?",
            patience.as_secs()
        )
    };
    counts
        .into_iter()
        .map(|(fault, count)| (fault.to_owned(), why(count)))
        .collect()
}
