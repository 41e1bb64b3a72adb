//! Moving users over a broker and stores in memory.

use super::*;
use crate::adapters::directory::DirectoryStore;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::failure::{Class, Code, Reason};
use crate::job::{Action, OrderName};
use crate::machine::{State, samples};
use crate::ports::memory_queue::MemoryBroker;
use crate::ports::queue::Broker as _;
use crate::ports::{Claim, Saved};
use crate::registers::{Order, PartRequests, store_part};

struct Scene {
    broker: MemoryBroker,
    checkpoints: EmbeddedCheckpoints,
    store: Arc<dyn ArchiveStore>,
    clock: Clock,
    _directory: tempfile::TempDir,
}

fn user(number: u32) -> UserId {
    let text = format!("3f1f0d4e-9a51-4b4b-8f6c-{number:012}");
    text.parse().unwrap()
}

/// What HR asked for.
fn request() -> Request {
    Request {
        delete_after: Some("2999-01-01T00:00:00Z".parse().unwrap()),
        batch_id: Some("b-1".parse().unwrap()),
        requested_by: Some("hr".to_owned()),
        reason: Some("leaves".to_owned()),
        requested_at: Some("2026-11-30T01:02:03Z".parse().unwrap()),
        ..Request::default()
    }
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let checkpoints = EmbeddedCheckpoints::open(directory.path(), clock.clone()).unwrap();
        let archive = directory.path().join("archive");
        std::fs::create_dir(&archive).unwrap();
        Self {
            broker: MemoryBroker::default(),
            checkpoints,
            store: Arc::new(DirectoryStore::open(&archive).unwrap()),
            clock,
            _directory: directory,
        }
    }

    async fn taken(&self, number: u32, change: impl FnOnce(&mut Checkpoint)) {
        let claim = self.checkpoints.claim(user(number)).await.unwrap();
        let Claim::Granted { lease, version, .. } = claim else {
            panic!("somebody else has the user");
        };
        let mut checkpoint = Checkpoint::new(user(number), request(), self.clock.now());
        change(&mut checkpoint);
        let saved = self.checkpoints.save(&lease, version, &checkpoint).await;
        assert!(matches!(saved, Ok(Saved::Version(_))));
        self.checkpoints.release(&lease).await.unwrap();
    }

    /// Submitted, and no worker has taken the user; the order says `asked`.
    async fn waits(&self, number: u32, asked: Option<Request>) -> OrderName {
        let requests = PartRequests::new(asked, Some("leaves"));
        let ids = vec![user(number)];
        let name = store_part(&*self.store, &Order::sample(1), 1, ids, requests).await;
        let at = self.clock.now();
        let added = self.checkpoints.add_asked(&[user(number)], at).await;
        added.unwrap();
        name.unwrap()
    }

    async fn move_users(&self, numbers: &[u32]) -> Partial<MovedToUrgentLane> {
        let publisher = self.broker.publisher(1);
        let lane = UrgentLane {
            checkpoints: &self.checkpoints,
            users: &self.checkpoints,
            store: &self.store,
            stop_orders: &StopRegister::default(),
            publisher: &*publisher,
            clock: &self.clock,
        };
        let users: Vec<UserId> = numbers.iter().map(|number| user(*number)).collect();
        let operator = Operator {
            who: "ada".to_owned(),
            why: Some("case 7".to_owned()),
        };
        lane.move_users(&users, &operator).await
    }
}

#[tokio::test]
async fn the_request_that_is_stored_is_published_as_it_is() {
    let scene = Scene::new();
    scene.taken(1, |checkpoint| checkpoint.revision = 3).await;
    let deactivate = Request {
        action: Action::Deactivate,
        ..request()
    };
    let order = scene.waits(2, Some(deactivate)).await;

    let report = scene.move_users(&[2, 1, 1]).await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(report.done.moved, [user(1), user(2)]);
    assert_eq!(report.done.refused, []);
    let sent = scene.broker.messages(Source::UsersUrgent.queue());
    let bodies: Vec<serde_json::Value> = sent
        .iter()
        .map(|stored| serde_json::from_slice(&stored.body).unwrap())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({ "userId": user(1), "batchId": "b-1", "deleteAfter": "2999-01-01T00:00:00Z", "requestedBy": "hr",
                "reason": "leaves", "requestedAt": "2026-11-30T01:02:03Z" }),
            json!({ "userId": user(2), "batchId": "b-1", "deleteAfter": "2999-01-01T00:00:00Z", "requestedBy": "hr",
                "reason": "leaves", "requestedAt": "2026-11-30T01:02:03Z", "action": "deactivate" }),
        ]
    );
    let header = |place: usize, name| sent[place].properties.number(name);
    assert_eq!([header(0, REVISION), header(1, REVISION)], [Some(3), None]);
    assert!(header(0, PLACEHOLDER_SINCE).is_some() && header(1, PLACEHOLDER_SINCE).is_some());
    let named = sent[1].properties.text(crate::queue::headers::ORDER);
    assert_eq!(named, Some(order.to_string()));
}

#[tokio::test]
async fn each_user_who_cannot_be_moved_is_named_with_the_reason_and_nothing_is_sent() {
    use NotMovedReason::{DeadLetter, NoAccess, RequestNotStored, Unknown};
    let scene = Scene::new();
    let now = scene.clock.now();
    scene
        .taken(1, |checkpoint| {
            let access = samples::access_removed(now);
            checkpoint.state = State::Deactivated { access };
        })
        .await;
    scene
        .taken(2, |checkpoint| {
            let failure = Failure::new(Class::Transient, Code::CxoneTimeout, "slow for 7 s");
            checkpoint.give_up(Reason::RetriesExhausted, failure, now);
        })
        .await;
    scene.waits(4, None).await;

    let report = scene.move_users(&[1, 2, 3, 4]).await.done;
    let reasons: Vec<_> = report
        .refused
        .iter()
        .map(|refused| (refused.user_id, refused.reason))
        .collect();
    let expected = [
        (1, NoAccess),
        (2, DeadLetter),
        (3, Unknown),
        (4, RequestNotStored),
    ];
    assert_eq!(
        reasons,
        expected.map(|(number, reason)| (user(number), reason))
    );
    assert_eq!(report.moved, []);
    assert!(
        scene
            .broker
            .messages(Source::UsersUrgent.queue())
            .is_empty()
    );
}
