//! When a run announces that a batch is finished.

use super::*;

const OF_BATCH: &str = r#"{"userId":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","batchId":"b-1"}"#;

#[tokio::test(start_paused = true)]
async fn the_end_of_a_batch_is_announced_after_its_last_dead_letter_and_noted() {
    let batch = FinishedBatch {
        batch_id: "b-1".parse().unwrap(),
        deleted: 4,
        deactivated_only: 0,
        dead_lettered: 1,
        cancelled: 0,
        at: Timestamp::UNIX_EPOCH,
        change: 5,
    };
    let checkpoints = TestCheckpoints {
        finished_batch: Some(batch).into(),
        ..TestCheckpoints::default()
    };
    let mut scene = Scene::with(OF_BATCH, Answer::Fail(permanent()), checkpoints).await;
    scene.run().await;

    scene.only_dead_letter(Reason::ApiRejected);
    let events = scene.broker.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["id"], "b-1/finished/4-0-1");
    assert_eq!(*scene.checkpoints.settled.lock(), [USER.parse().unwrap()]);
    assert!(scene.checkpoints.finished_batch.lock().is_none(), "noted");
}

#[tokio::test(start_paused = true)]
async fn only_an_end_asks_for_the_batch_and_while_it_cannot_the_job_stays() {
    let mut scene = Scene::new(OF_BATCH, Answer::Fail(transient())).await;
    scene.run().await;
    scene.only_delayed();
    assert!(scene.checkpoints.settled.lock().is_empty());

    let checkpoints = TestCheckpoints {
        settling_fails: Some(systemic()),
        ..TestCheckpoints::default()
    };
    let mut scene = Scene::with(OF_BATCH, Answer::Fail(permanent()), checkpoints).await;
    scene.run().await;
    scene.only_delayed();
    assert!(scene.broker.events().is_empty());
    assert!(scene.breaker.cause().is_some());
}
