use super::*;

const SAMPLE_EVERY: Duration = Duration::from_secs(10);

const IDLE: Sample = Sample {
    takeable: [false; 4],
    received: [0; 4],
    held_up: false,
    at_work: false,
    progress: 0,
};
/// Jobs wait in `offboarding.users`, and could be taken.
const WAITS: Sample = Sample {
    takeable: [false, true, false, false],
    ..IDLE
};
const HELD_UP: Sample = Sample {
    held_up: true,
    at_work: true,
    ..WAITS
};
const AT_WORK: Sample = Sample {
    at_work: true,
    ..IDLE
};

/// Samples for some minutes, with the loop turning.
async fn samples(health: &Health, minutes: u64, mut sample: impl FnMut(u64) -> Sample) {
    for number in 0..minutes * 6 {
        tokio::time::advance(SAMPLE_EVERY).await;
        health.turned(true);
        health.sampled(sample(number));
    }
}

fn is_healthy(health: &Health) -> bool {
    health.unhealthy_reasons().is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_has_nothing_to_do_is_healthy() {
    let health = Health::default();
    samples(&health, 600, |_| IDLE).await;
    assert!(is_healthy(&health));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_makes_no_turn_is_unhealthy_until_it_does() {
    let health = Health::default();
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(is_healthy(&health), "it is starting");
    health.turned(true);
    tokio::time::advance(Duration::from_secs(179)).await;
    assert!(is_healthy(&health));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        health.unhealthy_reasons(),
        ["the loop that receives deliveries has made no turn for 180 s"]
    );
    // While it reopens the intake it receives nothing, and turns.
    health.turned(false);
    assert!(is_healthy(&health));
}

#[tokio::test(start_paused = true)]
async fn jobs_that_could_be_taken_and_are_not_delivered_are_unhealthy_after_five_minutes() {
    let health = Health::default();
    samples(&health, 5, |_| WAITS).await;
    assert!(is_healthy(&health));
    samples(&health, 1, |_| WAITS).await;
    let because = health.unhealthy_reasons();
    assert!(because[0].starts_with(
        "jobs wait in offboarding.users, slots are free, and RabbitMQ delivered none for 3"
    ));
    // Deliveries of another lane do not count for these.
    samples(&health, 1, |number| Sample {
        received: [0, 0, number, number],
        ..WAITS
    })
    .await;
    assert!(!is_healthy(&health));
    samples(&health, 1, |number| Sample {
        received: [0, number, 0, 0],
        ..WAITS
    })
    .await;
    assert!(is_healthy(&health));
}

#[tokio::test(start_paused = true)]
async fn what_keeps_users_waiting_begins_the_count_again() {
    let health = Health::default();
    samples(&health, 60, |_| HELD_UP).await;
    assert!(is_healthy(&health));
    samples(&health, 5, |_| WAITS).await;
    samples(&health, 1, |_| HELD_UP).await;
    samples(&health, 5, |_| WAITS).await;
    assert!(is_healthy(&health), "each stretch was short");
    // Paused for one message in isolation, or being opened.
    for _ in 0..60 {
        tokio::time::advance(SAMPLE_EVERY).await;
        health.turned(false);
        health.sampled(WAITS);
    }
    assert!(is_healthy(&health));
}

#[tokio::test(start_paused = true)]
async fn users_in_progress_without_progress_are_unhealthy_after_twenty_minutes() {
    let health = Health::default();
    samples(&health, 20, |_| AT_WORK).await;
    assert!(is_healthy(&health));
    samples(&health, 1, |_| AT_WORK).await;
    let because = health.unhealthy_reasons();
    assert!(
        because[0].starts_with(
            "users are in progress, and nothing was answered, saved or settled for 12"
        )
    );
    // One call in that time is enough, and so is a wait for a quota.
    samples(&health, 19, |_| Sample {
        progress: 1,
        ..AT_WORK
    })
    .await;
    assert!(is_healthy(&health));
    samples(&health, 19, |_| Sample {
        progress: 2,
        ..AT_WORK
    })
    .await;
    assert!(is_healthy(&health));
    samples(&health, 1, |_| Sample {
        progress: 2,
        at_work: false,
        ..AT_WORK
    })
    .await;
    samples(&health, 19, |_| Sample {
        progress: 2,
        ..AT_WORK
    })
    .await;
    assert!(is_healthy(&health));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_counts_again_and_so_does_one_that_cannot_sample() {
    let health = Health::default();
    samples(&health, 4, |_| Sample {
        at_work: true,
        ..WAITS
    })
    .await;
    tokio::time::advance(Duration::from_hours(1)).await;
    health.turned(true);
    health.sampled(Sample {
        at_work: true,
        ..WAITS
    });
    samples(&health, 4, |_| Sample {
        at_work: true,
        ..WAITS
    })
    .await;
    assert!(is_healthy(&health));
}

#[tokio::test]
async fn a_dead_task_is_unhealthy() {
    let health = Health::default();
    let lives = tokio::spawn(std::future::pending::<()>());
    let dies = tokio::spawn(async {});
    health.needs("samples", lives.abort_handle());
    health.needs("probes", dies.abort_handle());
    dies.await.unwrap();
    assert_eq!(health.unhealthy_reasons(), ["the task that probes is dead"]);
    lives.abort();
}
