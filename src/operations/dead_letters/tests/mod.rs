//! Replay and discard over a broker in memory, under paused time and without servers.

mod discarding;
mod lost;
mod operating;
mod replaying;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::job::{Request, Source, UserId};
use crate::machine::Checkpoint;
use crate::operations::operation::{
    Executed, Executor, Manner, OnFailure, OperationEnd, OperationReport, Order, Place,
    discard_order, replay_order,
};
use crate::ports::memory_queue::{MemoryBroker, Stored};
use crate::ports::operations;
use crate::ports::queue::Broker as _;
use crate::ports::{ArchiveStore, Checkpoints, Claim, Saved};
use crate::queue::Properties;
use crate::queue::headers::dead_letter as header;
use crate::queue::names::{DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE};
use crate::registers::audit_log::{AuditLog, Operator};
use crate::steps::Services;
use crate::steps::test_services::{Answer, services};

/// A broker with dead letters, and the stores that a replay or a discard writes to.
struct Scene {
    broker: MemoryBroker,
    checkpoints: Arc<EmbeddedCheckpoints>,
    services: Arc<Services>,
    store: Arc<dyn ArchiveStore>,
    directory: tempfile::TempDir,
    _checkpoint_file: tempfile::TempDir,
}

fn user(number: u32) -> UserId {
    let text = format!("3f1f0d4e-9a51-4b4b-8f6c-{number:012}");
    text.parse().unwrap()
}

/// The fault of every dead letter of these tests.
fn fault() -> Failure {
    Failure::new(Class::Transient, Code::CxoneTimeout, "slow for 7 s")
}

fn operator() -> Operator {
    Operator {
        who: "ada@host".to_owned(),
        why: Some("case 7".to_owned()),
    }
}

impl Scene {
    /// With a dead letter of each of these users.
    async fn with(users: std::ops::Range<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = tempfile::tempdir().unwrap();
        let checkpoints =
            Arc::new(EmbeddedCheckpoints::open(file.path(), Clock::system()).unwrap());
        let services = services(directory.path(), checkpoints.clone(), Answer::Fail(fault()));
        let scene = Self {
            broker: MemoryBroker::default(),
            checkpoints,
            services: Arc::new(services),
            store: Arc::new(DirectoryStore::open(directory.path()).unwrap()),
            directory,
            _checkpoint_file: file,
        };
        for number in users {
            scene.give_up(number).await;
        }
        scene
    }

    /// A worker publishes a dead letter of this user.
    async fn give_up(&self, number: u32) {
        let at = Timestamp::from_second(1_700_000_000 + i64::from(number)).unwrap();
        let properties = Properties::of_headers([
            (header::REASON, "retries_exhausted".into()),
            (header::ERROR, fault().to_string().as_str().into()),
            (header::STATE, "Received".into()),
            (header::ATTEMPTS, 8_i64.into()),
            (header::AT, at.to_string().as_str().into()),
            (header::WORKER, "w-1".into()),
        ]);
        let body = user(number).to_string();
        let key = Source::Users.routing_key();
        self.broker
            .publisher(1)
            .publish(DEAD_LETTER_EXCHANGE, key, body.as_bytes(), &properties)
            .await
            .unwrap();
    }

    /// Another operator takes the dead letter of this user off.
    async fn take_off(&self, number: u32) {
        let mut scan = self.broker.scan_dead_letters().await.unwrap();
        let body = user(number).to_string();
        while let Some(delivery) = scan.next().await.unwrap() {
            if delivery.envelope.body() == body.as_bytes() {
                delivery.acknowledge().await.unwrap();
            }
        }
        scan.close().await.unwrap();
    }

    /// A worker saves a checkpoint of this user.
    async fn save(&self, number: u32, change: impl FnOnce(&mut Checkpoint)) {
        let claim = self.checkpoints.claim(user(number)).await.unwrap();
        let Claim::Granted { lease, version, .. } = claim else {
            panic!("somebody else has the user");
        };
        let now = self.services.clock.now();
        let mut checkpoint = Checkpoint::new(user(number), Request::default(), now);
        change(&mut checkpoint);
        let saved = self.checkpoints.save(&lease, version, &checkpoint).await;
        assert!(matches!(saved, Ok(Saved::Version(_))));
        self.checkpoints.release(&lease).await.unwrap();
    }

    /// Where operations on these dead letters are.
    fn executor(&self) -> Executor {
        Executor {
            place: Place {
                store: Arc::clone(&self.store),
                operations: Arc::clone(&self.checkpoints) as Arc<dyn operations::Operations>,
                clock: self.services.clock.clone(),
            },
            broker: Some(Arc::new(self.broker.clone())),
            checkpoints: Arc::clone(&self.checkpoints) as Arc<dyn Checkpoints>,
            by: "w-1".to_owned(),
        }
    }

    /// Begins an operation, and does it to its end.
    async fn operate(&self, order: Order) -> OperationEnd {
        let executor = self.executor();
        let begun = executor.place.begin(order, &operator()).await.unwrap();
        let goes_on = CancellationToken::new();
        let executing = executor.execute(begun.id, begun.kind, &goes_on, OnFailure::End);
        match executing.await.unwrap() {
            Executed::Ended(end) => *end,
            _ => panic!("it did not end"),
        }
    }

    /// The users with a message in this queue, sorted.
    fn users_in(&self, queue: &str) -> Vec<UserId> {
        let of = |stored: Stored| String::from_utf8(stored.body).unwrap().parse().unwrap();
        let mut users: Vec<UserId> = self.broker.messages(queue).into_iter().map(of).collect();
        users.sort_unstable();
        users
    }

    fn dead(&self) -> Vec<UserId> {
        self.users_in(DEAD_LETTER_QUEUE)
    }

    fn published(&self) -> Vec<UserId> {
        self.users_in(Source::Users.queue())
    }

    /// The names of the objects in the archive store, sorted.
    fn objects(&self) -> Vec<String> {
        let mut names = files(self.directory.path());
        names.sort_unstable();
        names
    }

    /// What the audit log says was done to how many, oldest first.
    async fn audit_log(&self) -> Vec<(String, u64)> {
        let log = AuditLog::new(Arc::clone(&self.store), Clock::system());
        let entries = log.list(None, 100).await.unwrap().into_iter().rev();
        entries.map(|entry| (entry.what, entry.count)).collect()
    }
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn users_of<'a>(dead_letters: impl IntoIterator<Item = &'a DeadLetter>) -> Vec<UserId> {
    let users = dead_letters.into_iter();
    let mut users: Vec<UserId> = users.map(|one| one.user_id.unwrap()).collect();
    users.sort_unstable();
    users
}

fn all_of(users: std::ops::Range<u32>) -> Vec<UserId> {
    users.map(user).collect()
}

fn only(users: std::ops::Range<u32>) -> DeadLetterFilter {
    DeadLetterFilter {
        user: users.map(user).collect(),
        ..DeadLetterFilter::default()
    }
}
