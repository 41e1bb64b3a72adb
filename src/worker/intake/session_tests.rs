//! The priorities of a session, over a broker in memory: no services, no servers, no real time.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::ports::memory_queue::{MemoryBroker, broken};
use crate::ports::queue::Broker as _;
use crate::queue::headers::DEATHS;
use crate::worker::intake::circuit_breaker::CircuitBreaker;
use crate::worker::intake::operator_pause::OperatorPause;

const SLICE: Duration = Duration::from_mins(10);

/// Runs last until the test ends them; both acknowledge the delivery.
#[derive(Default)]
struct TestRuns {
    begun: Mutex<Vec<String>>,
    requeued: Arc<Mutex<Vec<String>>>,
    end: Arc<Notify>,
}

fn body(received: &Received) -> String {
    String::from_utf8(received.delivery.envelope.body().to_vec()).unwrap()
}

impl Runs for TestRuns {
    fn run(&self, received: Received, slot: Slot) -> BoxFuture<'static, ()> {
        self.begun.lock().push(body(&received));
        let end = Arc::clone(&self.end);
        Box::pin(async move {
            end.notified().await;
            received.delivery.acknowledge().await.ok();
            drop(slot);
        })
    }

    fn requeue(&self, received: Received) -> BoxFuture<'static, ()> {
        let requeued = Arc::clone(&self.requeued);
        Box::pin(async move {
            requeued.lock().push(body(&received));
            received.delivery.acknowledge().await.ok();
        })
    }
}

/// A session that runs in the background, and what the test sees of it.
struct Scene {
    broker: MemoryBroker,
    shared: Arc<Shared>,
    runs: Arc<TestRuns>,
    draining: CancellationToken,
    session: tokio::task::JoinHandle<Result<(), QueueError>>,
}

impl Scene {
    /// With these messages in the queues before the session begins.
    async fn with(concurrency: usize, messages: &[(Source, &str)]) -> Self {
        let broker = MemoryBroker::default();
        for (source, body) in messages {
            broker.put(*source, body);
        }
        Self::of(broker, concurrency).await
    }

    async fn of(broker: MemoryBroker, concurrency: usize) -> Self {
        let shared = Arc::new(Shared {
            gate: Gate {
                breaker: Arc::new(CircuitBreaker::default()),
                lanes: Arc::default(),
                pause: Arc::new(OperatorPause::default()),
            },
            slots: Slots::new(concurrency),
            backlog: Arc::new(Backlog::new(Clock::system(), Arc::default())),
            health: Health::default(),
            slice: SLICE,
        });
        let runs = Arc::new(TestRuns::default());
        let draining = CancellationToken::new();
        let prefetch = u16::try_from(concurrency).unwrap();
        let mut intake = broker.open_intake(prefetch).await.unwrap();
        let session = tokio::spawn({
            let shared = Arc::clone(&shared);
            let runs = Arc::clone(&runs);
            let draining = draining.clone();
            async move {
                let mut tasks = JoinSet::new();
                let session = Session::new(&shared, &*runs, &mut *intake, &mut tasks);
                let ended = session.run(&draining).await;
                tasks.join_all().await;
                ended
            }
        });
        let scene = Self {
            broker,
            shared,
            runs,
            draining,
            session,
        };
        scene.settle().await;
        scene
    }

    /// Lets the session do all that can be done now.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Ends the run that began first.
    async fn end_run(&self) {
        self.runs.end.notify_one();
        self.settle().await;
    }

    fn begun(&self) -> Vec<String> {
        self.runs.begun.lock().clone()
    }

    fn requeued(&self) -> Vec<String> {
        self.runs.requeued.lock().clone()
    }

    fn waiting(&self, source: Source) -> usize {
        self.broker.messages(source.queue()).len()
    }

    fn trip(&self) {
        let failure = Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401");
        self.shared.gate.breaker.trip(&failure);
    }
}

/// A message that two workers died with.
fn put_suspicious(broker: &MemoryBroker, body: &str) {
    broker.put_ours(Source::Users, body, [(DEATHS, SUSPICIOUS_DEATHS.into())]);
}

#[tokio::test(start_paused = true)]
async fn urgent_users_run_first_and_each_lane_leaves_slots_to_the_other() {
    let scene = Scene::with(
        4,
        &[
            (Source::Archive, "archive 1"),
            (Source::Archive, "archive 2"),
            (Source::Archive, "archive 3"),
            (Source::Archive, "archive 4"),
            (Source::Users, "user"),
            (Source::UsersUrgent, "urgent"),
        ],
    )
    .await;
    assert_eq!(scene.begun(), ["urgent", "user", "archive 1", "archive 2"]);
    assert_eq!(
        scene.waiting(Source::Archive),
        0,
        "the prefetch has the rest"
    );

    scene.end_run().await;
    scene.end_run().await;
    assert_eq!(scene.begun()[4..], ["archive 3"], "three of four slots");
    scene.broker.put(Source::Users, "another user");
    scene.settle().await;
    assert_eq!(scene.begun()[5..], ["another user"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_has_priority_and_requeues_all_that_did_not_begin() {
    let scene = Scene::with(1, &[(Source::Users, "runs"), (Source::Archive, "waits")]).await;
    put_suspicious(&scene.broker, "suspicious");
    scene.settle().await;
    assert_eq!(scene.begun(), ["runs"]);

    scene.trip();
    scene.draining.cancel();
    scene.settle().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.requeued(), ["waits"], "the prefetch is one");
    scene.end_run().await;
    assert!(scene.session.await.unwrap().is_ok());
    assert_eq!(scene.runs.begun.lock().len(), 1);
    assert_eq!(scene.broker.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_requeues_a_suspicious_message_that_waits_for_its_isolation() {
    let scene = Scene::with(2, &[(Source::Users, "runs")]).await;
    put_suspicious(&scene.broker, "suspicious");
    scene.settle().await;
    assert_eq!(scene.begun(), ["runs"]);

    scene.draining.cancel();
    scene.settle().await;
    assert_eq!(scene.requeued(), ["suspicious"]);

    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.end_run().await;
    assert_eq!(scene.begun(), ["runs"]);
    assert!(scene.session.await.unwrap().is_ok());
    assert_eq!(scene.broker.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_requeues_what_the_broker_sent_before_it_heard_of_the_pause() {
    let scene = Scene::with(2, &[(Source::Users, "runs")]).await;
    // The broker has sent it, and the session has not seen it yet.
    scene.broker.put(Source::ArchiveUrgent, "on its way");
    assert_eq!(scene.waiting(Source::ArchiveUrgent), 0);
    scene.draining.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.requeued(), ["on its way"]);

    scene.end_run().await;
    assert_eq!(scene.begun(), ["runs"]);
    assert!(scene.session.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_suspicious_message_runs_only_once_nothing_else_is_in_flight() {
    let scene = Scene::with(2, &[(Source::Users, "runs")]).await;
    put_suspicious(&scene.broker, "suspicious");
    scene.settle().await;
    scene.broker.put(Source::Users, "waits in its queue");
    scene.settle().await;
    assert_eq!(scene.begun(), ["runs"]);
    assert_eq!(scene.waiting(Source::Users), 1, "the intake is paused");

    scene.end_run().await;
    assert_eq!(scene.begun(), ["runs", "suspicious"]);
    assert_eq!(scene.broker.in_flight(), 1);
    assert_eq!(scene.waiting(Source::Users), 1);

    scene.end_run().await;
    assert_eq!(scene.begun()[2..], ["waits in its queue"], "it resumes");
}

#[tokio::test(start_paused = true)]
async fn ready_messages_and_a_second_suspicious_one_are_requeued_during_isolation() {
    let broker = MemoryBroker::default();
    broker.put(Source::UsersUrgent, "runs");
    put_suspicious(&broker, "suspicious");
    put_suspicious(&broker, "another");
    broker.put(Source::Archive, "ready");
    let scene = Scene::of(broker, 3).await;
    // All four were delivered before the first could begin.
    let mut requeued = scene.requeued();
    requeued.sort_unstable();
    assert_eq!(requeued, ["another", "ready", "runs"]);
    assert_eq!(scene.begun(), ["suspicious"]);
    assert_eq!(scene.broker.in_flight(), 1, "it runs in isolation");
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_breaker_pauses_the_intake_and_requeues_what_is_ready() {
    let messages = [(Source::Users, "runs"), (Source::Archive, "ready")];
    let scene = Scene::with(1, &messages).await;
    scene.trip();
    scene.settle().await;
    assert_eq!(scene.requeued(), ["ready"], "another worker may run it");
    scene.broker.put(Source::UsersUrgent, "waits in its queue");
    scene.settle().await;
    assert_eq!(scene.waiting(Source::UsersUrgent), 1);
    assert_eq!(scene.begun(), ["runs"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_breaker_lets_one_user_through_and_a_success_lets_all() {
    let scene = Scene::with(4, &[]).await;
    scene.trip();
    scene.settle().await;
    for body in ["1", "2", "3"] {
        scene.broker.put(Source::Users, body);
    }
    scene.settle().await;
    assert_eq!(scene.waiting(Source::Users), 3);

    scene.shared.gate.breaker.half_open();
    scene.settle().await;
    assert_eq!(scene.begun(), ["1"], "one user is the probe");
    scene.shared.gate.breaker.passed();
    scene.end_run().await;
    assert_eq!(scene.begun(), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn an_operators_pause_stops_the_intake_until_it_is_lifted() {
    let scene = Scene::with(2, &[]).await;
    scene.shared.gate.pause.set(Some("maintenance"));
    scene.settle().await;
    scene.broker.put(Source::Users, "waits");
    scene.settle().await;
    assert_eq!(scene.waiting(Source::Users), 1);

    // Neither the breaker nor the pause opens the gate for the other.
    scene.trip();
    scene.shared.gate.pause.set(None);
    scene.settle().await;
    assert_eq!(scene.waiting(Source::Users), 1);
    scene.shared.gate.breaker.half_open();
    scene.settle().await;
    assert_eq!(scene.begun(), ["waits"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_half_a_slice_is_requeued() {
    let messages = [(Source::Users, "runs"), (Source::Archive, "waits")];
    let scene = Scene::with(1, &messages).await;
    tokio::time::sleep((SLICE / 2).saturating_sub(Duration::from_secs(1))).await;
    assert!(scene.requeued().is_empty());
    tokio::time::sleep(SLICE / 4 + Duration::from_secs(2)).await;
    assert_eq!(scene.requeued(), ["waits"]);
    assert_eq!(scene.begun(), ["runs"], "a run has its whole slice");
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_ends_a_session_that_no_longer_consumes() {
    let scene = Scene::with(1, &[]).await;
    scene.broker.fail_check(broken("check"));
    tokio::time::sleep(WATCHDOG.saturating_sub(Duration::from_secs(1))).await;
    assert!(!scene.session.is_finished());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(scene.session.is_finished());
    assert!(scene.session.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_the_session_with_an_error_once_its_runs_ended() {
    let scene = Scene::with(1, &[(Source::Users, "runs")]).await;
    scene.broker.break_connections();
    scene.settle().await;
    assert!(!scene.session.is_finished());
    scene.end_run().await;
    assert!(scene.session.is_finished());
    assert!(scene.session.await.unwrap().is_err());
}

fn surge() -> Failure {
    Failure::new(Class::Systemic, Code::Surge, "fails for every user")
}

#[tokio::test(start_paused = true)]
async fn a_surge_stops_only_its_lane_and_leaves_its_messages_to_other_workers() {
    let scene = Scene::with(2, &[(Source::Archive, "archive 1")]).await;
    scene.broker.put(Source::Archive, "held");
    scene.settle().await;
    scene.shared.gate.lanes.of(Lane::Archive).trip(&surge());
    scene.end_run().await;
    assert_eq!(scene.requeued(), ["held"]);

    scene.broker.put(Source::Archive, "left");
    scene.broker.put(Source::Users, "user");
    scene.settle().await;
    assert_eq!(scene.begun(), ["archive 1", "user"]);
    assert_eq!(scene.waiting(Source::Archive), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_lets_one_user_through_each_minute_and_a_lift_lets_all() {
    let scene = Scene::of(MemoryBroker::default(), 4).await;
    let put_all = || {
        for body in ["one", "two", "three", "four"] {
            scene.broker.put(Source::Archive, body);
        }
    };
    let breaker = scene.shared.gate.lanes.of(Lane::Archive);
    breaker.trip(&surge());
    scene.settle().await;
    put_all();
    scene.settle().await;
    assert_eq!(scene.begun().len(), 0);

    breaker.half_open();
    scene.settle().await;
    assert_eq!(scene.begun(), ["one"], "the others wait for it");
    // It fails, too.
    breaker.trip(&surge());
    scene.end_run().await;
    assert_eq!(scene.requeued(), ["two", "three", "four"]);
    put_all();
    scene.settle().await;
    assert_eq!(scene.begun(), ["one"]);

    breaker.lift();
    scene.settle().await;
    assert_eq!(scene.begun().len(), 4, "as many as the lane has slots");
}
