use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::operations::Partial;
use crate::ports::ReplayNote;
use crate::ports::memory_queue::broken;
use crate::queue::headers::DELIVERY_COUNT;

impl Scene {
    /// Replays what a probe cannot prove, too: these tests are about what a replay moves, not about the assessment.
    fn replay(&self) -> Replay<'_> {
        Replay {
            broker: &self.broker,
            checkpoints: &*self.checkpoints,
            services: &self.services,
            canary: false,
            anyway: true,
        }
    }

    async fn execute(&self, plan: ReplayPlan, manner: Manner) -> Partial<ReplayReport> {
        let end = self.operate(replay_order(plan, manner)).await;
        let OperationReport::Replay(done) = end.report else {
            panic!("no replay");
        };
        Partial {
            done,
            failure: end.error,
        }
    }

    async fn replay_all(&self, manner: Manner) -> Partial<ReplayReport> {
        let replay = self.replay();
        let plan = replay.plan(DeadLetterFilter::default()).await.unwrap();
        self.execute(plan, manner).await
    }
}

fn manner() -> Manner {
    Manner::new(None, None, true)
}

fn canary() -> Manner {
    Manner::new(None, Some(Duration::from_mins(10)), true)
}

fn skipped(report: &ReplayReport) -> Vec<UserId> {
    users_of(report.skipped.iter().map(|skipped| &skipped.dead_letter))
}

#[tokio::test(start_paused = true)]
async fn a_replay_moves_the_dead_letters_of_its_plan_and_no_others() {
    let scene = Scene::with(0..4).await;
    let replay = scene.replay();
    let plan = replay.plan(only(1..4)).await.unwrap();
    assert_eq!(plan.to_replay(), 3);
    scene.give_up(4).await;

    let replayed = scene.execute(plan, manner()).await;

    assert!(replayed.failure.is_none());
    assert_eq!(users_of(&replayed.done.moved), all_of(1..4));
    assert_eq!(skipped(&replayed.done), []);
    assert_eq!(scene.published(), all_of(1..4));
    assert_eq!(scene.dead(), [user(0), user(4)]);
    assert_eq!(scene.broker.in_flight(), 0);

    for stored in scene.broker.messages(Source::Users.queue()) {
        assert_eq!(stored.properties.number(header::REPLAYS), Some(1));
        assert_eq!(stored.properties.text(header::REASON), None);
    }
    let of = |what: &str| (what.to_owned(), 3);
    assert_eq!(
        scene.audit_log().await,
        [of("dead-letters replay"), of("dead-letters replay ended")]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_replay_writes_nothing() {
    let scene = Scene::with(0..3).await;
    let before = scene.broker.messages(DEAD_LETTER_QUEUE);
    let replay = scene.replay();

    let plan = replay.plan(DeadLetterFilter::default()).await.unwrap();
    let report = plan.dry_run();

    assert_eq!(users_of(&report.moved), all_of(0..3));
    assert_eq!(scene.published(), []);
    assert_eq!(scene.objects(), Vec::<String>::new());
    for dead_letter in &report.moved {
        let id = dead_letter.id.as_str();
        assert_eq!(scene.checkpoints.replay_note(id).await.unwrap(), None);
    }
    let headers = |stored: &[Stored]| -> Vec<_> {
        let of = |one: &Stored| (one.body.clone(), one.properties.headers_json());
        stored.iter().map(of).collect()
    };
    let after = scene.broker.messages(DEAD_LETTER_QUEUE);
    assert_eq!(headers(&after), headers(&before));
}

#[tokio::test(start_paused = true)]
async fn a_canary_sends_one_then_ten_then_the_rest_each_after_the_stage_before_passed() {
    let scene = Scene::with(0..13).await;

    let workers = async {
        for (sent, answered) in [(1, 0..1), (11, 1..11)] {
            sleep(Duration::from_mins(1)).await;
            assert_eq!(scene.published().len(), sent);
            for number in answered {
                scene.save(number, |_passed| {}).await;
            }
        }
    };
    let (replayed, ()) = tokio::join!(scene.replay_all(canary()), workers);

    assert_eq!(users_of(&replayed.done.moved), all_of(0..13));
    assert_eq!(replayed.done.stopped, None);
    assert_eq!(scene.published(), all_of(0..13));
}

#[tokio::test(start_paused = true)]
async fn a_canary_halts_when_the_same_fault_comes_back() {
    let scene = Scene::with(0..13).await;

    let worker = async {
        sleep(Duration::from_mins(1)).await;
        let soon = scene.services.clock.now();
        let again = Failure::new(Class::Transient, Code::CxoneTimeout, "slow for 9 s");
        scene
            .save(0, |checkpoint| checkpoint.fail(again, true, soon, soon))
            .await;
    };
    let (replayed, ()) = tokio::join!(scene.replay_all(canary()), worker);

    let report = replayed.done;
    let stopped = report.stopped.clone().unwrap();
    assert!(stopped.contains("the fault came back"), "{stopped}");
    assert!(stopped.contains(&user(0).to_string()), "{stopped}");
    assert_eq!(users_of(&report.moved), all_of(0..1));
    assert_eq!(skipped(&report), all_of(1..13));
    assert_eq!(scene.published(), all_of(0..1));
    assert_eq!(scene.dead(), all_of(1..13));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_no_worker_takes_ends_after_its_patience() {
    let scene = Scene::with(0..2).await;
    let begun = Instant::now();

    let replayed = scene.replay_all(canary()).await;

    let waited = begun.elapsed();
    assert!(waited >= Duration::from_mins(10), "{waited:?}");
    assert!(waited < Duration::from_mins(11), "{waited:?}");
    let stopped = replayed.done.stopped.unwrap();
    assert!(stopped.contains("within 600 s"), "{stopped}");
    assert_eq!(scene.dead(), all_of(1..2));
}

#[tokio::test(start_paused = true)]
async fn a_canary_does_not_take_a_fault_from_before_the_replay_for_its_return() {
    let scene = Scene::with(0..2).await;
    let now = scene.services.clock.now();
    scene
        .save(0, |checkpoint| checkpoint.fail(fault(), true, now, now))
        .await;

    let replayed = scene.replay_all(canary()).await;

    let stopped = replayed.done.stopped.unwrap();
    assert!(stopped.contains("within 600 s"), "{stopped}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_its_rate_and_hides_no_dead_letter_for_long() {
    let scene = Scene::with(0..9).await;
    let replay = scene.replay();
    let pace = Manner::new(Some(Duration::from_secs(10)), None, true);
    let plan = replay.plan(only(1..9)).await.unwrap();
    let begun = Instant::now();

    let observer = async {
        for sent in 1..=8 {
            // Between two publishes: the first is at once, the others 10 s apart.
            sleep_until(begun + Duration::from_secs(10) * sent - Duration::from_secs(5)).await;
            assert_eq!(scene.published().len(), sent as usize);
        }
    };
    let (replayed, ()) = tokio::join!(scene.execute(plan, pace), observer);
    assert_eq!(users_of(&replayed.done.moved), all_of(1..9));

    // The dead letter that stays was delivered to the plan, and to a scan every 30 s.
    let mut scan = scene.broker.scan_dead_letters().await.unwrap();
    let left = scan.next().await.unwrap().unwrap();
    let deliveries = left.envelope.properties.number(DELIVERY_COUNT);
    assert_eq!(deliveries, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_replay_reports_a_dead_letter_that_vanished() {
    let scene = Scene::with(0..2).await;
    let replay = scene.replay();
    let plan = replay.plan(DeadLetterFilter::default()).await.unwrap();
    scene.take_off(0).await;

    let report = scene.execute(plan, manner()).await.done;

    assert_eq!(users_of(&report.moved), all_of(1..2));
    assert_eq!(skipped(&report), all_of(0..1));
    let why = &report.skipped[0].why;
    assert!(why.contains("not in the queue any more"), "{why}");
    assert_eq!(scene.published(), all_of(1..2));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_whose_publish_fails_stays_and_the_next_replay_continues() {
    let scene = Scene::with(0..2).await;
    scene.broker.fail_publish(broken("publish"));

    let cut_short = scene.replay_all(manner()).await;

    assert!(cut_short.failure.is_some());
    assert_eq!(users_of(&cut_short.done.moved), []);
    assert_eq!(scene.dead(), all_of(0..2));
    let ended = ("dead-letters replay ended".to_owned(), 0);
    assert_eq!(scene.audit_log().await.last(), Some(&ended));

    let replayed = scene.replay_all(manner()).await;
    assert_eq!(users_of(&replayed.done.moved), all_of(0..2));
    assert_eq!(scene.published(), all_of(0..2));
    assert_eq!(scene.dead(), []);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_an_interrupted_replay_published_is_only_taken_off() {
    let scene = Scene::with(0..2).await;
    let replay = scene.replay();
    let plan = replay.plan(DeadLetterFilter::default()).await.unwrap();
    let planned = plan.dry_run().moved;
    let interrupted = planned.iter().find(|one| one.user_id == Some(user(0)));
    let note = ReplayNote {
        published: true,
        saved_before: None,
    };
    let id = interrupted.unwrap().id.as_str();
    scene.checkpoints.note_replay(id, &note).await.unwrap();

    let report = scene.replay_all(manner()).await.done;

    assert_eq!(users_of(&report.cleared), all_of(0..1));
    assert_eq!(users_of(&report.moved), all_of(1..2));
    assert_eq!(scene.published(), all_of(1..2));
    assert_eq!(scene.dead(), []);
}
