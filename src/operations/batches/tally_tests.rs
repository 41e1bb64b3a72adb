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
        cancelled_at: None,
        updated_at: at(0),
    }
}

fn tally(users: impl IntoIterator<Item = Summary>) -> Overview {
    let mut tally = Tally::new(batch(), None, at(NOW));
    users
        .into_iter()
        .for_each(|user| tally.add(&Known::Summary(user), at(0)));
    tally.finish()
}

#[test]
fn a_wait_that_is_over_is_not_counted_and_a_dead_letter_is_not_waiting() {
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
    let shown = tally([
        waiting(0, "brake"),
        waiting(5, "brake"),
        waiting(9, "brake"),
        waiting(1, "y"),
        dead,
    ]);
    let first_until = at(NOW + 5);
    let last_until = at(NOW + 9);
    assert_eq!(
        shown.waiting[0],
        Waiting {
            why: "brake".to_owned(),
            users: 2,
            first_until,
            last_until
        }
    );
    assert_eq!(
        (shown.waiting.len(), shown.under_way, shown.dead()),
        (2, 1, 1)
    );
    assert_eq!(
        shown.dead_letters,
        [DeadLetters {
            reason: Reason::ApiRejected,
            users: 1
        }]
    );
}

#[test]
fn the_rate_is_of_the_last_15_minutes_and_the_time_left_is_never_shorter_than_a_wait() {
    let finished = |ago: i64| Summary {
        finished_at: Some(at(NOW - ago)),
        ..summary(StateName::Deleted)
    };
    let shown = tally([5000, 600, 300, 60].map(finished));
    assert_eq!(shown.finished_per_minute, Some(3.0 / 15.0));
    assert_eq!(shown.time_left_seconds, Some(0));
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
    let shown = tally(rest().into_iter().chain([Summary {
        wait,
        ..summary(StateName::Archived)
    }]));
    assert_eq!(shown.time_left_seconds, Some(7200));
    assert_eq!(
        tally([summary(StateName::Received)]).time_left_seconds,
        None
    );
}

#[test]
fn the_results_of_an_earlier_request_are_counted_and_not_timed() {
    let earlier = Summary {
        batch_id: Some("a".parse().unwrap()),
        finished_at: Some(at(NOW - 60)),
        requested_at: Some(at(0)),
        access_removed_at: Some(at(10)),
        ..summary(StateName::Deleted)
    };
    let shown = tally([earlier]);
    assert_eq!(
        (
            shown.finished,
            shown.finished_per_minute,
            shown.access_removed
        ),
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
        0..4_u8,
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
                cancelled_at: (kind == 3).then(|| at(NOW - took)),
                ..summary(state)
            }),
        },
    )
}

proptest! {
    /// No user is missing from the counts, and none is counted twice.
    #[test]
    fn each_user_is_in_exactly_one_count(users in prop::collection::vec(any_known(), 0..200)) {
        let mut tally = Tally::new(batch(), None, at(NOW));
        for user in &users {
            tally.add(user, at(0));
        }
        let shown = tally.finish();
        let of_kind = |kind: Known| users.iter().filter(|user| **user == kind).count() as u64;
        prop_assert_eq!(shown.unreadable, of_kind(Known::Unreadable));
        prop_assert_eq!(shown.not_begun, of_kind(Known::Nothing));
        prop_assert_eq!(shown.users, users.len() as u64);
        let ended = shown.finished + shown.cancelled + shown.dead();
        prop_assert_eq!(shown.left() + ended + shown.unreadable, shown.users);
        prop_assert_eq!(shown.states.values().sum::<u64>() + shown.not_begun + shown.unreadable, shown.users);
    }

    /// Each percentile is the time of a user, and the right share of the users is not over it.
    #[test]
    fn percentiles_are_of_the_users(times in prop::collection::vec(0..10_000_i64, 1..300)) {
        let shown = tally(times.iter().map(|took| Summary {
            requested_at: Some(at(0)),
            access_removed_at: Some(at(*took)),
            ..summary(StateName::Deactivated)
        }));
        let shown = shown.access_removed.unwrap();
        let took = || times.iter().map(|took| seconds(took.unsigned_abs() * 1000));
        let not_over = |limit: f64| took().filter(|took| *took <= limit).count() * 100;
        let under = |limit: f64| took().filter(|took| *took < limit).count() * 100;
        for (limit, of_hundred) in [(shown.p50_seconds, 50), (shown.p95_seconds, 95), (shown.longest_seconds, 100)] {
            prop_assert!(not_over(limit) >= of_hundred * times.len());
            prop_assert!(under(limit) < of_hundred * times.len());
        }
        let in_time = times.iter().filter(|took| **took <= 15 * 60).count();
        prop_assert_eq!(shown.within_target, u64::try_from(in_time).unwrap());
        prop_assert_eq!(shown.last_at, at(*times.iter().max().unwrap()));
    }
}

#[test]
fn a_cancelled_user_is_neither_left_nor_a_dead_letter_and_is_not_counted_with_those_who_still_have_access()
 {
    let cancelled = |state| Summary {
        cancelled_at: Some(at(NOW - 5)),
        wait: Some(Wait {
            until: at(NOW + 99),
            why: "not_due".to_owned(),
        }),
        dead_letter: Some(Reason::ApiRejected),
        ..summary(state)
    };
    let shown = tally([StateName::Received, StateName::Archived].map(cancelled));
    assert_eq!((shown.cancelled, shown.left(), shown.dead()), (2, 0, 0));
    assert_eq!(shown.still_have_access, None);
    assert_eq!(shown.time_left_seconds, Some(0));
}

#[test]
fn who_still_has_access_is_counted_whatever_keeps_the_user_and_the_longest_is_the_first() {
    let asked = |state, second| Summary {
        requested_at: Some(at(second)),
        ..summary(state)
    };
    let dead = |reason| Summary {
        dead_letter: Some(reason),
        ..asked(StateName::Received, NOW - 50)
    };
    let mut tally = Tally::new(batch(), None, at(NOW));
    tally.add(&Known::Nothing, at(NOW - 131));
    for known in [
        asked(StateName::QueuesCleared, NOW - 40),
        asked(StateName::Deactivated, NOW - 900),
        dead(Reason::ApiRejected),
        dead(Reason::UserNotFound),
    ] {
        tally.add(&Known::Summary(known), at(0));
    }
    tally.add(&Known::Unreadable, at(NOW - 999));
    let shown = tally.finish().still_have_access.unwrap();
    assert_eq!((shown.users, shown.since), (3, at(NOW - 131)));
    assert!((shown.longest_seconds - 131.0).abs() < 0.001);

    let mut none = Tally::new(batch(), None, at(NOW));
    none.add(&Known::Summary(summary(StateName::Deleted)), at(0));
    assert_eq!(none.finish().still_have_access, None);
}
