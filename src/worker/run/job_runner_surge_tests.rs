//! Runs of a release that fails for one user after the other.

use super::*;
use crate::ports::SurgeCount;
use crate::steps::test_surges::TestSurges;
use crate::steps::{CLAIM, SurgeWatch};

/// `failed` users of this release failed with the same fault, this one included.
async fn scene(answer: Answer, failed: u64) -> Scene {
    let deaths = if matches!(answer, Answer::Probes(..)) {
        5
    } else {
        0
    };
    let checkpoints = TestCheckpoints {
        deaths,
        ..TestCheckpoints::default()
    };
    scene_with(answer, checkpoints, failed).await
}

async fn scene_with(answer: Answer, checkpoints: TestCheckpoints, failed: u64) -> Scene {
    let mut scene = Scene::with(USER, answer, checkpoints).await;
    let surges = Arc::new(TestSurges::answering(Ok(SurgeCount {
        failed,
        passed: 0,
        lifted: 0,
    })));
    let services = Arc::get_mut(&mut scene.services).unwrap();
    let clock = services.clock.clone();
    services.surges = Some(SurgeWatch::new(surges, clock, "w-1"));
    scene
}

/// A refusal, a panic, and workers that died: nobody works on a user of the last one.
fn faults() -> [Answer; 3] {
    let nothing = Answer::Probes(Duration::ZERO, Ok(()));
    [Answer::Fail(permanent()), Answer::Panic, nothing]
}

#[tokio::test(start_paused = true)]
async fn the_fifth_user_of_a_fault_waits_and_only_its_lane_stops() {
    for answer in faults() {
        let mut scene = scene(answer, 5).await;
        scene.run().await;

        assert_eq!(deaths(&scene.only_delayed()), Some(1), "deaths still count");
        assert!(scene.checkpoints.saved.lock().is_none());
        assert_eq!(*scene.checkpoints.released.lock(), 1);
        let cause = scene.lanes.of(Lane::Access).cause().unwrap();
        assert!(cause.ends_with("[surge]"), "{cause}");
        assert_eq!(scene.lanes.of(Lane::Archive).cause(), None);
        assert_eq!(scene.breaker.cause(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn those_before_the_fifth_are_dead_letters_and_stop_nothing() {
    for answer in faults() {
        let mut scene = scene(answer, 4).await;
        scene.run().await;
        assert_eq!(scene.dead_letters().len(), 1);
        assert_eq!(scene.lanes.of(Lane::Access).cause(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_step_is_saved_as_a_dead_letter_of_that_step() {
    let mut scene = Scene::new(USER, Answer::Panic).await;
    scene.run().await;

    let dead = scene.only_dead_letter(Reason::Poison);
    assert!(
        dead.properties
            .text(dead_letter::STEP)
            .is_some_and(|step| !step.is_empty())
    );
    let (_, saved) = scene.checkpoints.saved.lock().clone().unwrap();
    assert_eq!(saved.dead_letter.unwrap().reason, Reason::Poison);
    assert_eq!(*scene.checkpoints.released.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_between_two_steps_stops_the_lane_although_every_user_was_claimed() {
    let checkpoints = TestCheckpoints {
        saving_panics: true,
        ..TestCheckpoints::default()
    };
    let mut scene = scene_with(Answer::Fail(transient()), checkpoints, 5).await;
    let surges = scene.services.surges.as_ref().unwrap();
    (0..5).for_each(|_| surges.passed(CLAIM));
    scene.run().await;

    scene.only_delayed();
    let cause = scene.lanes.of(Lane::Access).cause().unwrap();
    assert!(cause.contains("a run panicked"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_no_run_panics_in_any_more_continues() {
    let panics = TestCheckpoints {
        saving_panics: true,
        ..TestCheckpoints::default()
    };
    let mut scene = scene_with(Answer::Fail(transient()), panics, 5).await;
    scene.run().await;
    let lane = scene.lanes.of(Lane::Access);
    lane.half_open();
    assert!(lane.is_half_open());

    let services = Arc::get_mut(&mut scene.services).unwrap();
    services.checkpoints = Arc::new(TestCheckpoints::default());
    scene.broker.put(Source::Users, USER);
    scene.run().await;
    assert!(!scene.lanes.of(Lane::Access).is_half_open());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_to_many_users_stops_its_lane_unless_a_right_is_missing() {
    let of_many = |may_lack_right| {
        let one = Failure {
            may_lack_right,
            ..permanent()
        };
        Answer::Fail(Failure {
            of_one: Some(Box::new(one)),
            ..systemic()
        })
    };
    let mut refused = scene(of_many(false), 5).await;
    refused.run().await;
    assert_eq!(refused.breaker.cause(), None);
    assert!(refused.lanes.of(Lane::Access).cause().is_some());

    let mut lacks_right = scene(of_many(true), 5).await;
    lacks_right.run().await;
    assert!(lacks_right.breaker.cause().is_some());
    assert_eq!(lacks_right.lanes.of(Lane::Access).cause(), None);
}
