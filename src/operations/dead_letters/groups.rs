use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Judge, Judgement, Letter, Pass, Pick, Verdict};
use crate::failure::Reason;
use crate::ports::queue::Broker;
use crate::queue::QueueError;

/// Letters of one fault.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    /// Why they were given up.
    pub reason: Reason,
    /// The code, or the reason of what has none.
    pub code: &'static str,
    /// The step that failed; empty when it is not known.
    pub step: String,
    /// What tells this fault from others.
    pub fingerprint: String,
    /// One of the errors.
    pub error: String,
    /// How many there are.
    pub letters: usize,
    /// When the first was given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_seen: Option<Timestamp>,
    /// When the last was given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<Timestamp>,
    /// How many of them came back from a replay.
    pub replayed_before: usize,
    /// Whether a replay of all that were judged is safe now.
    pub safe: bool,
    /// The worst that a letter was judged, and why.
    pub judgement: Judgement,
    /// How many were judged: a sample of each group, the first ones.
    pub judged: usize,
    #[serde(skip)]
    sample: Vec<Letter>,
}

/// Letters of each group that are judged.
const SAMPLE: usize = 10;

/// Counts the letters that are meant, by fault, and judges each fault; the largest group first.
pub(crate) async fn groups(
    broker: &dyn Broker,
    pick: &Pick,
    judge: &Judge,
) -> Result<Vec<Group>, QueueError> {
    let mut groups: BTreeMap<(Reason, String), Group> = BTreeMap::new();
    let (mut pass, mut taken) = (Pass::begin(broker).await?, 0);
    while let Some((letter, _delivery)) = pass.next().await? {
        if !pick.takes(&letter) {
            continue;
        }
        let key = (letter.reason, letter.fingerprint.clone());
        groups
            .entry(key)
            .or_insert_with(|| Group::of(&letter))
            .add(letter);
        taken += 1;
        if pick.limit.is_some_and(|limit| taken >= limit) {
            break;
        }
    }
    pass.close().await?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        for letter in std::mem::take(&mut group.sample) {
            group.take_in(judge.judge(&letter).await);
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.letters));
    Ok(groups)
}

impl Group {
    fn of(letter: &Letter) -> Self {
        Self {
            reason: letter.reason,
            code: letter.word(),
            step: letter.step.clone(),
            fingerprint: letter.fingerprint.clone(),
            error: letter.error.clone(),
            letters: 0,
            first_seen: None,
            last_seen: None,
            replayed_before: 0,
            safe: true,
            judgement: Judgement {
                verdict: Verdict::LeftOver,
                why: String::new(),
            },
            judged: 0,
            sample: Vec::new(),
        }
    }

    fn add(&mut self, letter: Letter) {
        self.letters += 1;
        self.replayed_before += usize::from(letter.replays > 0);
        if let Some(at) = letter.dead_lettered_at {
            self.first_seen = Some(self.first_seen.map_or(at, |first| first.min(at)));
            self.last_seen = Some(self.last_seen.map_or(at, |last| last.max(at)));
        }
        if self.sample.len() < SAMPLE {
            self.sample.push(letter);
        }
    }

    fn take_in(&mut self, judgement: Judgement) {
        self.judged += 1;
        self.judgement = judgement.max(self.judgement.clone());
        self.safe = self.judgement.verdict <= Verdict::Safe;
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::envelope;
    use super::*;
    use crate::queue::headers::dead_letter;

    #[test]
    fn a_group_knows_its_times_and_is_as_safe_as_its_worst_letter() {
        let letter = |at: &str, replays| {
            let headers = vec![
                (dead_letter::AT, at.into()),
                (dead_letter::REPLAYS, i64::from(replays).into()),
            ];
            Letter::read(&envelope("x", headers))
        };
        let mut group = Group::of(&letter("2026-11-02T00:00:00Z", 0));
        for (day, replays) in [(2, 0), (1, 1), (3, 0)] {
            group.add(letter(&format!("2026-11-0{day}T00:00:00Z"), replays));
        }
        let seen = [group.first_seen, group.last_seen].map(|at| at.unwrap().to_string());
        assert_eq!(seen, ["2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"]);
        assert_eq!((group.letters, group.replayed_before), (3, 1));
        let judgement = |verdict| Judgement {
            verdict,
            why: format!("{verdict:?}"),
        };
        group.take_in(judgement(Verdict::Safe));
        assert!(group.safe);
        group.take_in(judgement(Verdict::NotYet));
        group.take_in(judgement(Verdict::Safe));
        assert_eq!(
            (group.safe, group.judgement.why.as_str(), group.judged),
            (false, "NotYet", 3)
        );
    }
}
