//! Which users are listed, from where, and the page that is being filled.

use std::time::Duration;

use jiff::Timestamp;

use super::listed::ListedUser;
use crate::failure::{Failure, Reason};
use crate::job::{BatchId, UserId};
use crate::machine::StateName;
use crate::ports::batches::{Batches, Known, Standing};
use crate::ports::users::UserIndex;

/// The number of users that are read in one round trip while a filter leaves some out.
pub(super) const PAGE: usize = 500;
/// The number of users that one call reads at most; a filter that finds none of them answers with a cursor.
pub(super) const READ_AT_MOST: usize = 50_000;

/// Which users are meant; all conditions have to hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserFilter {
    /// Only users who still have access, the one who was asked for first at the head. Users whose request is cancelled are
    /// left out: nobody asks for them any more.
    pub access: bool,
    /// The last completed step.
    pub state: Option<StateName>,
    /// What the user waits for: a failure code, or the word of a pause.
    pub waiting_for: Option<String>,
    /// What the user waits for, or the reason of the dead letter.
    pub why: Option<String>,
    /// Only users who have a dead letter.
    pub dead_letter: bool,
    /// Only users who were asked for until then, and those of whom that is unknown.
    pub asked_before: Option<Timestamp>,
    /// What the user ID begins with.
    pub id_begins: Option<String>,
    /// Only users whose access was removed by the request of the batch, after a time in this range.
    pub removed: Option<RemovalTime>,
    pub batch: Option<BatchId>,
}

/// A range of the time from the request to the removal of access. It begins behind `more_than`, and has `at_most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RemovalTime {
    more_than: Duration,
    at_most: Option<Duration>,
}

impl RemovalTime {
    /// The range between these seconds; `None` without any of them.
    pub(crate) fn of_seconds(more_than: Option<u64>, at_most: Option<u64>) -> Option<Self> {
        (more_than.is_some() || at_most.is_some()).then(|| Self {
            more_than: Duration::from_secs(more_than.unwrap_or(0)),
            at_most: at_most.map(Duration::from_secs),
        })
    }

    /// A range from nothing on has those who took no time, too.
    fn has(self, took: Duration) -> bool {
        let is_more = self.more_than.is_zero() || took > self.more_than;
        is_more && self.at_most.is_none_or(|most| took <= most)
    }
}

impl UserFilter {
    /// The same for filters between which nobody can see a difference: times that are less than ten seconds apart, as an
    /// answer that is shared may be so old.
    pub(crate) fn name(&self) -> String {
        let tens = |at: Timestamp| at.as_second().div_euclid(10);
        let asked_before = self.asked_before.map(tens);
        let same = Self {
            asked_before: None,
            ..self.clone()
        };
        format!("{same:?} {asked_before:?}")
    }

    /// Whether a record has to be read to know whether a user is meant.
    pub(super) const fn needs_records(&self) -> bool {
        self.access
            || self.dead_letter
            || self.state.is_some()
            || self.waiting_for.is_some()
            || self.why.is_some()
            || self.asked_before.is_some()
            || self.removed.is_some()
    }

    /// Whether it leaves nobody of a batch out.
    pub(crate) const fn admits_all(&self) -> bool {
        !self.needs_records() && self.id_begins.is_none()
    }

    /// Whether a user of whom this is known is meant.
    pub(crate) fn admits_known(
        &self,
        user_id: UserId,
        known: &Known,
        asked_at: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        self.admits_removal(known) && self.admits(&ListedUser::of(user_id, known, asked_at, now))
    }

    /// The result of an earlier request says nothing about this batch.
    fn admits_removal(&self, known: &Known) -> bool {
        let Some(range) = self.removed else {
            return true;
        };
        match known {
            Known::Summary(summary) if summary.batch_id == self.batch => {
                let took = summary.access_took_ms().map(Duration::from_millis);
                took.is_some_and(|took| range.has(took))
            }
            Known::Summary(_) | Known::Nothing | Known::Unreadable => false,
        }
    }

    pub(super) fn admits_id(&self, user_id: UserId) -> bool {
        let begins = self.id_begins.as_ref();
        begins.is_none_or(|begins| {
            let id = user_id.to_string();
            id.starts_with(&begins.trim().to_ascii_lowercase())
        })
    }

    /// Whether who was asked for then came too late for this filter.
    pub(super) fn is_past(&self, asked_at: Timestamp) -> bool {
        self.asked_before.is_some_and(|before| asked_at > before)
    }

    pub(super) fn admits(&self, user: &ListedUser) -> bool {
        let has_state = self.state.is_none_or(|state| user.state == Some(state));
        let waits = self.waiting_for.as_ref();
        let waits = waits.is_none_or(|wanted| user.waits_for.as_ref() == Some(wanted));
        // Unknown access is shown with those who have it.
        let has_access = !self.access
            || (user.has_access != Some(false) && user.standing != Standing::Cancelled);
        let is_why = self.why.as_ref().is_none_or(|wanted| {
            let dead_letter = user.dead_letter.map(Reason::as_str);
            user.waits_for.as_ref() == Some(wanted) || dead_letter == Some(wanted)
        });
        let is_dead = !self.dead_letter || user.dead_letter.is_some();
        let is_old = user.requested_at.is_none_or(|at| !self.is_past(at));
        has_state
            && waits
            && has_access
            && is_why
            && is_dead
            && is_old
            && self.admits_id(user.user_id)
    }
}

/// Why there is no list.
#[derive(Debug)]
pub(crate) enum NoList {
    /// The cursor is not one that these filters gave.
    BadCursor,
    /// The store keeps no batches.
    NoBatches,
    /// There is no such batch.
    NoSuchBatch(BatchId),
    Failed(Failure),
}

impl From<Failure> for NoList {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where users are read.
pub(crate) struct UserSources<'a> {
    pub users: &'a dyn UserIndex,
    /// Only a store that processes share keeps batches.
    pub batches: Option<&'a dyn Batches>,
}

/// The page that is being filled.
pub(super) struct Page<'a> {
    pub(super) users: Vec<ListedUser>,
    pub(super) filter: &'a UserFilter,
    pub(super) limit: usize,
    pub(super) now: Timestamp,
}

impl Page<'_> {
    /// Adds the user if the filter admits it.
    pub(super) fn offer(&mut self, user_id: UserId, known: &Known, asked_at: Option<Timestamp>) {
        let user = ListedUser::of(user_id, known, asked_at, self.now);
        if self.filter.admits_removal(known) && self.filter.admits(&user) {
            self.users.push(user);
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.users.len() >= self.limit
    }

    pub(super) const fn missing(&self) -> usize {
        self.limit.saturating_sub(self.users.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::batches::Summary;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn removed_after(ms: i64) -> Known {
        Known::Summary(Summary {
            batch_id: Some("b".parse().unwrap()),
            state: StateName::Deactivated,
            requested_at: Some(at(0)),
            access_removed_at: Some(at(ms)),
            finished_at: None,
            wait: None,
            dead_letter: None,
            deletion: None,
            cancelled_at: None,
            updated_at: at(0),
        })
    }

    fn admits(more_than: Option<u64>, at_most: Option<u64>, known: &Known, batch: &str) -> bool {
        let filter = UserFilter {
            removed: RemovalTime::of_seconds(more_than, at_most),
            batch: Some(batch.parse().unwrap()),
            ..UserFilter::default()
        };
        let user = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        filter.admits_known(user, known, None, at(0))
    }

    #[test]
    fn a_range_of_removal_times_begins_behind_its_start_and_has_its_end() {
        for (ms, is_in) in [
            (10_000, false),
            (10_001, true),
            (30_000, true),
            (30_001, false),
        ] {
            let known = removed_after(ms);
            assert_eq!(admits(Some(10), Some(30), &known, "b"), is_in, "{ms}");
        }
        // One whose clock was ahead took no time.
        assert!(admits(None, Some(10), &removed_after(-5), "b"));
        assert!(admits(Some(0), Some(10), &removed_after(0), "b"));
        assert!(admits(Some(10), None, &removed_after(9_000_000), "b"));
    }

    #[test]
    fn who_has_access_or_lost_it_by_another_request_is_in_no_range() {
        assert!(!admits(None, Some(10), &removed_after(5), "another"));
        for known in [Known::Nothing, Known::Unreadable] {
            assert!(!admits(None, Some(10), &known, "b"));
            assert!(admits(None, None, &known, "b"), "no range is no filter");
        }
    }
}
