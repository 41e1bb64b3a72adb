//! What a replay did, by dead letter and by group.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::outcome::ReplayOutcome;
use super::{DeadLetter, DeadLetterId};

/// What a replay did. Dead letters that it does not name are unchanged
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayReport {
    /// Published again, and taken off the queue.
    pub moved: Vec<DeadLetter>,
    /// Taken off the queue, because an earlier replay that was interrupted had published them.
    pub cleared: Vec<DeadLetter>,
    /// Left in the queue.
    pub skipped: Vec<Skipped>,
    /// Why the replay of a group ended early, if one did.
    pub stopped: Option<String>,
    /// The same by group; the largest one first.
    pub groups: Vec<GroupReport>,
    /// Why the replay of each group ended early, by fingerprint.
    #[serde(skip)]
    pub(super) stops: BTreeMap<String, String>,
}

/// A dead letter that was left in the queue
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Skipped {
    #[serde(rename = "letter")]
    pub dead_letter: DeadLetter,
    /// Why it was skipped.
    pub why: String,
}

/// What a replay did to the dead letters of one group
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupReport {
    /// The fingerprint of the group.
    pub group: String,
    /// The failure code, or the reason if there is no code.
    pub code: String,
    /// The step that failed; empty if unknown.
    pub step: String,
    /// Published again, and taken off the queue.
    pub moved: usize,
    /// Taken off the queue, because an earlier replay had published them.
    pub cleared: usize,
    /// Left in the queue.
    pub skipped: usize,
    /// Why the first one of them was left in the queue; empty if none was.
    pub why: String,
    /// Why the replay of this group ended early, if it did.
    pub stopped: Option<String>,
    /// Of those that were moved: passed the step that had failed, when the replay ended.
    pub got_past: usize,
    /// Of those that were moved: met the same fault again.
    pub came_back: usize,
    /// Of those that were moved: wait for a guard, or have another fault.
    pub otherwise: usize,
    /// Of those that were moved: not known yet.
    pub open: usize,
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

impl GroupReport {
    fn of(dead_letter: &DeadLetter) -> Self {
        Self {
            group: dead_letter.fingerprint.clone(),
            code: dead_letter.word().to_owned(),
            step: dead_letter.step.clone(),
            moved: 0,
            cleared: 0,
            skipped: 0,
            why: String::new(),
            stopped: None,
            got_past: 0,
            came_back: 0,
            otherwise: 0,
            open: 0,
        }
    }

    const fn count(&mut self, outcome: Option<&ReplayOutcome>) {
        match outcome {
            None | Some(ReplayOutcome::Open) => self.open += 1,
            Some(ReplayOutcome::Past) => self.got_past += 1,
            Some(ReplayOutcome::Otherwise) => self.otherwise += 1,
            Some(ReplayOutcome::Back(_)) => self.came_back += 1,
        }
    }
}

impl ReplayReport {
    /// Notes why the replay of a group ends early.
    pub(super) fn stop(&mut self, fingerprint: &str, why: &str) {
        self.stops.insert(fingerprint.to_owned(), why.to_owned());
        let all: Vec<&str> = self.stops.values().map(String::as_str).collect();
        self.stopped = Some(all.join("; "));
    }

    /// Notes why the whole replay ends early.
    pub(super) fn stop_all(&mut self, why: &str) {
        let groups = self.stopped.take();
        let all = groups.into_iter().chain([why.to_owned()]);
        self.stopped = Some(all.collect::<Vec<_>>().join("; "));
    }

    /// The same, with the counts of each group. `outcomes` says what is known of those that were moved.
    pub(super) fn by_group(mut self, outcomes: &HashMap<DeadLetterId, ReplayOutcome>) -> Self {
        let mut groups: BTreeMap<&str, GroupReport> = BTreeMap::new();
        for dead_letter in &self.moved {
            let group = group_of(&mut groups, dead_letter);
            group.moved += 1;
            group.count(outcomes.get(&dead_letter.id));
        }
        for dead_letter in &self.cleared {
            group_of(&mut groups, dead_letter).cleared += 1;
        }
        for Skipped { dead_letter, why } in &self.skipped {
            let group = group_of(&mut groups, dead_letter);
            if group.skipped == 0 {
                group.why.clone_from(why);
            }
            group.skipped += 1;
        }
        for (fingerprint, group) in &mut groups {
            group.stopped = self.stops.get(*fingerprint).cloned();
        }

        let mut groups: Vec<GroupReport> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.moved + group.cleared + group.skipped));
        self.groups = groups;
        self
    }
}

fn group_of<'a, 'b>(
    groups: &'b mut BTreeMap<&'a str, GroupReport>,
    dead_letter: &'a DeadLetter,
) -> &'b mut GroupReport {
    groups
        .entry(dead_letter.fingerprint.as_str())
        .or_insert_with(|| GroupReport::of(dead_letter))
}
