use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;

use super::{AccessTimes, DeadLetters, Known, Overview, Standing, Summary, Waiting};
use crate::failure::Reason;
use crate::job::BatchId;
use crate::machine::StateName;

/// The rate is that of so long, or of the time since the first user was finished.
const OF_LATE_MS: i64 = 15 * 60 * 1000;
/// A rate over less than this says nothing.
const AT_LEAST_MS: i64 = 1000;

const STATES: [StateName; 6] = [
    StateName::Received,
    StateName::QueuesCleared,
    StateName::Deactivated,
    StateName::Archived,
    StateName::Deleted,
    StateName::DeactivatedOnly,
];

/// Adds users up. It keeps two numbers for each, whatever their records hold.
pub(crate) struct Tally {
    overview: Overview,
    waiting: BTreeMap<String, Waiting>,
    dead: BTreeMap<&'static str, DeadLetters>,
    access_ms: Vec<i64>,
    access_last: Option<Timestamp>,
    finished_ms: Vec<i64>,
}

impl Tally {
    /// Of a batch, as things stand at `now`.
    pub(crate) fn new(batch_id: BatchId, begun_at: Option<Timestamp>, now: Timestamp) -> Self {
        let overview = Overview {
            batch_id,
            as_of: now,
            begun_at,
            users: 0,
            not_begun: 0,
            under_way: 0,
            finished: 0,
            unreadable: 0,
            states: STATES.into_iter().map(|state| (state, 0)).collect(),
            deletions: BTreeMap::new(),
            waiting: Vec::new(),
            dead_letters: Vec::new(),
            access_removed: None,
            finished_per_minute: None,
            time_left_seconds: None,
        };
        Self {
            overview,
            waiting: BTreeMap::new(),
            dead: BTreeMap::new(),
            access_ms: Vec::new(),
            access_last: None,
            finished_ms: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, known: &Known) {
        self.overview.users += 1;
        match known {
            Known::Nothing => self.overview.not_begun += 1,
            Known::Unreadable => self.overview.unreadable += 1,
            Known::Summary(summary) => self.add_summary(summary),
        }
    }

    fn add_summary(&mut self, summary: &Summary) {
        *self.overview.states.entry(summary.state).or_default() += 1;
        if let Some(outcome) = summary.deletion {
            *self.overview.deletions.entry(outcome).or_default() += 1;
        }
        match (
            summary.standing(self.overview.as_of),
            summary.dead_letter,
            &summary.wait,
        ) {
            (Standing::DeadLetter, Some(reason), _) => self.add_dead(reason),
            (Standing::Waiting, _, Some(wait)) => self.add_waiting(&wait.why, wait.until),
            (Standing::Finished, _, _) => self.overview.finished += 1,
            (_, _, _) => self.overview.under_way += 1,
        }
        // What an earlier request brought about says nothing of how fast this batch is.
        if summary.batch_id.as_ref() != Some(&self.overview.batch_id) {
            return;
        }
        self.finished_ms
            .extend(summary.finished_at.map(Timestamp::as_millisecond));
        if let Some(gone) = summary.access_removed_at {
            self.access_last = self.access_last.max(Some(gone));
            let asked = summary
                .requested_at
                .map(|asked| gone.as_millisecond() - asked.as_millisecond());
            self.access_ms.extend(asked.map(|took| took.max(0)));
        }
    }

    fn add_dead(&mut self, reason: Reason) {
        self.dead
            .entry(reason.as_str())
            .or_insert(DeadLetters { reason, users: 0 })
            .users += 1;
    }

    fn add_waiting(&mut self, why: &str, until: Timestamp) {
        match self.waiting.entry(why.to_owned()) {
            Entry::Vacant(entry) => {
                let why = why.to_owned();
                entry.insert(Waiting {
                    why,
                    users: 1,
                    first_until: until,
                    last_until: until,
                });
            }
            Entry::Occupied(mut entry) => {
                let waiting = entry.get_mut();
                waiting.users += 1;
                waiting.first_until = waiting.first_until.min(until);
                waiting.last_until = waiting.last_until.max(until);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Overview {
        let mut overview = self.overview;
        overview.waiting = self.waiting.into_values().collect();
        overview
            .waiting
            .sort_by_key(|waiting| std::cmp::Reverse(waiting.users));
        overview.dead_letters = self.dead.into_values().collect();
        overview
            .dead_letters
            .sort_by_key(|letters| std::cmp::Reverse(letters.users));
        self.access_ms.sort_unstable();
        overview.access_removed = self.access_last.and_then(|last_at| {
            Some(AccessTimes {
                users: self.access_ms.len() as u64,
                p50_seconds: seconds(percentile(&self.access_ms, 50)?),
                p95_seconds: seconds(percentile(&self.access_ms, 95)?),
                longest_seconds: seconds(percentile(&self.access_ms, 100)?),
                last_at,
            })
        });
        overview.finished_per_minute = per_minute(&self.finished_ms, overview.as_of);
        overview.time_left_seconds = time_left(&overview);
        overview
    }
}

/// By nearest rank: the smallest of them that so many of a hundred are not over.
fn percentile(sorted: &[i64], of_hundred: usize) -> Option<i64> {
    let rank = (sorted.len() * of_hundred).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of 285,000 years are exact"
)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Users that were finished in a minute, of late.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and milliseconds far under 2^53"
)]
fn per_minute(finished_ms: &[i64], now: Timestamp) -> Option<f64> {
    let now_ms = now.as_millisecond();
    let first = *finished_ms.iter().min()?;
    let since = first.max(now_ms - OF_LATE_MS);
    let count = finished_ms
        .iter()
        .filter(|at| (since..=now_ms).contains(*at))
        .count();
    let minutes = (now_ms - since).max(AT_LEAST_MS) as f64 / 60_000.0;
    (count > 0).then(|| count as f64 / minutes)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate in whole seconds, never negative"
)]
fn time_left(overview: &Overview) -> Option<u64> {
    let left = overview.left();
    if left == 0 {
        return Some(0);
    }
    let at_rate = left as f64 / overview.finished_per_minute? * 60.0;
    let waits = overview
        .waiting
        .iter()
        .map(|waiting| waiting.last_until)
        .max();
    let waits = waits.map_or(0, |until| until.duration_since(overview.as_of).as_secs());
    Some((at_rate.ceil() as u64).max(u64::try_from(waits).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::batches::Wait;
    use proptest::prelude::*;

    const NOW: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn batch() -> BatchId {
        "b".parse().unwrap()
    }

    fn summary(state: StateName) -> Summary {
        Summary {
            batch_id: Some(batch()),
            state,
            requested_at: None,
            access_removed_at: None,
            finished_at: None,
            wait: None,
            dead_letter: None,
            deletion: None,
            updated_at: at(0),
        }
    }

    fn tally(users: impl IntoIterator<Item = Summary>) -> Overview {
        let mut tally = Tally::new(batch(), None, at(NOW));
        users
            .into_iter()
            .for_each(|user| tally.add(&Known::Summary(user)));
        tally.finish()
    }

    #[test]
    fn a_wait_that_is_over_is_none_and_a_dead_letter_waits_for_nothing() {
        let waiting = |until: i64, why: &str| Summary {
            wait: Some(Wait {
                until: at(NOW + until),
                why: why.to_owned(),
            }),
            ..summary(StateName::Archived)
        };
        let dead = Summary {
            dead_letter: Some(Reason::ApiRejected),
            ..waiting(9, "x")
        };
        let told = tally([
            waiting(0, "brake"),
            waiting(5, "brake"),
            waiting(9, "brake"),
            waiting(1, "y"),
            dead,
        ]);
        let (first_until, last_until) = (at(NOW + 5), at(NOW + 9));
        assert_eq!(
            told.waiting[0],
            Waiting {
                why: "brake".to_owned(),
                users: 2,
                first_until,
                last_until
            }
        );
        assert_eq!((told.waiting.len(), told.under_way, told.dead()), (2, 1, 1));
        assert_eq!(
            told.dead_letters,
            [DeadLetters {
                reason: Reason::ApiRejected,
                users: 1
            }]
        );
    }

    #[test]
    fn the_rate_is_that_of_late_and_the_time_left_is_never_shorter_than_a_wait() {
        let finished = |ago: i64| Summary {
            finished_at: Some(at(NOW - ago)),
            ..summary(StateName::Deleted)
        };
        let told = tally([5000, 600, 300, 60].map(finished));
        assert_eq!(told.finished_per_minute, Some(3.0 / 15.0));
        assert_eq!(told.time_left_seconds, Some(0));
        let rest = || vec![finished(120), finished(60), summary(StateName::Received)];
        assert_eq!(
            tally(rest()).time_left_seconds,
            Some(60),
            "two in two minutes, and one is left"
        );
        let wait = Some(Wait {
            until: at(NOW + 7200),
            why: "not_due".to_owned(),
        });
        let told = tally(rest().into_iter().chain([Summary {
            wait,
            ..summary(StateName::Archived)
        }]));
        assert_eq!(told.time_left_seconds, Some(7200));
        assert_eq!(
            tally([summary(StateName::Received)]).time_left_seconds,
            None
        );
    }

    #[test]
    fn what_an_earlier_request_brought_about_is_counted_and_not_timed() {
        let earlier = Summary {
            batch_id: Some("a".parse().unwrap()),
            finished_at: Some(at(NOW - 60)),
            requested_at: Some(at(0)),
            access_removed_at: Some(at(10)),
            ..summary(StateName::Deleted)
        };
        let told = tally([earlier]);
        assert_eq!(
            (told.finished, told.finished_per_minute, told.access_removed),
            (1, None, None)
        );
    }

    fn any_known() -> impl Strategy<Value = Known> {
        let dead = prop::option::weighted(0.2, prop::sample::select(Reason::ALL.to_vec()));
        let wait = prop::option::of((-50..50_i64, prop::sample::select(vec!["brake", "x"])));
        let parts = (
            prop::sample::select(STATES.to_vec()),
            dead,
            wait,
            any::<bool>(),
            0..5000_i64,
            0..3_u8,
        );
        parts.prop_map(
            |(state, dead_letter, wait, finished, took, kind)| match kind {
                0 if took % 7 == 0 => Known::Unreadable,
                0 => Known::Nothing,
                _ => Known::Summary(Summary {
                    dead_letter,
                    wait: wait.map(|(until, why)| Wait {
                        until: at(NOW + until),
                        why: why.to_owned(),
                    }),
                    finished_at: (finished && state.is_terminal()).then(|| at(NOW - took)),
                    requested_at: Some(at(1000)),
                    access_removed_at: (state >= StateName::Deactivated).then(|| at(1000 + took)),
                    ..summary(state)
                }),
            },
        )
    }

    proptest! {
        /// Nobody is lost between the counts, and nobody is counted twice.
        #[test]
        fn every_user_is_in_exactly_one_place(users in prop::collection::vec(any_known(), 0..200)) {
            let mut tally = Tally::new(batch(), None, at(NOW));
            for user in &users {
                tally.add(user);
            }
            let told = tally.finish();
            let of_kind = |kind: Known| users.iter().filter(|user| **user == kind).count() as u64;
            prop_assert_eq!(told.unreadable, of_kind(Known::Unreadable));
            prop_assert_eq!(told.not_begun, of_kind(Known::Nothing));
            prop_assert_eq!(told.users, users.len() as u64);
            prop_assert_eq!(told.left() + told.finished + told.dead() + told.unreadable, told.users);
            prop_assert_eq!(told.states.values().sum::<u64>() + told.not_begun + told.unreadable, told.users);
        }

        /// The percentiles are times that somebody had, in order, and so many are not over them.
        #[test]
        fn percentiles_are_of_the_users(times in prop::collection::vec(0..10_000_i64, 1..300)) {
            let told = tally(times.iter().map(|took| Summary {
                requested_at: Some(at(0)),
                access_removed_at: Some(at(*took)),
                ..summary(StateName::Deactivated)
            }));
            let told = told.access_removed.unwrap();
            let took = || times.iter().map(|took| seconds(took * 1000));
            let not_over = |limit: f64| took().filter(|took| *took <= limit).count() * 100;
            let under = |limit: f64| took().filter(|took| *took < limit).count() * 100;
            for (limit, of_hundred) in [(told.p50_seconds, 50), (told.p95_seconds, 95), (told.longest_seconds, 100)] {
                prop_assert!(not_over(limit) >= of_hundred * times.len());
                prop_assert!(under(limit) < of_hundred * times.len());
            }
            prop_assert_eq!(told.last_at, at(*times.iter().max().unwrap()));
        }
    }
}
