//! Runs and their settlement, over a broker in memory, under paused time and without servers.

use jiff::Timestamp;

use super::*;
use crate::clock::Clock;
use crate::failure::{Class, Code, Reason};
use crate::job::Lane;
use crate::machine::StateName;
use crate::ports::memory_queue::{MemoryBroker, Stored, broken};
use crate::ports::queue::{Broker as _, Intake};
use crate::queue::headers::{DEATHS, NOT_BEFORE, PLACEHOLDER_SINCE, dead_letter};
use crate::queue::names::{DEAD_LETTER_QUEUE, DELAYS, delay_exchange};
use crate::steps::test_services::{Answer, TestCheckpoints, services};
use crate::worker::intake::backlog::Backlog;
use crate::worker::intake::slots::Slots;

const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
const TIME_SLICE: Duration = Duration::from_mins(10);

/// A broker with one message, and what its run meets.
struct Scene {
    broker: MemoryBroker,
    intake: Box<dyn Intake>,
    checkpoints: Arc<TestCheckpoints>,
    breaker: Arc<CircuitBreaker>,
    lanes: Arc<LaneBreakers>,
    unsettled: Arc<Unsettled>,
    delays: Arc<Delayed>,
    services: Arc<Services>,
    shutdown: Shutdown,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn new(body: &str, answer: Answer) -> Self {
        Self::with(body, answer, TestCheckpoints::default()).await
    }

    async fn with(body: &str, answer: Answer, checkpoints: TestCheckpoints) -> Self {
        let broker = MemoryBroker::default();
        broker.put_ours(Source::Users, body, [(DEATHS, 1_i64.into())]);
        Self::over(broker, answer, checkpoints).await
    }

    async fn over(broker: MemoryBroker, answer: Answer, checkpoints: TestCheckpoints) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = Arc::new(checkpoints);
        let services = services(directory.path(), checkpoints.clone(), answer);
        Self {
            intake: broker.open_intake(1).await.unwrap(),
            broker,
            checkpoints,
            breaker: Arc::default(),
            lanes: Arc::default(),
            unsettled: Arc::default(),
            delays: Arc::default(),
            services: Arc::new(services),
            shutdown: Shutdown::default(),
            _directory: directory,
        }
    }

    fn runner(&self) -> JobRunner {
        JobRunner {
            services: Arc::clone(&self.services),
            publisher: self.broker.publisher(1),
            breaker: Arc::clone(&self.breaker),
            lanes: Arc::clone(&self.lanes),
            in_progress: Arc::default(),
            until_paused: CancellationToken::new(),
            unsettled: Arc::clone(&self.unsettled),
            delayed: Arc::clone(&self.delays),
            time_slice: TIME_SLICE,
            name: "w-1".to_owned(),
        }
    }

    async fn receive(&mut self) -> Received {
        let (source, delivery) = self.intake.next().await.unwrap();
        let backlog = Arc::new(Backlog::new(Clock::system(), Arc::default()));
        Received {
            source,
            since: Instant::now(),
            in_flight: backlog.enter(source, &delivery.envelope),
            delivery,
        }
    }

    /// Runs the message to its settlement.
    async fn run(&mut self) {
        let received = self.receive().await;
        let slot = Slots::new(1).take(received.source.lane()).unwrap();
        let running = self.runner().run(received, self.shutdown.clone(), slot);
        Box::pin(running).await;
        assert_eq!(self.broker.in_flight(), 0, "the delivery is acknowledged");
    }

    fn delayed(&self) -> Vec<Stored> {
        let queues = DELAYS.into_iter().map(delay_exchange);
        queues
            .flat_map(|queue| self.broker.messages(&queue))
            .collect()
    }

    /// The only message that is left, which is delayed.
    #[track_caller]
    fn only_delayed(&self) -> Stored {
        assert_eq!(self.dead_letters().len(), 0);
        let mut delayed = self.delayed();
        assert_eq!(delayed.len(), 1);
        delayed.remove(0)
    }

    fn dead_letters(&self) -> Vec<Stored> {
        self.broker.messages(DEAD_LETTER_QUEUE)
    }

    /// The only message that is left, which is a dead letter with this reason.
    #[track_caller]
    fn only_dead_letter(&self, reason: Reason) -> Stored {
        assert_eq!(self.delayed().len(), 0);
        let mut dead = self.dead_letters();
        assert_eq!(dead.len(), 1);
        let said = dead[0].properties.text(dead_letter::REASON);
        assert_eq!(said.as_deref(), Some(reason.as_str()));
        let events = self.broker.events();
        assert_eq!(events[0]["type"], "offboarding.user.dead-lettered");
        dead.remove(0)
    }
}

fn transient() -> Failure {
    Failure::new(Class::Transient, Code::CxoneVersionConflict, "it changed")
}

fn systemic() -> Failure {
    Failure::new(Class::Systemic, Code::CxoneUnauthorized, "401")
}

fn permanent() -> Failure {
    let class = Class::Permanent(Reason::ApiRejected);
    Failure::new(class, Code::CxoneMissingScope, "403")
}

fn deaths(stored: &Stored) -> Option<i64> {
    stored.properties.number(DEATHS)
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_saved_and_delays_the_job() {
    let mut scene = Scene::new(USER, Answer::Fail(transient())).await;
    scene.run().await;

    let delayed = scene.only_delayed();
    assert_eq!(deaths(&delayed), None, "the run came to an end of its own");
    let (_, saved) = scene.checkpoints.saved.lock().clone().unwrap();
    assert_eq!(saved.attempts, 1);
    assert_eq!(saved.last_failure, Some(transient()));
    assert_eq!(*scene.checkpoints.released.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_delays_and_gets_done_counts_for_no_other_worker() {
    let mut scene = Scene::new(USER, Answer::Fail(transient())).await;
    let other = Scene::new(USER, Answer::Fail(transient())).await;
    scene.run().await;

    let counts = |scene: &Scene| {
        let delayed = scene.delays.of(Lane::Access).0;
        (delayed, scene.services.progress.so_far() > 0)
    };
    assert_eq!(counts(&scene), (1, true));
    assert_eq!(counts(&other), (0, false));
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_becomes_a_dead_letter_and_an_event() {
    let mut scene = Scene::new(USER, Answer::Fail(transient())).await;
    for _ in 0..2 {
        scene.run().await;
        // The message comes back, once it is due.
        tokio::time::advance(Duration::from_mins(5)).await;
        scene.broker.end_delays();
    }
    scene.run().await;

    let dead = scene.only_dead_letter(Reason::RetriesExhausted);
    assert_eq!(dead.properties.number(dead_letter::ATTEMPTS), Some(3));
    assert_eq!(dead.body, USER.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_refused_user_and_a_fault_of_ours_are_dead_letters_with_different_reasons() {
    let defect = Failure::new(Class::Defect, Code::Internal, "a fault of ours");
    for (failure, reason) in [(permanent(), Reason::ApiRejected), (defect, Reason::Poison)] {
        let mut scene = Scene::new(USER, Answer::Fail(failure)).await;
        scene.run().await;
        scene.only_dead_letter(reason);
        assert_eq!(scene.breaker.cause(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_systemic_fault_delays_the_job_saves_nothing_and_opens_the_circuit_breaker() {
    let mut scene = Scene::new(USER, Answer::Fail(systemic())).await;
    scene.run().await;

    assert_eq!(deaths(&scene.only_delayed()), Some(1), "deaths still count");
    assert!(scene.breaker.cause().is_some());
    assert!(scene.checkpoints.saved.lock().is_none());
    assert_eq!(*scene.checkpoints.released.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_only_this_run_and_is_poison() {
    let mut scene = Scene::new(USER, Answer::Panic).await;
    scene.run().await;

    let dead = scene.only_dead_letter(Reason::Poison);
    let code = dead.properties.text(dead_letter::CODE);
    assert_eq!(code.as_deref(), Some(Code::Panicked.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_user_on_whom_workers_died_again_and_again_is_poison_without_a_step() {
    let checkpoints = TestCheckpoints {
        deaths: 5,
        ..TestCheckpoints::default()
    };
    let mut scene = Scene::with(USER, Answer::Panic, checkpoints).await;
    scene.run().await;

    let dead = scene.only_dead_letter(Reason::Poison);
    assert!(
        dead.properties
            .text(dead_letter::ERROR)
            .unwrap()
            .contains("5 workers in a row died")
    );
    let (_, saved) = scene.checkpoints.saved.lock().clone().unwrap();
    assert_eq!(saved.dead_letter.unwrap().reason, Reason::Poison);
}

#[tokio::test(start_paused = true)]
async fn a_drain_requeues_the_job_before_its_next_step() {
    let mut scene = Scene::new(USER, Answer::Panic).await;
    scene.shutdown.draining.cancel();
    let received = scene.receive().await;
    drop(std::mem::replace(
        &mut scene.intake,
        MemoryBroker::default().open_intake(1).await.unwrap(),
    ));
    let slot = Slots::new(1).take(received.source.lane()).unwrap();
    let running = scene.runner().run(received, scene.shutdown.clone(), slot);
    Box::pin(running).await;

    let requeued = scene.broker.messages(Source::Users.queue());
    assert!(!requeued.is_empty());
    assert_eq!(*scene.checkpoints.released.lock(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_beyond_the_time_slice_continues_while_a_placeholder_replaces_its_delivery() {
    let slow = Answer::FailAfter(TIME_SLICE * 2, transient());
    let mut scene = Scene::new(USER, slow).await;
    scene.run().await;

    let placeholder = scene.only_delayed();
    assert!(placeholder.properties.time(PLACEHOLDER_SINCE).is_some());
    let (_, saved) = scene.checkpoints.saved.lock().clone().unwrap();
    assert_eq!(saved.attempts, 1, "the run came to its end");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_after_the_hand_off_is_published_beside_the_placeholder() {
    let slow = Answer::FailAfter(TIME_SLICE * 2, permanent());
    let mut scene = Scene::new(USER, slow).await;
    scene.run().await;

    assert_eq!(scene.delayed().len(), 1);
    assert_eq!(scene.dead_letters().len(), 1);

    // The placeholder comes back, finds the dead letter, and is dropped.
    tokio::time::advance(Duration::from_mins(1)).await;
    scene.broker.end_delays();
    scene.run().await;
    assert_eq!(scene.delayed().len(), 0);
    assert_eq!(scene.dead_letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_due_is_delayed_again_without_a_claim() {
    let broker = MemoryBroker::default();
    let due = Timestamp::from_second(1_800_000_600).unwrap();
    let headers = [
        (DEATHS, 1_i64.into()),
        (NOT_BEFORE, due.as_millisecond().into()),
    ];
    broker.put_ours(Source::Users, USER, headers);
    let mut scene = Scene::over(broker, Answer::Panic, TestCheckpoints::default()).await;
    scene.run().await;

    let delayed = scene.only_delayed();
    assert_eq!(delayed.properties.time(NOT_BEFORE), Some(due));
    assert_eq!(deaths(&delayed), Some(1));
    assert_eq!(*scene.checkpoints.released.lock(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_message_is_a_dead_letter_with_its_body() {
    let mut scene = Scene::new("not a user", Answer::Panic).await;
    scene.run().await;

    let dead = scene.only_dead_letter(Reason::MalformedMessage);
    assert_eq!(dead.body, b"not a user");
    let state = dead.properties.text(dead_letter::STATE);
    assert_ne!(state.as_deref(), Some(StateName::Received.as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_successor_cannot_be_published_is_held_until_it_can() {
    let mut scene = Scene::new(USER, Answer::Fail(transient())).await;
    for _ in 0..3 {
        scene.broker.fail_publish(broken("publish"));
    }
    let begun = Instant::now();
    scene.run().await;

    assert!(begun.elapsed() > Duration::from_secs(1));
    scene.only_delayed();
    assert!(scene.breaker.cause().is_some(), "the broker is away");
    assert_eq!(scene.unsettled.cause(), None, "it is settled by now");
}

#[path = "job_runner_batch_tests.rs"]
mod batches;

#[path = "job_runner_lease_tests.rs"]
mod leases;

#[path = "job_runner_surge_tests.rs"]
mod surges;
