//! The deletion rate limit, over every checkpoint store.

use std::time::Duration;

use jiff::SignedDuration;

use super::setup::{CheckpointStore, embedded, redis, user};
use crate::clock::Clock;
use crate::limits::RateLimit;
use crate::ports::Admission::{Counted, Unknown, Wait};
use crate::ports::{CountOf, Requester};

const HOUR: Duration = Duration::from_hours(1);
const TWO_AN_HOUR: RateLimit = RateLimit {
    count: 2,
    per: HOUR,
};

super::over_each_adapter!({
    a_count_that_was_never_begun_is_unknown,
    a_count_that_does_not_reach_far_enough_is_unknown,
    users_are_counted_once_and_the_limit_says_how_long_to_wait,
    restored_deletions_count_until_their_user_asks,
    a_second_restore_never_shortens_the_reach,
    requests_are_counted_apart_from_deletions,
    deletions_without_an_approval_are_counted_for_each_requester,
} over redis, embedded);

async fn a_count_that_was_never_begun_is_unknown(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    assert!(
        !checkpoints
            .count_reaches(CountOf::Deletions, HOUR)
            .await
            .unwrap()
    );
    let admission = checkpoints
        .admit(CountOf::Deletions, user(), TWO_AN_HOUR)
        .await;
    assert_eq!(admission.unwrap(), Unknown);
}

async fn a_count_that_does_not_reach_far_enough_is_unknown(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    checkpoints
        .restore_count(CountOf::Deletions, HOUR, &[])
        .await
        .unwrap();
    assert!(
        checkpoints
            .count_reaches(CountOf::Deletions, HOUR)
            .await
            .unwrap()
    );
    assert!(
        checkpoints
            .count_reaches(CountOf::Deletions, HOUR / 2)
            .await
            .unwrap()
    );
    assert!(
        !checkpoints
            .count_reaches(CountOf::Deletions, HOUR * 2)
            .await
            .unwrap()
    );

    let longer = RateLimit {
        per: HOUR * 2,
        ..TWO_AN_HOUR
    };
    let admission = checkpoints.admit(CountOf::Deletions, user(), longer).await;
    assert_eq!(admission.unwrap(), Unknown);
}

async fn users_are_counted_once_and_the_limit_says_how_long_to_wait(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    checkpoints
        .restore_count(CountOf::Deletions, HOUR, &[])
        .await
        .unwrap();
    let first = user();
    let second = user();
    for user_id in [first, second, first, second] {
        let admission = checkpoints
            .admit(CountOf::Deletions, user_id, TWO_AN_HOUR)
            .await;
        assert_eq!(admission.unwrap(), Counted);
    }

    let third = checkpoints
        .admit(CountOf::Deletions, user(), TWO_AN_HOUR)
        .await;
    let Wait(wait) = third.unwrap() else {
        panic!("two of two were counted");
    };
    assert!(wait > Duration::from_mins(59) && wait <= HOUR, "{wait:?}");
    let shorter = RateLimit {
        per: Duration::from_millis(1),
        ..TWO_AN_HOUR
    };
    tokio::time::sleep(Duration::from_millis(5)).await;
    let admission = checkpoints.admit(CountOf::Deletions, user(), shorter).await;
    assert_eq!(admission.unwrap(), Counted, "the others are long ago");
}

async fn restored_deletions_count_until_their_user_asks(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    let now = Clock::system().now();
    let long_ago = now - SignedDuration::from_hours(2);
    let first = user();
    let second = user();
    checkpoints
        .restore_count(
            CountOf::Deletions,
            HOUR,
            &[(first, now), (second, now), (user(), long_ago)],
        )
        .await
        .unwrap();
    let admission = checkpoints
        .admit(CountOf::Deletions, user(), TWO_AN_HOUR)
        .await;
    assert!(matches!(admission.unwrap(), Wait(_)), "two were restored");

    // A user who asks was not deleted: one deletion is left, and this one takes its place.
    let admission = checkpoints
        .admit(CountOf::Deletions, first, TWO_AN_HOUR)
        .await;
    assert_eq!(admission.unwrap(), Counted);
    let admission = checkpoints
        .admit(CountOf::Deletions, user(), TWO_AN_HOUR)
        .await;
    assert!(matches!(admission.unwrap(), Wait(_)));
    let admission = checkpoints
        .admit(CountOf::Deletions, second, TWO_AN_HOUR)
        .await;
    assert_eq!(admission.unwrap(), Counted);
}

async fn a_second_restore_never_shortens_the_reach(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    let counted = user();
    checkpoints
        .restore_count(CountOf::Deletions, HOUR, &[])
        .await
        .unwrap();
    checkpoints
        .admit(CountOf::Deletions, counted, TWO_AN_HOUR)
        .await
        .unwrap();

    let restored = [
        (counted, Clock::system().now()),
        (user(), Clock::system().now()),
    ];
    checkpoints
        .restore_count(CountOf::Deletions, HOUR / 2, &restored)
        .await
        .unwrap();
    assert!(
        checkpoints
            .count_reaches(CountOf::Deletions, HOUR)
            .await
            .unwrap()
    );
    let admission = checkpoints
        .admit(CountOf::Deletions, counted, TWO_AN_HOUR)
        .await;
    assert_eq!(admission.unwrap(), Counted, "it was counted already");
    let admission = checkpoints
        .admit(CountOf::Deletions, user(), TWO_AN_HOUR)
        .await;
    assert!(
        matches!(admission.unwrap(), Wait(_)),
        "the counted user counts once, the restored one too"
    );
}

async fn requests_are_counted_apart_from_deletions(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    let of = CountOf::Deletions;
    checkpoints.restore_count(of, HOUR, &[]).await.unwrap();
    for _ in 0..2 {
        let admission = checkpoints.admit(of, user(), TWO_AN_HOUR).await;
        assert_eq!(admission.unwrap(), Counted);
    }

    let of = CountOf::Requests;
    assert!(!checkpoints.count_reaches(of, HOUR).await.unwrap());
    checkpoints.restore_count(of, HOUR, &[]).await.unwrap();
    let admission = checkpoints.admit(of, user(), TWO_AN_HOUR).await;
    assert_eq!(admission.unwrap(), Counted);
}

async fn deletions_without_an_approval_are_counted_for_each_requester(store: CheckpointStore) {
    let checkpoints = &store.checkpoints;
    let of = |person| CountOf::Unapproved(Requester::of(person));
    for person in [Some("ada"), Some("bob"), None] {
        assert!(!checkpoints.count_reaches(of(person), HOUR).await.unwrap());
        checkpoints
            .restore_count(of(person), HOUR, &[])
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let admission = checkpoints
            .admit(of(Some("ada")), user(), TWO_AN_HOUR)
            .await;
        assert_eq!(admission.unwrap(), Counted);
    }
    // A person has one count, however the name is written.
    let admission = checkpoints
        .admit(of(Some("Ada")), user(), TWO_AN_HOUR)
        .await;
    assert!(matches!(admission.unwrap(), Wait(_)));
    for person in [Some("bob"), None] {
        let admission = checkpoints.admit(of(person), user(), TWO_AN_HOUR).await;
        assert_eq!(admission.unwrap(), Counted);
    }
}
