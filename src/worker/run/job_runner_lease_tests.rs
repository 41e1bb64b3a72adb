//! Runs whose user another worker has, or may have.

use super::*;
use crate::steps::test_services::{LEASE, LOOK_AGAIN};

#[tokio::test(start_paused = true)]
async fn a_user_whom_another_worker_has_is_delayed_and_no_step_is_done() {
    let checkpoints = TestCheckpoints {
        held_by_another: true,
        ..TestCheckpoints::default()
    };
    let mut scene = Scene::with(USER, Answer::Panic, checkpoints).await;
    scene.run().await;

    assert_eq!(deaths(&scene.only_delayed()), Some(1));
    assert_eq!(*scene.checkpoints.released.lock(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_look_at_a_busy_user_and_a_redelivery_are_soon_followed_by_another() {
    for (delayed, redelivered, soon) in [
        (false, false, true),
        (true, false, false),
        (true, true, true),
    ] {
        let broker = MemoryBroker::default();
        let headers = delayed.then(|| (NOT_BEFORE, 1_i64.into()));
        broker.put_ours(Source::Users, USER, headers);
        let checkpoints = TestCheckpoints {
            held_by_another: true,
            ..TestCheckpoints::default()
        };
        let mut scene = Scene::over(broker, Answer::Panic, checkpoints).await;
        if redelivered {
            drop(scene.receive().await);
            scene.intake = scene.broker.open_intake(1).await.unwrap();
        }
        scene.run().await;
        let now = scene.services.clock.now();
        let until = scene.only_delayed().properties.time(NOT_BEFORE).unwrap();
        let wait = Duration::try_from(until.duration_since(now)).unwrap();
        assert_eq!(
            wait <= LOOK_AGAIN,
            soon,
            "{delayed} {redelivered}: {wait:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_step_where_it_is_and_is_not_released() {
    let checkpoints = TestCheckpoints {
        loses_lease: true,
        ..TestCheckpoints::default()
    };
    let slow = Answer::FailAfter(LEASE * 5, permanent());
    let mut scene = Scene::with(USER, slow, checkpoints).await;
    let begun = Instant::now();
    scene.run().await;

    assert!(begun.elapsed() < LEASE, "{:?}", begun.elapsed());
    scene.only_delayed();
    assert!(scene.checkpoints.saved.lock().is_none());
    assert_eq!(*scene.checkpoints.released.lock(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_unsure_of_its_lease_stops_where_it_is_and_a_redis_that_is_away_stops_the_intake()
 {
    let code = Code::CheckpointsUnreachable;
    let away = Failure::new(Class::Systemic, code, "no answer");
    for cause in [None, Some(away)] {
        let checkpoints = TestCheckpoints {
            unsure: Some((LEASE / 4, cause.clone())),
            ..TestCheckpoints::default()
        };
        let slow = Answer::FailAfter(LEASE, permanent());
        let mut scene = Scene::with(USER, slow, checkpoints).await;
        let begun = Instant::now();
        scene.run().await;

        assert!(begun.elapsed() < LEASE / 2, "{:?}", begun.elapsed());
        scene.only_delayed();
        assert_eq!(*scene.checkpoints.released.lock(), 0);
        assert_eq!(*scene.checkpoints.released_later.lock(), 1);
        let said = scene.breaker.cause();
        assert_eq!(said.is_some(), cause.is_some(), "{said:?}");
    }
}
