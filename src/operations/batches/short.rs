//! The progress of a batch in short.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Overview;
use crate::machine::StateName;
use crate::ports::batches::Listed;
use crate::registers::BatchPause;

/// Archives and quotas take minutes; after this long without any progress somebody has to look.
const STUCK_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// How a batch is
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BatchState {
    /// Workers still have to work on some users.
    UnderWay,
    /// Each user is finished or has a dead letter.
    Finished,
    /// Under way, and nobody was finished or lost access in the last 15 minutes, though somebody does not wait for a time,
    /// and neither the batch nor all workers are paused.
    Stuck,
}

impl BatchState {
    /// The state that these numbers show.
    pub(crate) fn of(overview: &Overview) -> Self {
        // A checkpoint that cannot be read may be of a user who is not finished.
        if overview.left() == 0 && overview.unreadable == 0 {
            return Self::Finished;
        }
        let since = overview.as_of - STUCK_AFTER;
        let is_new = overview.begun_at.is_none_or(|begun_at| begun_at > since);
        let access = overview.access_removed.as_ref();
        let has_moved = overview.finished_per_minute.is_some()
            || access.is_some_and(|access| access.last_at > since);
        let could_move = overview.under_way + overview.not_begun > 0;

        if is_new || has_moved || !could_move {
            Self::UnderWay
        } else {
            Self::Stuck
        }
    }

    /// Whether a filter for this state means a batch in `other`.
    pub(crate) fn includes(self, other: Self) -> bool {
        self == other || (self == Self::UnderWay && other == Self::Stuck)
    }
}

/// A batch in a list
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedProgress {
    #[serde(flatten)]
    pub batch: Listed,
    /// Who asked for the first user of the batch; null if no worker has taken that user, or the checkpoint has expired.
    pub requested_by: Option<String>,
    /// Its progress; null if the newer batches of the list have very many users: `batch show` reads it.
    pub progress: Option<ShortProgress>,
    /// The pause of the batch; null if it is not paused, or if that is unknown (`pauseUnknown`).
    pub pause: Option<BatchPause>,
}

/// The progress of a batch, in short
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShortProgress {
    /// The time of these numbers.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Users that no worker has started.
    pub not_begun: u64,
    /// The number of users by last completed step, including those with a dead letter.
    pub states: BTreeMap<StateName, u64>,
    /// Users with a terminal state and a stored manifest.
    pub finished: u64,
    /// Users with a dead letter.
    pub dead_letters: u64,
    /// Users whose request an operator cancelled.
    pub cancelled: u64,
    /// Users with a checkpoint that this release cannot read.
    pub unreadable: u64,
    /// Users on whom workers still have to work.
    pub left: u64,
    /// Users whose access is not removed yet.
    pub still_have_access: u64,
    /// Whether it is under way, finished or stuck.
    pub state: BatchState,
}

impl ShortProgress {
    /// `may_be_paused`: the batch or all workers are paused, or that is unknown.
    pub(crate) fn of(overview: &Overview, may_be_paused: bool) -> Self {
        let access = overview.still_have_access.as_ref();
        let state = match BatchState::of(overview) {
            // A pause is no fault.
            BatchState::Stuck if may_be_paused => BatchState::UnderWay,
            state => state,
        };
        Self {
            as_of: overview.as_of,
            not_begun: overview.not_begun,
            states: overview.states.clone(),
            finished: overview.finished,
            dead_letters: overview.dead(),
            cancelled: overview.cancelled,
            unreadable: overview.unreadable,
            left: overview.left(),
            still_have_access: access.map_or(0, |access| access.users),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::batches::{Known, Summary, Tally};

    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn summary(state: StateName) -> Summary {
        Summary {
            batch_id: Some("b".parse().unwrap()),
            state,
            requested_at: None,
            access_removed_at: None,
            finished_at: None,
            wait: None,
            dead_letter: None,
            deletion: None,
            cancelled_at: None,
            updated_at: at(0),
        }
    }

    fn state(begun_ago: i64, users: &[Known]) -> BatchState {
        let begun_at = Some(at(NOW - begun_ago));
        let mut tally = Tally::new("b".parse().unwrap(), begun_at, at(NOW));
        for user in users {
            tally.add(user, at(NOW - begun_ago));
        }
        BatchState::of(&tally.finish())
    }

    #[test]
    fn a_batch_is_stuck_only_when_somebody_could_move_and_nobody_did() {
        let waits = Known::Nothing;
        assert_eq!(state(600, &[Known::Nothing]), BatchState::UnderWay);
        assert_eq!(state(901, &[Known::Nothing]), BatchState::Stuck);
        let gone = |ago| {
            Known::Summary(Summary {
                requested_at: Some(at(0)),
                access_removed_at: Some(at(NOW - ago)),
                ..summary(StateName::Deactivated)
            })
        };
        assert_eq!(
            state(9_000, &[gone(60), waits.clone()]),
            BatchState::UnderWay
        );
        assert_eq!(state(9_000, &[gone(901), waits]), BatchState::Stuck);

        let delayed = Known::Summary(Summary {
            wait: Some(crate::ports::batches::Wait {
                until: at(NOW + 60),
                why: "not_due".to_owned(),
            }),
            ..summary(StateName::Archived)
        });
        assert_eq!(state(9_000, &[delayed]), BatchState::UnderWay);
    }

    #[test]
    fn a_batch_is_finished_only_when_all_users_are_known_to_be() {
        let done = Known::Summary(Summary {
            finished_at: Some(at(NOW - 9_000)),
            ..summary(StateName::Deleted)
        });
        assert_eq!(
            state(9_000, std::slice::from_ref(&done)),
            BatchState::Finished
        );
        assert_ne!(
            state(9_000, &[done, Known::Unreadable]),
            BatchState::Finished
        );
        let mut tally = Tally::new("b".parse().unwrap(), Some(at(0)), at(NOW));
        tally.add(&Known::Unreadable, at(0));
        assert_eq!(ShortProgress::of(&tally.finish(), false).unreadable, 1);
        assert!(BatchState::UnderWay.includes(BatchState::Stuck));
        assert!(!BatchState::Stuck.includes(BatchState::UnderWay));
    }
}
