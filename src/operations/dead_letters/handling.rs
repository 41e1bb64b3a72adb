//! The state of a group: what an operator decided, as long as what is in the queue does not contradict it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::AccessCounts;
use crate::registers::{Decision, GroupRecord, StoredGroup};

/// The state of a group
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GroupState {
    /// Somebody has to act.
    Open,
    /// The archive store does not answer.
    Unknown,
    /// Nobody has to act before a time.
    Ignored,
    /// The cause is fixed, and nothing came back since.
    Resolved,
}

impl GroupState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
            Self::Resolved => "resolved",
        }
    }
}

/// The state of a group, the decision that it rests on, and its note
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Handling {
    /// The state now.
    pub state: GroupState,
    /// Why the last decision does not count any more, or why the state is unknown.
    pub reopened: Option<String>,
    /// Until when the group was to be ignored.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// How many dead letters of it in the queue open the group again.
    #[serde(rename = "untilLetters")]
    pub until_count: Option<usize>,
    /// The release that was to have the fix.
    pub release: Option<String>,
    /// The note for the next operator.
    pub note: Option<String>,
    /// Who takes care of the group.
    pub owner: Option<String>,
    /// The operator of the last change; null if there was none.
    pub who: Option<String>,
    /// Why, in the words of that operator.
    pub why: Option<String>,
    /// When the last change was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// The dead letters of a group in the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct InQueueNow {
    pub(super) count: usize,
    pub(super) access: AccessCounts,
    /// When the last one became a dead letter; `None` if none of them says so.
    pub(super) last_seen: Option<Timestamp>,
}

impl Handling {
    fn open(reopened: Option<String>) -> Self {
        Self {
            state: GroupState::Open,
            reopened,
            until: None,
            until_count: None,
            release: None,
            note: None,
            owner: None,
            who: None,
            why: None,
            at: None,
        }
    }

    pub(super) fn unknown(why: String) -> Self {
        let unknown = Self::open(Some(why));
        Self {
            state: GroupState::Unknown,
            ..unknown
        }
    }

    /// The state of a group of which this is stored.
    pub(super) fn of(stored: Option<&StoredGroup>, queue: InQueueNow, now: Timestamp) -> Self {
        match stored {
            None => Self::open(None),
            Some(StoredGroup::Doubtful(why)) => {
                Self::open(Some(format!("a stored decision is in doubt: {why}")))
            }
            Some(StoredGroup::Record(record)) => Self::of_record(record, queue, now),
        }
    }

    fn of_record(record: &GroupRecord, queue: InQueueNow, now: Timestamp) -> Self {
        let reopened = reopened(record, queue, now);
        let is_open = reopened.is_some();
        let decided = match &record.decision {
            Decision::Open => GroupState::Open,
            Decision::Ignored { .. } => GroupState::Ignored,
            Decision::Resolved { .. } => GroupState::Resolved,
        };
        Self {
            state: if is_open { GroupState::Open } else { decided },
            reopened,
            until: match &record.decision {
                Decision::Ignored { until, .. } => *until,
                Decision::Open | Decision::Resolved { .. } => None,
            },
            until_count: match &record.decision {
                Decision::Ignored { until_count, .. } => *until_count,
                Decision::Open | Decision::Resolved { .. } => None,
            },
            release: match &record.decision {
                Decision::Resolved { release } => release.clone(),
                Decision::Open | Decision::Ignored { .. } => None,
            },
            note: record.note.clone(),
            owner: record.owner.clone(),
            who: Some(record.who.clone()),
            why: record.why.clone(),
            at: Some(record.at),
        }
    }

    /// For people, in one line.
    pub(crate) fn line(&self) -> String {
        let mut line = self.state.as_str().to_owned();
        if self.state == GroupState::Ignored
            && let Some(until) = self.until
        {
            line = format!("{line} until {until:.0}");
        }
        if self.state == GroupState::Ignored
            && let Some(count) = self.until_count
        {
            line = format!("{line} until there are {count}");
        }
        if self.state == GroupState::Resolved
            && let Some(release) = &self.release
        {
            line = format!("{line} in {release}");
        }
        if let Some(reopened) = &self.reopened {
            line = format!("{line}: {reopened}");
        }
        match (&self.who, self.at) {
            (Some(who), Some(at)) if self.state != GroupState::Open || self.reopened.is_some() => {
                let why = self
                    .why
                    .as_ref()
                    .map_or_else(String::new, |why| format!(": {why}"));
                format!("{line} (by {who} at {at:.0}{why})")
            }
            _ => line,
        }
    }
}

/// Why the decision does not count any more, if so. Nobody with access is ever ignored.
fn reopened(record: &GroupRecord, queue: InQueueNow, now: Timestamp) -> Option<String> {
    match &record.decision {
        Decision::Open => None,
        Decision::Ignored {
            until: Some(until), ..
        } if *until <= now => Some(format!("it was ignored until {until:.0}")),
        Decision::Ignored {
            until_count: Some(count),
            ..
        } if queue.count >= *count => Some(format!(
            "it was ignored until there are {count} dead letters, and there are {}",
            queue.count
        )),
        // Nothing would ever open it again.
        Decision::Ignored {
            until: None,
            until_count: None,
        } => Some("it was ignored without an end".to_owned()),
        Decision::Ignored { .. } => {
            still_has_access(queue.access).map(|who| format!("it was ignored, and {who}"))
        }
        Decision::Resolved { release } => {
            let is_newer = queue.last_seen.is_none_or(|at| at > record.at);
            (queue.count > 0 && is_newer).then(|| {
                let release = release
                    .as_ref()
                    .map_or_else(String::new, |release| format!(" in {release}"));
                format!("came back: it was resolved{release}")
            })
        }
    }
}

/// Who of a group may still have access, if anyone.
pub(super) fn still_has_access(access: AccessCounts) -> Option<String> {
    let AccessCounts {
        still_there,
        unknown,
        ..
    } = access;
    match (still_there, unknown) {
        (0, 0) => None,
        (0, unknown) => Some(format!("{unknown} in it may still have access (unknown)")),
        (still_there, 0) => Some(format!("{still_there} in it still have access")),
        (still_there, unknown) => Some(format!(
            "{still_there} in it still have access, {unknown} more may (unknown)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn record(decision: Decision) -> StoredGroup {
        StoredGroup::Record(GroupRecord {
            decision,
            note: Some("see #7".to_owned()),
            owner: Some("bob".to_owned()),
            who: "ada".to_owned(),
            why: Some("vendor".to_owned()),
            at: at(100),
            passes_over: Vec::new(),
        })
    }

    fn queue(still_there: usize, unknown: usize, last_seen: i64) -> InQueueNow {
        let gone = 5;
        InQueueNow {
            count: still_there + unknown + gone,
            access: AccessCounts {
                still_there,
                gone,
                unknown,
            },
            last_seen: Some(at(last_seen)),
        }
    }

    #[test]
    fn a_group_is_ignored_only_until_its_time_and_never_while_somebody_may_have_access() {
        let ignored = record(Decision::Ignored {
            until: Some(at(200)),
            until_count: None,
        });
        let state = |queue, now| Handling::of(Some(&ignored), queue, at(now)).state;
        assert_eq!(state(queue(0, 0, 50), 150), GroupState::Ignored);
        // It arrives later, too: what is ignored is the fault.
        assert_eq!(state(queue(0, 0, 140), 150), GroupState::Ignored);
        assert_eq!(state(queue(0, 0, 50), 200), GroupState::Open);
        assert_eq!(state(queue(1, 0, 50), 150), GroupState::Open);
        assert_eq!(state(queue(0, 1, 50), 150), GroupState::Open);
        let shown = Handling::of(Some(&ignored), queue(1, 0, 50), at(150));
        assert!(shown.line().contains("1 in it still have access"));
        assert_eq!(shown.note.as_deref(), Some("see #7"));
    }

    #[test]
    fn a_group_is_ignored_until_there_are_more_dead_letters_and_never_for_ever() {
        let ignored = |until_count| {
            record(Decision::Ignored {
                until: None,
                until_count,
            })
        };
        let state = |until_count, count| {
            let queue = InQueueNow {
                count,
                ..queue(0, 0, 50)
            };
            Handling::of(Some(&ignored(until_count)), queue, at(150))
        };
        assert_eq!(state(Some(20), 19).state, GroupState::Ignored);
        assert!(state(Some(20), 19).line().contains("until there are 20"));
        let more = state(Some(20), 20);
        assert_eq!(more.state, GroupState::Open);
        assert!(more.reopened.unwrap().ends_with("and there are 20"));
        assert_eq!(state(None, 1).state, GroupState::Open);
    }

    #[test]
    fn a_resolved_group_that_receives_a_newer_dead_letter_is_open_and_says_that_it_came_back() {
        let release = Some("0.3.0".to_owned());
        let resolved = record(Decision::Resolved { release });
        let handling = |queue| Handling::of(Some(&resolved), queue, at(300));
        let older = handling(queue(1, 0, 99));
        assert_eq!(older.state, GroupState::Resolved);
        assert!(older.line().starts_with("resolved in 0.3.0 (by ada"));
        let newer = handling(queue(0, 0, 101));
        assert_eq!(newer.state, GroupState::Open);
        assert!(newer.line().starts_with("open: came back"));
        let undated = InQueueNow {
            last_seen: None,
            ..queue(0, 0, 0)
        };
        assert_eq!(handling(undated).state, GroupState::Open);
    }

    #[test]
    fn a_decision_in_doubt_and_no_decision_leave_the_group_open() {
        assert_eq!(
            Handling::of(None, queue(0, 0, 1), at(2)),
            Handling::open(None)
        );
        let doubtful = StoredGroup::Doubtful("_group_x.1.json: no code".to_owned());
        let handling = Handling::of(Some(&doubtful), queue(0, 0, 1), at(2));
        assert_eq!(handling.state, GroupState::Open);
        assert!(handling.line().contains("in doubt"));
    }
}
