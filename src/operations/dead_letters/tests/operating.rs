//! Operations that processes die on, that are stopped and slowed, and whose progress is lost.

use tokio::time::{sleep, timeout};

use super::*;
use crate::operations::operation::Operation;
use crate::ports::ReplayNote;
use crate::ports::operations::{OperationKind, OperationState};

impl Scene {
    /// Begins a replay of all dead letters, one every ten seconds.
    async fn begin(&self) -> Operation {
        let manner = Manner::new(Some(Duration::from_secs(10)), None, true);
        self.begin_with(manner).await
    }

    pub(super) async fn begin_with(&self, manner: Manner) -> Operation {
        let replay = Replay {
            broker: &self.broker,
            checkpoints: &*self.checkpoints,
            services: &self.services,
            canary: manner.canary_ms.is_some(),
            anyway: true,
        };
        let plan = replay.plan(DeadLetterFilter::default()).await.unwrap();
        let order = replay_order(plan, manner);
        let place = self.executor().place;
        place.begin(order, &operator()).await.unwrap()
    }
}

async fn execute(executor: &Executor, begun: &Operation, draining: &CancellationToken) -> Executed {
    let executing = executor.execute(begun.id, begun.kind, draining, OnFailure::Leave);
    executing.await.unwrap()
}

async fn to_its_end(executor: &Executor, begun: &Operation) -> OperationEnd {
    match execute(executor, begun, &CancellationToken::new()).await {
        Executed::Ended(end) => *end,
        _ => panic!("it did not end"),
    }
}

fn report(end: OperationEnd) -> ReplayReport {
    match end.report {
        OperationReport::Replay(report) => report,
        _ => panic!("no replay"),
    }
}

/// One dead letter is replayed at the beginning, and one every ten seconds.
async fn interrupted_after(seconds: u64, executor: &Executor, begun: &Operation) {
    let draining = CancellationToken::new();
    let drain = async {
        sleep(Duration::from_secs(seconds)).await;
        draining.cancel();
    };
    let ended = tokio::join!(execute(executor, begun, &draining), drain);
    assert!(matches!(ended.0, Executed::Interrupted));
}

#[tokio::test(start_paused = true)]
async fn an_operation_continues_in_another_process_with_nothing_twice_and_one_report() {
    let scene = Scene::with(0..6).await;
    let executor = scene.executor();
    let begun = scene.begin().await;
    scene.give_up(6).await;
    interrupted_after(25, &executor, &begun).await;
    assert_eq!(scene.published().len(), 3);
    let place = &executor.place;
    let view = place.glance(begun.id).await.unwrap().unwrap();
    assert_eq!(
        (view.state, view.done, view.items),
        (OperationState::Running, 3, 6)
    );

    let end = to_its_end(&executor, &begun).await;

    assert_eq!((end.state, end.by.as_str()), (OperationState::Done, "w-1"));
    let report = report(end);
    assert_eq!(users_of(&report.moved), all_of(0..6));
    assert_eq!(report.groups[0].moved, 6);
    assert_eq!(scene.published(), all_of(0..6));
    assert_eq!(scene.dead(), [user(6)], "it came after the set was frozen");
    let of = |what: &str| (what.to_owned(), 6);
    let entries = [of("dead-letters replay"), of("dead-letters replay ended")];
    assert_eq!(scene.audit_log().await, entries);

    let shown = place.show(begun.id, 0, 100).await.unwrap().unwrap();
    assert_eq!((shown.results.len(), shown.operation.taken_up), (6, 2));
    assert_eq!(shown.operation.counts["moved"], 6);
    // A third process finds nothing to do.
    let again = to_its_end(&executor, &begun).await;
    assert_eq!(again.state, OperationState::Done);
    assert_eq!(scene.audit_log().await, entries);
    assert_eq!(scene.published(), all_of(0..6));
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_progress_is_lost_continues_from_the_archive_store_with_nothing_twice() {
    let scene = Scene::with(0..4).await;
    let begun = scene.begin().await;
    interrupted_after(15, &scene.executor(), &begun).await;
    assert_eq!(scene.published().len(), 2);

    let file = tempfile::tempdir().unwrap();
    let empty = Arc::new(EmbeddedCheckpoints::open(file.path(), Clock::system()).unwrap());
    let mut executor = scene.executor();
    executor.place.operations = Arc::clone(&empty) as Arc<dyn operations::Operations>;
    executor.checkpoints = empty;
    let report = report(to_its_end(&executor, &begun).await);

    assert_eq!(scene.published(), all_of(0..4));
    assert_eq!(report.moved.len(), 2);
    assert_eq!(report.skipped.len(), 2, "nobody knows who took them off");
    let why = &report.skipped[0].why;
    assert!(why.contains("not in the queue any more"), "{why}");
    let listed = executor.place.list(None, 10).await.unwrap().operations;
    assert_eq!((listed[0].id, listed[0].items), (begun.id, 4));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_whose_process_died_before_its_result_was_noted_counts_as_moved() {
    let scene = Scene::with(0..3).await;
    let begun = scene.begin().await;
    let died_on = &begun.set.dead_letters[0];
    let note = ReplayNote {
        published: true,
        saved_before: None,
    };
    let id = died_on.id.as_str();
    scene.checkpoints.note_replay(id, &note).await.unwrap();
    scene.take_off(0).await;

    let report = report(to_its_end(&scene.executor(), &begun).await);

    assert_eq!(users_of(&report.moved), all_of(0..3));
    assert_eq!(scene.published(), all_of(1..3));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_stopped_leaves_the_rest_and_says_who_stopped_it() {
    let scene = Scene::with(0..6).await;
    let executor = scene.executor();
    let begun = scene.begin().await;
    let stopping = async {
        sleep(Duration::from_secs(25)).await;
        let place = &executor.place;
        let kind = place.stop(begun.id, &operator()).await.unwrap();
        assert_eq!(kind, OperationKind::Replay);
    };
    let ended = async { timeout(Duration::from_secs(30), to_its_end(&executor, &begun)).await };
    let stopped = tokio::join!(ended, stopping).0.expect("it stops at once");

    assert_eq!(stopped.state, OperationState::Stopped);
    assert_eq!(
        stopped.stop.as_ref().map(|stop| stop.who.as_str()),
        Some("ada@host")
    );
    let report = report(stopped);
    assert_eq!((report.moved.len(), report.skipped.len()), (3, 3));
    assert!(
        report.skipped[0].why.contains("ada@host stopped"),
        "{}",
        report.skipped[0].why
    );
    assert_eq!((scene.published().len(), scene.dead().len()), (3, 3));
    assert_eq!(scene.broker.in_flight(), 0);

    let again = executor
        .place
        .stop(begun.id, &operator())
        .await
        .unwrap_err();
    assert!(again.to_string().contains("has ended: stopped"), "{again}");
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_an_operation_changes_while_it_runs() {
    let scene = Scene::with(0..8).await;
    let executor = scene.executor();
    let begun = scene.begin().await;
    let observing = async {
        sleep(Duration::from_secs(12)).await;
        assert_eq!(scene.published().len(), 2);
        let pace = Duration::from_mins(1);
        let slowed = executor.place.set_pace(begun.id, pace, &operator()).await;
        slowed.unwrap();
        sleep(Duration::from_secs(50)).await;
        assert_eq!(scene.published().len(), 2, "a minute is not over");
        let pace = Duration::from_millis(100);
        executor
            .place
            .set_pace(begun.id, pace, &operator())
            .await
            .unwrap();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(scene.published().len(), 8);
    };
    let ended = tokio::join!(to_its_end(&executor, &begun), observing).0;
    assert_eq!(report(ended).moved.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_canary_continues_at_its_stage_in_another_process() {
    let scene = Scene::with(0..13).await;
    let executor = scene.executor();
    let manner = Manner::new(None, Some(Duration::from_mins(10)), true);
    let begun = scene.begin_with(manner).await;
    interrupted_after(30, &executor, &begun).await;
    assert_eq!(scene.published().len(), 1);

    let workers = async {
        sleep(Duration::from_mins(1)).await;
        assert_eq!(scene.published().len(), 1, "the first one has not passed");
        for (sent, answered) in [(1, 0..1), (11, 1..11)] {
            assert_eq!(scene.published().len(), sent);
            for number in answered {
                scene.save(number, |_passed| {}).await;
            }
            sleep(Duration::from_mins(1)).await;
        }
    };
    let ended = tokio::join!(to_its_end(&executor, &begun), workers).0;
    assert_eq!(report(ended).moved.len(), 13);
    assert_eq!(scene.published(), all_of(0..13));
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_a_service_leaves_an_operation_open_and_says_why_it_does_not_get_on() {
    let scene = Scene::with(0..2).await;
    let executor = scene.executor();
    let begun = scene.begin().await;
    let broken = crate::ports::memory_queue::broken("publish");
    scene.broker.fail_publish(broken);
    let goes_on = CancellationToken::new();
    let failed = executor.execute(begun.id, begun.kind, &goes_on, OnFailure::Leave);
    assert!(failed.await.is_err());

    let view = executor.place.glance(begun.id).await.unwrap().unwrap();
    assert_eq!(view.state, OperationState::Running);
    assert!(view.trouble.is_some());
    let report = report(to_its_end(&executor, &begun).await);
    assert_eq!(report.moved.len(), 2);
    assert_eq!(scene.published(), all_of(0..2));
}
