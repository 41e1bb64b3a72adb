//! Groups dead letters by fault.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::scan::DeadLetterScan;
use super::{Assessment, Assessor, DeadLetter, DeadLetterFilter, ReplaySafety};
use crate::failure::Reason;
use crate::ports::queue::Broker;
use crate::queue::QueueError;

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
    /// The number of dead letters that came back after a replay.
    pub replayed_before: usize,
    /// Whether it is safe now to replay all dead letters that were assessed.
    pub safe: bool,
    /// The assessment of the dead letter that is the least safe.
    #[serde(rename = "judgement")]
    pub assessment: Assessment,
    /// The number of dead letters that were assessed: the first ones of the group.
    #[serde(rename = "judged")]
    pub assessed: usize,
    #[serde(skip)]
    sample: Vec<DeadLetter>,
}

/// The number of dead letters of each group that are assessed.
const SAMPLE: usize = 10;

/// Counts the dead letters that match by fault, and assesses a sample of each group; largest group first.
pub(crate) async fn groups(
    broker: &dyn Broker,
    filter: &DeadLetterFilter,
    assessor: &Assessor,
) -> Result<Vec<Group>, QueueError> {
    let mut groups: BTreeMap<(Reason, String), Group> = BTreeMap::new();
    let mut scan = DeadLetterScan::begin(broker).await?;
    let mut taken = 0;
    while let Some((dead_letter, _delivery)) = scan.next().await? {
        if !filter.matches(&dead_letter) {
            continue;
        }
        let key = (dead_letter.reason, dead_letter.fingerprint.clone());
        groups
            .entry(key)
            .or_insert_with(|| Group::of(&dead_letter))
            .add(dead_letter);
        taken += 1;
        if filter.limit.is_some_and(|limit| taken >= limit) {
            break;
        }
    }
    scan.close().await?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        for dead_letter in std::mem::take(&mut group.sample) {
            group.take_in(assessor.assess(&dead_letter).await);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(groups)
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
            safe: true,
            assessment: Assessment {
                safety: ReplaySafety::LeftOver,
                why: String::new(),
            },
            assessed: 0,
            sample: Vec::new(),
        }
    }

    fn add(&mut self, dead_letter: DeadLetter) {
        self.count += 1;
        self.replayed_before += usize::from(dead_letter.replays > 0);
        if let Some(at) = dead_letter.dead_lettered_at {
            self.first_seen = Some(self.first_seen.map_or(at, |first| first.min(at)));
            self.last_seen = Some(self.last_seen.map_or(at, |last| last.max(at)));
        }
        if self.sample.len() < SAMPLE {
            self.sample.push(dead_letter);
        }
    }

    fn take_in(&mut self, assessment: Assessment) {
        self.assessed += 1;
        self.assessment = assessment.max(self.assessment.clone());
        self.safe = self.assessment.safety <= ReplaySafety::Safe;
    }
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::queue::headers::dead_letter;

    #[test]
    fn a_group_has_its_times_and_is_as_safe_as_its_least_safe_dead_letter() {
        let dead_letter = |at: &str, replays| {
            let headers = vec![
                (dead_letter::AT, at.into()),
                (dead_letter::REPLAYS, i64::from(replays).into()),
            ];
            DeadLetter::read(&envelope("x", headers))
        };
        let mut group = Group::of(&dead_letter("2026-11-02T00:00:00Z", 0));
        for (day, replays) in [(2, 0), (1, 1), (3, 0)] {
            group.add(dead_letter(&format!("2026-11-0{day}T00:00:00Z"), replays));
        }
        let seen = [group.first_seen, group.last_seen].map(|at| at.unwrap().to_string());
        assert_eq!(seen, ["2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"]);
        assert_eq!((group.count, group.replayed_before), (3, 1));
        let assessment = |safety| Assessment {
            safety,
            why: format!("{safety:?}"),
        };
        group.take_in(assessment(ReplaySafety::Safe));
        assert!(group.safe);
        group.take_in(assessment(ReplaySafety::NotYet));
        group.take_in(assessment(ReplaySafety::Safe));
        assert_eq!(
            (group.safe, group.assessment.why.as_str(), group.assessed),
            (false, "NotYet", 3)
        );
    }
}
