//! What is stored of an operation.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::failure::Failure;
use crate::job::UserId;
use crate::operations::dead_letters::{DeadLetter, DiscardResult, ReplayReport, Skipped};
use crate::operations::verify::Verdict;
use crate::ports::operations::{
    Became, ItemResult, OperationId, OperationKind, OperationOutcome, OperationState, StopRequest,
};
use crate::registers::audit_log::Operator;

/// What was asked for, with the frozen set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation {
    pub id: OperationId,
    pub kind: OperationKind,
    pub at: Timestamp,
    pub who: String,
    #[serde(default)]
    pub why: Option<String>,
    /// The entry of the audit log.
    pub act: Uuid,
    #[serde(default)]
    pub manner: Manner,
    /// Which dead letters or users were asked for.
    #[serde(default)]
    pub of: Value,
    pub set: FrozenSet,
}

/// How an operation works
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manner {
    /// The least time between two items at the beginning, in ms; 0 without a rate.
    #[serde(default)]
    pub pace_ms: u64,
    /// How long each stage of a canary waits at most, in ms; null without a canary.
    #[serde(default)]
    pub canary_ms: Option<u64>,
    /// Dead letters are replayed that are not safe to replay yet, too.
    #[serde(default)]
    pub anyway: bool,
}

impl Manner {
    pub(crate) fn new(pace: Option<Duration>, canary: Option<Duration>, anyway: bool) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            pace_ms: pace.map_or(0, ms),
            canary_ms: canary.map(ms),
            anyway,
        }
    }

    pub(super) fn canary(&self) -> Option<Duration> {
        self.canary_ms.map(Duration::from_millis)
    }
}

/// The items of an operation, and what is known of them when it begins.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct FrozenSet {
    /// Those to work on; the position is the number of the item.
    #[serde(default, rename = "letters", skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetter>,
    /// Those that stay; their numbers follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
}

impl FrozenSet {
    /// The number of items to work on.
    pub(super) fn to_do(&self) -> usize {
        self.dead_letters.len() + self.users.len()
    }
}

impl Operation {
    /// For lists, without the set.
    pub(super) fn head(&self) -> Value {
        json!({
            "kind": self.kind, "at": self.at, "who": self.who, "why": self.why,
            "manner": self.manner, "of": self.of,
            "items": self.set.to_do(), "skipped": self.set.skipped.len(),
        })
    }

    pub(super) fn brief(&self) -> Brief {
        Brief {
            id: self.id,
            kind: self.kind,
            who: self.who.clone(),
            why: self.why.clone(),
            act: self.act,
        }
    }
}

/// An operation without its set: as much as its end needs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Brief {
    pub id: OperationId,
    pub kind: OperationKind,
    pub who: String,
    #[serde(default)]
    pub why: Option<String>,
    pub act: Uuid,
}

impl Brief {
    pub(super) fn operator(&self) -> Operator {
        Operator {
            who: self.who.clone(),
            why: self.why.clone(),
        }
    }
}

/// How an operation ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationEnd {
    pub id: OperationId,
    pub at: Timestamp,
    pub state: OperationState,
    /// The process that ended it.
    pub by: String,
    /// The entry of the audit log.
    pub act: Uuid,
    /// The fault that ended it.
    #[serde(default)]
    pub error: Option<Failure>,
    #[serde(default)]
    pub stop: Option<StopRequest>,
    /// How many items became what; empty in an end of an earlier release, and where the set was not read.
    #[serde(default)]
    pub counts: BTreeMap<Became, u64>,
    pub report: OperationReport,
}

/// How many items of each kind a report names that is stored shortened.
const NAMED: usize = 1000;

impl OperationEnd {
    /// What lists show of it.
    pub(super) fn outcome(&self) -> OperationOutcome {
        OperationOutcome {
            state: self.state,
            at: self.at,
            error: self.error.as_ref().map(ToString::to_string),
            stop: self.stop.clone(),
            counts: self.counts.clone(),
        }
    }

    /// Names only the first items; `counts` still has all.
    pub(super) fn shorten(&mut self) {
        match &mut self.report {
            OperationReport::Replay(report) => {
                report.moved.truncate(NAMED);
                report.cleared.truncate(NAMED);
                report.skipped.truncate(NAMED);
            }
            OperationReport::Discard(result) => {
                result.discarded.truncate(NAMED);
                result.gone.truncate(NAMED);
            }
            OperationReport::Verify(report) => {
                // Bad news first: nobody reads the sound ones.
                report.verdicts.sort_by_key(|verdict| verdict.ok);
                report.verdicts.truncate(NAMED);
                for verdict in &mut report.verdicts {
                    verdict.findings.truncate(10);
                }
            }
        }
    }
}

/// What an operation did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationReport {
    Replay(ReplayReport),
    Discard(DiscardResult),
    Verify(VerifyReport),
}

/// What a verify found.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyReport {
    pub verdicts: Vec<Verdict>,
}

impl OperationReport {
    /// Of an operation whose set was not read.
    pub(super) fn without_set(kind: OperationKind, stopped: String) -> Self {
        match kind {
            OperationKind::Replay => {
                let mut report = ReplayReport::default();
                report.stopped = Some(stopped);
                Self::Replay(report)
            }
            OperationKind::Discard => Self::Discard(DiscardResult {
                stopped: Some(stopped),
                ..DiscardResult::default()
            }),
            OperationKind::Verify => Self::Verify(VerifyReport::default()),
        }
    }

    /// How many items were changed or checked, and further facts for the audit log.
    pub(super) fn for_the_audit_log(&self) -> (usize, Value) {
        match self {
            Self::Replay(report) => (
                report.moved.len(),
                json!({
                    "cleared": report.cleared.len(), "skipped": report.skipped.len(),
                    "stopped": report.stopped,
                }),
            ),
            Self::Discard(result) => (result.discarded.len(), json!({ "gone": result.gone.len() })),
            Self::Verify(report) => {
                let bad = report.verdicts.iter().filter(|verdict| !verdict.ok);
                (report.verdicts.len(), json!({ "bad": bad.count() }))
            }
        }
    }

    /// What became of each item, where its results are kept no longer.
    pub(super) fn items(&self, at: Timestamp) -> Vec<ItemResult> {
        let of_dead_letter = |one: &DeadLetter, became, why: Option<String>| ItemResult {
            number: 0,
            dead_letter: Some(one.id.to_string()),
            user_id: one.user_id,
            became,
            why,
            at,
            detail: Value::Null,
        };
        let mut items: Vec<ItemResult> = match self {
            Self::Replay(report) => {
                let moved = report.moved.iter();
                let moved = moved.map(|one| of_dead_letter(one, Became::Moved, None));
                let cleared = report.cleared.iter();
                let cleared = cleared.map(|one| of_dead_letter(one, Became::Cleared, None));
                let skipped = report.skipped.iter().map(|skipped| {
                    let why = Some(skipped.why.clone());
                    of_dead_letter(&skipped.dead_letter, Became::Skipped, why)
                });
                moved.chain(cleared).chain(skipped).collect()
            }
            Self::Discard(result) => {
                let discarded = result.discarded.iter();
                let discarded =
                    discarded.map(|one| of_dead_letter(&one.dead_letter, Became::Discarded, None));
                let gone = result.gone.iter();
                discarded
                    .chain(gone.map(|one| of_dead_letter(one, Became::Gone, None)))
                    .collect()
            }
            Self::Verify(report) => {
                let verdicts = report.verdicts.iter();
                verdicts.map(|verdict| of_verdict(verdict, at)).collect()
            }
        };
        for (number, item) in (0..).zip(&mut items) {
            item.number = number;
        }
        items
    }
}

fn of_verdict(verdict: &Verdict, at: Timestamp) -> ItemResult {
    ItemResult {
        number: 0,
        dead_letter: None,
        user_id: Some(verdict.user_id),
        became: became(verdict),
        why: why(verdict),
        at,
        detail: Value::Null,
    }
}

pub(super) const fn became(verdict: &Verdict) -> Became {
    if verdict.ok {
        Became::Sound
    } else {
        Became::Unsound
    }
}

/// The first finding, for people.
pub(super) fn why(verdict: &Verdict) -> Option<String> {
    let finding = verdict.findings.first()?;
    Some(format!("{}: {}", finding.object, finding.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_end_names_the_bad_ones_first_and_still_counts_all() {
        let verdict = |number: u32, ok| {
            let user = format!("3f1f0d4e-9a51-4b4b-8f6c-{number:012}");
            let mut verdict = Verdict::unopened(user.parse().unwrap(), &[]);
            verdict.ok = ok;
            verdict
        };
        let verdicts = (0..1500).map(|number| verdict(number, number != 1400));
        let counts = [(Became::Sound, 1499), (Became::Unsound, 1)].into();
        let mut end = OperationEnd {
            id: OperationId::new(),
            at: Timestamp::UNIX_EPOCH,
            state: OperationState::Done,
            by: "w-1".to_owned(),
            act: Uuid::now_v7(),
            error: None,
            stop: None,
            counts,
            report: OperationReport::Verify(VerifyReport {
                verdicts: verdicts.collect(),
            }),
        };
        end.shorten();
        let OperationReport::Verify(report) = &end.report else {
            panic!("no verify");
        };
        assert_eq!(report.verdicts.len(), NAMED);
        assert_eq!(report.verdicts[0], verdict(1400, false));
        assert_eq!(end.outcome().counts[&Became::Sound], 1499);
    }
}
