use std::time::Duration;

use super::*;
use crate::steps::test_surges::TestSurges;

const AWAY: &str = "no answer";

fn user(number: u64) -> UserId {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

fn away() -> Arc<TestSurges> {
    let failure = Failure::new(Class::Systemic, Code::CheckpointsUnreachable, AWAY);
    Arc::new(TestSurges::answering(Err(failure)))
}

fn counted(failed: u64, passed: u64) -> Arc<TestSurges> {
    let lifted = 0;
    Arc::new(TestSurges::answering(Ok(SurgeCount {
        failed,
        passed,
        lifted,
    })))
}

fn watch(surges: &Arc<TestSurges>) -> SurgeWatch {
    let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
    SurgeWatch::new(Arc::clone(surges) as Arc<dyn Surges>, clock, "a")
}

async fn fail_as(watch: &SurgeWatch, user_id: UserId, code: Code, error: &str) -> SurgeVerdict {
    let failing = AboutToFail {
        user_id,
        lane: Lane::Archive,
        step: "archive",
        code,
        error,
    };
    watch.judge(failing).await
}

async fn fail(watch: &SurgeWatch, number: u64) -> SurgeVerdict {
    fail_as(watch, user(number), Code::Panicked, "boom").await
}

fn stops(verdict: &SurgeVerdict) -> bool {
    matches!(verdict, SurgeVerdict::StopLane(failure)
        if failure.code == Code::Surge && failure.class == Class::Systemic)
}

#[tokio::test(start_paused = true)]
async fn without_redis_the_fifth_user_of_one_fault_within_ten_minutes_stops_the_lane() {
    let watch = watch(&away());
    for number in 0..4 {
        assert_eq!(fail(&watch, number).await, SurgeVerdict::GiveUp);
    }
    tokio::time::advance(Duration::from_mins(10)).await;
    for number in 4..8 {
        assert_eq!(fail(&watch, number).await, SurgeVerdict::GiveUp);
    }
    assert_eq!(fail(&watch, 7).await, SurgeVerdict::GiveUp, "the same user");
    let other = fail_as(&watch, user(8), Code::Internal, "other").await;
    assert_eq!(other, SurgeVerdict::GiveUp, "another fault");
    assert!(stops(&fail(&watch, 9).await));
}

#[tokio::test(start_paused = true)]
async fn as_many_who_got_through_this_step_show_that_it_is_the_users_fault() {
    let watch = watch(&away());
    (0..5).for_each(|_| watch.passed("delete"));
    (0..5).for_each(|_| watch.passed("archive"));
    for number in 0..5 {
        assert_eq!(fail(&watch, number).await, SurgeVerdict::GiveUp);
    }
    assert!(
        stops(&fail(&watch, 5).await),
        "six failed, five got through"
    );

    (0..9).for_each(|_| watch.passed("archive"));
    tokio::time::advance(Duration::from_mins(9)).await;
    assert_eq!(fail(&watch, 6).await, SurgeVerdict::GiveUp);
    tokio::time::advance(Duration::from_mins(2)).await;
    for number in 10..14 {
        fail(&watch, number).await;
    }
    assert!(
        stops(&fail(&watch, 14).await),
        "what passed is too long ago"
    );
}

#[tokio::test(start_paused = true)]
async fn what_all_workers_of_the_release_counted_decides() {
    assert!(stops(&fail(&watch(&counted(5, 4)), 0).await));
    assert_eq!(fail(&watch(&counted(5, 5)), 0).await, SurgeVerdict::GiveUp);
    assert_eq!(fail(&watch(&counted(4, 0)), 0).await, SurgeVerdict::GiveUp);

    let surges = counted(1, 0);
    let watch = watch(&surges);
    watch.passed("archive");
    watch.passed("archive");
    fail(&watch, 0).await;
    let minute = 1_800_000_000 / 60;
    assert_eq!(*surges.said.lock(), [(minute, 2)]);
}

#[tokio::test(start_paused = true)]
async fn ids_that_the_tenant_does_not_know_and_protected_users_stop_nobody() {
    let surges = counted(50, 0);
    let watch = watch(&surges);
    for code in [Code::UserNotFound, Code::ProtectedUser] {
        let verdict = fail_as(&watch, user(0), code, "not this user").await;
        assert_eq!(verdict, SurgeVerdict::GiveUp);
    }
    assert_eq!(*surges.asked.lock(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_a_later_release_waits_for_it_however_many_others_get_through() {
    let unreadable = Code::CheckpointUnreadable;
    let few = fail_as(&watch(&counted(4, 9)), user(0), unreadable, "newer").await;
    assert_eq!(few, SurgeVerdict::GiveUp);
    let many = fail_as(&watch(&counted(5, 9)), user(0), unreadable, "newer").await;
    assert!(matches!(many, SurgeVerdict::Wait(_)), "{many:?}");
    let all = fail_as(&watch(&counted(5, 0)), user(0), unreadable, "newer").await;
    assert!(stops(&all));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_gets_through_the_step_at_fault_ends_the_stop_of_its_lane() {
    let watch = watch(&counted(5, 0));
    watch.passed("archive");
    assert!(stops(&fail(&watch, 0).await));
    watch.passed("delete");
    assert!(!watch.is_over(Lane::Archive), "another step");
    watch.passed("archive");
    assert!(!watch.is_over(Lane::Access), "another lane");
    assert!(watch.is_over(Lane::Archive));
    assert!(!watch.is_over(Lane::Archive), "it is over once");
}

#[tokio::test(start_paused = true)]
async fn a_lift_is_said_once_and_one_from_before_the_surge_is_none() {
    let surges = counted(5, 0);
    surges.lift("any").await.unwrap();
    let watch = watch(&surges);
    fail(&watch, 0).await;
    assert!(!watch.was_lifted().await.unwrap());

    surges.lift("any").await.unwrap();
    // The next user who fails may be the first to see it.
    fail(&watch, 1).await;
    assert!(watch.was_lifted().await.unwrap());
    assert!(!watch.was_lifted().await.unwrap());

    *surges.lifted.lock() = 0;
    assert!(!watch.was_lifted().await.unwrap(), "Redis lost its data");
}

#[tokio::test(start_paused = true)]
async fn no_probe_becomes_a_dead_letter_however_few_users_are_left() {
    let watch = watch(&away());
    for number in 0..5 {
        fail(&watch, number).await;
    }
    for _ in 0..15 {
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(stops(&fail(&watch, 4).await));
    }
    let other = fail_as(&watch, user(4), Code::Internal, "other").await;
    assert_eq!(other, SurgeVerdict::GiveUp, "a fault that stopped nothing");
}
