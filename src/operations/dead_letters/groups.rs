//! Groups dead letters by fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::assess::Assessor;
use super::error::DeadLetterError;
use super::handling::InQueueNow;
use super::next;
use super::pick::with_whole_groups;
use super::scan::DeadLetterScan;
use super::seen::{CameBack, LastReplay, SeenInQueue, SeenReplays};
use super::tally::AccessTally;
use super::{
    AccessCounts, Assessment, DeadLetter, DeadLetterFilter, GroupState, Handling, ReplaySafety,
};
use crate::failure::Reason;
use crate::ports::queue::Broker;
use crate::queue::QueueError;
use crate::registers::stored_groups;
use crate::steps::Services;

/// Dead letters of one fault
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    /// The reason of the dead letters.
    pub reason: Reason,
    /// The failure code, or the reason if there is no code.
    pub code: &'static str,
    /// The step that failed; empty if unknown.
    pub step: String,
    /// Identifies the fault.
    pub fingerprint: String,
    /// The error of one of the dead letters.
    pub error: String,
    /// The number of dead letters.
    #[serde(rename = "letters")]
    pub count: usize,
    /// The time of the first dead letter.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_seen: Option<Timestamp>,
    /// The time of the last dead letter.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// The number of dead letters that were replayed before.
    pub replayed_before: usize,
    /// The dead letters that came back with this fault after a replay; null if none did.
    pub came_back: Option<CameBack>,
    /// The last replay of this fault; null if none is known.
    pub last_replay: Option<LastReplay>,
    /// How many of the users still have access.
    pub access: AccessCounts,
    /// What operators decided about the group.
    pub handling: Handling,
    /// Whether it is safe now to replay all dead letters of the group. Never if some were not assessed.
    pub safe: bool,
    /// The assessment of the dead letter that is the least safe.
    #[serde(rename = "judgement")]
    pub assessment: Assessment,
    /// The number of dead letters that were assessed: the first ones of the group.
    #[serde(rename = "judged")]
    pub assessed: usize,
    /// The command to run next.
    pub next: String,
}

/// The number of dead letters of each group that are assessed.
const SAMPLE: usize = 10;

/// A group during the scan.
struct Draft {
    group: Group,
    sample: Vec<DeadLetter>,
    access: AccessTally,
}

/// All dead letters of a fault during the scan, whatever the filter is.
#[derive(Default)]
struct Whole {
    access: AccessTally,
    count: usize,
    last_seen: Option<Timestamp>,
}

/// Counts the dead letters that match by fault, and assesses a sample of each group. Open groups come first, the largest
/// one at the top.
pub(crate) async fn groups(
    broker: &dyn Broker,
    services: &Arc<Services>,
    filter: DeadLetterFilter,
) -> Result<Vec<Group>, DeadLetterError> {
    let filter = with_whole_groups(broker, filter).await?;
    let scanned = scan(broker, &filter).await?;
    let checkpoints = &*services.checkpoints;
    let seen = SeenReplays::read(checkpoints, scanned.seen).await;
    let assessor = Assessor::new(services, &seen);
    let stored = stored_groups(&*services.archive_store).await;
    let now = services.clock.now();

    let mut whole = scanned.whole;
    let mut groups = Vec::new();
    for (fingerprint, draft) in scanned.drafts {
        let mut group = draft.group;
        for dead_letter in draft.sample {
            group.take_in(assessor.assess(&dead_letter).await);
        }
        group.access = draft.access.counts(checkpoints).await;
        let all = whole.remove(&fingerprint).unwrap_or_default();
        let queue = InQueueNow {
            count: all.count,
            access: if filter.is_empty() {
                group.access
            } else {
                all.access.counts(checkpoints).await
            },
            last_seen: all.last_seen,
        };
        group.handling = match &stored {
            Ok(stored) => Handling::of(stored.get(&fingerprint), queue, now),
            Err(failure) => Handling::unknown(failure.to_string()),
        };
        if let Some(seen) = seen.of(&fingerprint) {
            group.came_back = seen.came_back();
            group.last_replay.clone_from(&seen.last);
        }
        group.next = next::for_group(
            group.assessment.safety,
            group.reason,
            group.code,
            &fingerprint,
        );
        groups.push(group);
    }
    groups.sort_by_key(|group| (group.handling.state, std::cmp::Reverse(group.count)));
    Ok(groups)
}

struct Scanned {
    drafts: BTreeMap<String, Draft>,
    whole: BTreeMap<String, Whole>,
    seen: SeenInQueue,
}

async fn scan(broker: &dyn Broker, filter: &DeadLetterFilter) -> Result<Scanned, QueueError> {
    let mut scanned = Scanned {
        drafts: BTreeMap::new(),
        whole: BTreeMap::new(),
        seen: SeenInQueue::new(),
    };
    let mut taken = 0;
    let mut scan = DeadLetterScan::begin(broker).await?;
    while let Some((dead_letter, _delivery)) = scan.next().await? {
        let fingerprint = dead_letter.fingerprint.clone();
        let seen = scanned.seen.entry(fingerprint.clone()).or_default();
        seen.add(&dead_letter);
        let whole = scanned.whole.entry(fingerprint.clone()).or_default();
        whole.add(&dead_letter);
        if filter.limit.is_none_or(|limit| taken < limit) && filter.matches(&dead_letter) {
            taken += 1;
            let draft = scanned.drafts.entry(fingerprint);
            draft
                .or_insert_with(|| Draft::of(&dead_letter))
                .add(dead_letter);
        }
    }
    scan.close().await?;

    let drafts = &scanned.drafts;
    scanned
        .seen
        .retain(|fingerprint, _| drafts.contains_key(fingerprint));
    Ok(scanned)
}

impl Whole {
    fn add(&mut self, dead_letter: &DeadLetter) {
        self.count += 1;
        self.access.add(dead_letter);
        self.last_seen = self.last_seen.max(dead_letter.dead_lettered_at);
    }
}

impl Draft {
    fn of(dead_letter: &DeadLetter) -> Self {
        Self {
            group: Group::of(dead_letter),
            sample: Vec::new(),
            access: AccessTally::default(),
        }
    }

    fn add(&mut self, dead_letter: DeadLetter) {
        let group = &mut self.group;
        group.count += 1;
        group.replayed_before += usize::from(dead_letter.replays > 0);
        if let Some(at) = dead_letter.dead_lettered_at {
            group.first_seen = Some(group.first_seen.map_or(at, |first| first.min(at)));
            group.last_seen = Some(group.last_seen.map_or(at, |last| last.max(at)));
        }
        self.access.add(&dead_letter);
        if self.sample.len() < SAMPLE {
            self.sample.push(dead_letter);
        }
    }
}

impl Group {
    fn of(dead_letter: &DeadLetter) -> Self {
        Self {
            reason: dead_letter.reason,
            code: dead_letter.word(),
            step: dead_letter.step.clone(),
            fingerprint: dead_letter.fingerprint.clone(),
            error: dead_letter.error.clone(),
            count: 0,
            first_seen: None,
            last_seen: None,
            replayed_before: 0,
            came_back: None,
            last_replay: None,
            access: AccessCounts::default(),
            handling: Handling::unknown(String::new()),
            safe: false,
            assessment: Assessment::new(ReplaySafety::LeftOver, ""),
            assessed: 0,
            next: String::new(),
        }
    }

    fn take_in(&mut self, assessment: Assessment) {
        self.assessed += 1;
        self.assessment = assessment.max(self.assessment.clone());
        self.safe = self.assessed == self.count && self.assessment.safety <= ReplaySafety::Safe;
    }

    /// Whether somebody has to act.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.handling.state, GroupState::Open | GroupState::Unknown)
    }

    /// The verdict for people: never `yes` for dead letters that were not assessed.
    pub(crate) fn verdict(&self) -> String {
        let Assessment { safety, why } = &self.assessment;
        let judged = if self.assessed == self.count {
            String::new()
        } else {
            format!(" (judged {} of {})", self.assessed, self.count)
        };
        let word = match safety {
            ReplaySafety::LeftOver | ReplaySafety::Safe if self.assessed < self.count => {
                format!("yes for {} of {}", self.assessed, self.count)
            }
            other => format!("{}{judged}", other.as_str()),
        };
        format!("{word}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::queue::headers::dead_letter;

    fn draft(count: i8) -> Draft {
        let dead_letter = |day: i8, replays: i64| {
            let headers = vec![
                (
                    dead_letter::AT,
                    format!("2026-11-{day:02}T00:00:00Z").into(),
                ),
                (dead_letter::REPLAYS, replays.into()),
            ];
            DeadLetter::read(&envelope("x", headers))
        };
        let mut draft = Draft::of(&dead_letter(2, 0));
        for day in (1..=count).rev() {
            draft.add(dead_letter(day, i64::from(day == 1)));
        }
        draft
    }

    #[test]
    fn a_group_has_its_times_and_is_as_safe_as_its_least_safe_dead_letter() {
        let mut group = draft(3).group;
        let seen = [group.first_seen, group.last_seen].map(|at| at.unwrap().to_string());
        assert_eq!(seen, ["2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"]);
        assert_eq!((group.count, group.replayed_before), (3, 1));
        let assessment = |safety| Assessment::new(safety, format!("{safety:?}"));
        group.take_in(assessment(ReplaySafety::NotYet));
        group.take_in(assessment(ReplaySafety::Safe));
        group.take_in(assessment(ReplaySafety::Safe));
        assert_eq!(
            (group.safe, group.verdict().as_str(), group.assessed),
            (false, "no: NotYet", 3)
        );
    }

    #[test]
    fn a_verdict_is_never_yes_for_dead_letters_that_were_not_assessed() {
        let mut draft = draft(13);
        assert_eq!(draft.sample.len(), SAMPLE);
        for _ in 0..SAMPLE {
            let safe = Assessment::new(ReplaySafety::Safe, "seen");
            draft.group.take_in(safe);
        }
        assert!(!draft.group.safe);
        assert_eq!(draft.group.verdict(), "yes for 10 of 13: seen");
        let back = Assessment::new(ReplaySafety::CameBack, "came back");
        draft.group.assessment = back;
        assert_eq!(draft.group.verdict(), "no (judged 10 of 13): came back");
    }

    #[test]
    fn three_of_three_are_safe() {
        let mut group = draft(3).group;
        for _ in 0..3 {
            assert!(!group.safe);
            group.take_in(Assessment::new(ReplaySafety::Safe, "seen"));
        }
        assert!(group.safe);
        assert_eq!(group.verdict(), "yes: seen");
    }
}
