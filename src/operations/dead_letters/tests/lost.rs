//! Operations whose orders, list or processes are lost, and canaries without evidence.

use tokio::time::sleep;

use super::*;
use crate::operations::operation::{MAX_ITEMS, work};
use crate::ports::operations::{
    OperationKind, OperationLease, OperationLine, OperationState, Operations,
};

impl Scene {
    /// A dead letter of the same fault whose body names no user.
    async fn give_up_nobody(&self, body: &str) {
        let properties = Properties::of_headers([
            (header::REASON, "retries_exhausted".into()),
            (header::ERROR, fault().to_string().as_str().into()),
            (header::STATE, "Received".into()),
            (header::ATTEMPTS, 8_i64.into()),
            (header::AT, "2023-11-14T22:13:20Z".into()),
            (header::WORKER, "w-1".into()),
        ]);
        let publisher = self.broker.publisher(1);
        let key = Source::Users.routing_key();
        let publishing = publisher.publish(DEAD_LETTER_EXCHANGE, key, body.as_bytes(), &properties);
        publishing.await.unwrap();
    }

    /// The same stores, and an empty store of the progress.
    fn with_lost_progress(&self) -> (Executor, tempfile::TempDir) {
        let file = tempfile::tempdir().unwrap();
        let empty = Arc::new(EmbeddedCheckpoints::open(file.path(), Clock::system()).unwrap());
        let mut executor = self.executor();
        executor.place.operations = empty;
        (executor, file)
    }
}

fn replayed(end: OperationEnd) -> ReplayReport {
    match end.report {
        OperationReport::Replay(report) => report,
        _ => panic!("no replay"),
    }
}

async fn to_its_end(executor: &Executor, id: operations::OperationId) -> OperationEnd {
    let goes_on = CancellationToken::new();
    let executing = executor.execute(id, OperationKind::Replay, &goes_on, OnFailure::Leave);
    match executing.await.unwrap() {
        Executed::Ended(end) => *end,
        _ => panic!("it did not end"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_to_stop_survives_the_loss_of_the_progress() {
    let scene = Scene::with(0..3).await;
    let begun = scene.begin_with(Manner::new(None, None, true)).await;
    let place = scene.executor().place;
    place.stop(begun.id, &operator()).await.unwrap();
    let lost = scene.with_lost_progress();

    let end = to_its_end(&lost.0, begun.id).await;

    assert_eq!(end.state, OperationState::Stopped);
    assert_eq!(end.stop.as_ref().unwrap().who, "ada@host");
    assert_eq!(scene.published(), []);
    let shown = lost.0.place.show(begun.id, 0, 10).await.unwrap().unwrap();
    assert_eq!(shown.operation.counts["skipped"], 3);
    assert_eq!(shown.results.len(), 3, "those that stay are named");
    assert_eq!(replayed(end).skipped.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_worker_finds_an_open_operation_that_the_list_of_the_progress_lost() {
    let scene = Scene::with(0..2).await;
    let begun = scene.begin_with(Manner::new(None, None, true)).await;
    let lost = scene.with_lost_progress();
    assert_eq!(lost.0.place.operations.list_open().await.unwrap().open, []);
    let draining = CancellationToken::new();

    let working = work(lost.0.clone(), OperationLine::DeadLetters, draining.clone());
    let stopping = async {
        sleep(Duration::from_mins(1)).await;
        draining.cancel();
    };
    tokio::join!(working, stopping);

    let end = lost.0.place.end_of(begun.id).await.unwrap().unwrap();
    assert_eq!(end.state, OperationState::Done);
    assert_eq!(scene.published(), all_of(0..2));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_six_processes_died_on_ends_without_its_set() {
    let scene = Scene::with(0..2).await;
    let begun = scene.begin_with(Manner::new(None, None, true)).await;
    let executor = scene.executor();
    for _death in 0..6 {
        let lease = OperationLease::new(begun.id, begun.kind.line(), "w-1");
        let store = &scene.checkpoints;
        let claimed = Operations::claim(&**store, &lease, begun.kind).await;
        assert!(matches!(
            claimed,
            Ok(operations::OperationClaim::Granted(_))
        ));
        store.forget_operation_leases();
    }

    let end = to_its_end(&executor, begun.id).await;

    assert_eq!(end.state, OperationState::Failed);
    let why = end.error.unwrap().text;
    assert!(why.contains("6 processes in a row died"), "{why}");
    assert!(why.contains("--limit"), "{why}");
    assert_eq!(scene.published(), []);
    assert_eq!(scene.dead(), all_of(0..2));
    let listed = executor.place.list(None, 10).await.unwrap().operations;
    assert_eq!(listed[0].state, OperationState::Failed);
    assert!(listed[0].ended_at.is_some() && listed[0].error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_too_large_is_refused_with_what_to_do() {
    let scene = Scene::with(0..1).await;
    let users = all_of(0..u32::try_from(MAX_ITEMS).unwrap() + 1);
    let manner = Manner::new(None, None, false);
    let order = crate::operations::operation::verify_order(users, true, manner);
    let place = scene.executor().place;
    let refused = place.begin(order, &operator()).await.unwrap_err();
    assert!(refused.text.contains("20001 items"), "{refused}");
    assert_eq!(scene.objects(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_another_scan_holds_for_a_moment_is_not_gone() {
    let scene = Scene::with(0..3).await;
    let begun = scene.begin_with(Manner::new(None, None, true)).await;
    let mut other = scene.broker.scan_dead_letters().await.unwrap();
    while other.next().await.unwrap().is_some() {}
    let listing = async {
        sleep(Duration::from_secs(1)).await;
        other.close().await.unwrap();
    };
    let executor = scene.executor();
    let ended = tokio::join!(to_its_end(&executor, begun.id), listing).0;

    let report = replayed(ended);
    assert_eq!(users_of(&report.moved), all_of(0..3));
    assert_eq!(report.skipped.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_canary_takes_one_more_instead_of_one_that_shows_nothing() {
    let scene = Scene::with(0..0).await;
    scene.give_up_nobody("not a user").await;
    for number in 0..3 {
        scene.give_up(number).await;
    }
    let begun = scene
        .begin_with(Manner::new(None, Some(Duration::from_mins(10)), true))
        .await;
    let executor = scene.executor();
    let end = to_its_end(&executor, begun.id).await;

    let report = replayed(end);
    let stopped = report.stopped.unwrap();
    assert!(stopped.contains("within 600 s"), "{stopped}");
    assert_eq!((report.moved.len(), report.skipped.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_canary_of_a_group_that_can_prove_nothing_stops_it() {
    let scene = Scene::with(0..0).await;
    for body in ["one", "two", "three"] {
        scene.give_up_nobody(body).await;
    }
    let begun = scene
        .begin_with(Manner::new(None, Some(Duration::from_mins(10)), true))
        .await;
    let end = to_its_end(&scene.executor(), begun.id).await;

    let report = replayed(end);
    let stopped = report.stopped.unwrap();
    assert!(stopped.contains("names a user"), "{stopped}");
    assert_eq!((report.moved.len(), report.skipped.len()), (1, 2));
}
