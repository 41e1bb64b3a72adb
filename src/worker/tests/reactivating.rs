//! A user who was off-boarded by mistake gets everything back, unless the deletion is decided; and then can be off-boarded
//! again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::stopping::{ago, asked};
use super::{Bench, dead_letter, own, state};
use crate::adapters::directory::DirectoryStore;
use crate::failure::Reason;
use crate::integrity::Integrity;
use crate::job::{Action, Request};
use crate::machine::StateName;
use crate::manifest::{BeforeImage, Fate, FateDocument, Possession};
use crate::operations::reactivate::{Outcome as Back, Reactivating, Refusal, UserReactivated};
use crate::registers::StopRegister;
use crate::registers::audit_log::Operator;
use crate::secret::Secret;
use crate::steps::decide;
use crate::worker::Outcome;

const AN_HOUR: Duration = Duration::from_hours(1);

impl Bench {
    async fn within_a_grace() -> Self {
        let mut bench = Self::new(1).await;
        bench.services.guards.delete_grace = AN_HOUR;
        bench
    }

    async fn reactivate(&mut self) -> UserReactivated {
        let reactivating = Reactivating {
            services: &self.services,
            users: &*self.users,
            batches: None,
        };
        let operator = Operator {
            who: "ada".to_owned(),
            why: Some("a wrong list".to_owned()),
        };
        let users = [self.user(0)];
        let mut done = Box::pin(reactivating.reactivate(&users, &operator)).await;
        assert_eq!(done.failure, None);
        assert_eq!(done.done.users.len(), 1);
        self.services.stop_orders = Arc::new(StopRegister::default());
        done.done.users.remove(0)
    }

    /// What the tenant has of the user: account, queues, and what names it.
    fn now(&self) -> Value {
        let mut now = self
            .simulator
            .user_now(&self.simulator.user_ids()[0])
            .unwrap();
        for list in ["owns", "supervises"] {
            let all = now[list].as_array_mut().unwrap();
            all.sort_unstable_by_key(ToString::to_string);
        }
        now
    }

    async fn decide(&self, fate: Fate) {
        let document = FateDocument {
            schema_version: 1,
            user_id: self.user(0),
            revision: 1,
            fate,
            who: "somebody".to_owned(),
            why: None,
            at: ago(0),
        };
        let decided = decide(&*self.services.archive_store, document);
        assert_eq!(decided.await.unwrap().fate, fate);
    }

    fn image(&self) -> BeforeImage {
        let stored = std::fs::read(self.stored(0, "_before.json")).unwrap();
        serde_json::from_slice(&stored).unwrap()
    }
}

#[track_caller]
fn waits(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Delay { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_user_gets_everything_back_within_the_grace_and_can_be_off_boarded_again() {
    let mut bench = Bench::within_a_grace().await;
    let before = bench.now();
    waits(&bench.ask(0, asked(200)).await);
    let taken = bench.now();
    assert_eq!(
        (&taken["active"], &taken["queues"]),
        (&json!(false), &json!([]))
    );

    let back = bench.reactivate().await;
    assert_eq!(back.outcome, Back::Reactivated, "{back:?}");
    // The account, two queues, of which it owns one and supervises the other.
    assert_eq!(back.given_back.len(), 5, "{back:?}");
    assert_eq!(bench.now(), before);
    assert!(matches!(
        bench.ask(0, asked(200)).await,
        Outcome::Cancelled(_)
    ));
    assert_eq!(bench.now(), before);
    let again = bench.reactivate().await;
    assert_eq!(again.outcome, Back::AlreadyReactivated);

    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(0)).await), StateName::Deleted);
    assert!(bench.stored(0, "_audit.r2.json").exists());
    bench.assert_verified(0).await;
    assert_eq!(bench.reactivate().await.refusal, Some(Refusal::Deleted));
}

#[tokio::test]
async fn a_second_grace_has_an_image_and_a_decision_of_its_own_also_without_checkpoints() {
    for forgets in [false, true] {
        let mut bench = Bench::within_a_grace().await;
        let before = bench.now();
        waits(&bench.ask(0, asked(200)).await);
        assert_eq!(bench.reactivate().await.outcome, Back::Reactivated);
        if forgets {
            bench.forget_checkpoints();
            let old = bench.ask(0, asked(200)).await;
            assert!(matches!(old, Outcome::Cancelled(_)), "{old:?}");
        }

        waits(&bench.ask(0, asked(0)).await);
        assert_eq!(bench.now()["active"], false);
        assert!(bench.stored(0, "_before.r2.json").exists());
        let back = bench.reactivate().await;
        assert_eq!(
            (back.outcome, back.given_back.len()),
            (Back::Reactivated, 5)
        );
        assert!(bench.stored(0, "_reactivated.r2.json").exists());
        assert_eq!(bench.now(), before);
    }
}

#[tokio::test]
async fn a_user_without_an_archive_gets_everything_back_and_the_next_manifest_passes_over_it() {
    let mut bench = Bench::within_a_grace().await;
    let before = bench.now();
    bench.services.settle = AN_HOUR;
    waits(&bench.ask(0, asked(200)).await);
    assert!(!bench.stored(0, ".json").exists());
    assert_eq!(bench.reactivate().await.outcome, Back::Reactivated);
    assert_eq!(bench.now(), before);

    bench.services.settle = Duration::ZERO;
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(0)).await), StateName::Deleted);
    assert!(bench.stored(0, "_audit.r2.json").exists());
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn what_is_decided_first_counts() {
    let mut bench = Bench::within_a_grace().await;
    waits(&bench.ask(0, asked(200)).await);
    bench.decide(Fate::Delete).await;
    let taken = bench.now();
    assert_eq!(
        bench.reactivate().await.refusal,
        Some(Refusal::DeletionDecided)
    );
    assert_eq!(bench.now(), taken);
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(200)).await), StateName::Deleted);

    // The reactivation crashed right after the decision.
    let mut bench = Bench::within_a_grace().await;
    let before = bench.now();
    waits(&bench.ask(0, asked(200)).await);
    bench.decide(Fate::Reactivate).await;
    bench.services.guards.delete_grace = Duration::ZERO;
    let stopped = bench.ask(0, asked(200)).await;
    assert!(matches!(stopped, Outcome::Cancelled(_)), "{stopped:?}");
    assert_eq!(bench.count("delete_user"), 0);
    assert_eq!(bench.reactivate().await.outcome, Back::Reactivated);
    assert_eq!(bench.now(), before);
}

#[tokio::test]
async fn the_worker_decides_before_its_delete() {
    let mut bench = Bench::within_a_grace().await;
    waits(&bench.ask(0, asked(200)).await);
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(200)).await), StateName::Deleted);
    let fate = std::fs::read(bench.stored(0, "_fate.json")).unwrap();
    let fate: FateDocument = serde_json::from_slice(&fate).unwrap();
    assert_eq!(fate.fate, Fate::Delete);
    assert_eq!(bench.reactivate().await.refusal, Some(Refusal::Deleted));
    bench.forget_checkpoints();
    assert_eq!(
        bench.reactivate().await.refusal,
        Some(Refusal::DeletionDecided)
    );
}

#[tokio::test]
async fn what_could_not_be_given_back_is_listed_and_tried_again() {
    let mut bench = Bench::within_a_grace().await;
    let before = bench.now();
    waits(&bench.ask(0, asked(200)).await);
    // Each of the four reads of a queue is made twice before the queue counts as missing.
    bench.strike(None, "get_queue", 0, Some(8), &own(404, "not_found"));
    let back = bench.reactivate().await;
    assert_eq!(back.outcome, Back::Incomplete, "{back:?}");
    assert_eq!(
        back.given_back,
        [Possession::new("account", &bench.user(0))]
    );
    assert_eq!(back.not_given_back.len(), 4);
    let why = &back.not_given_back[0].why;
    assert_eq!(why, "the queue does not exist any more");

    let again = bench.reactivate().await;
    assert_eq!(again.outcome, Back::Reactivated, "{again:?}");
    assert_eq!((again.given_back.len(), again.there_already.len()), (4, 1));
    assert!(bench.stored(0, "_reactivated_2.json").exists());
    assert_eq!(bench.now(), before);
}

#[tokio::test]
async fn a_user_who_ended_deactivated_gets_everything_back_too() {
    let mut bench = Bench::within_a_grace().await;
    let before = bench.now();
    let only = |seconds_ago| Request {
        action: Action::Deactivate,
        ..asked(seconds_ago)
    };
    let ended = bench.ask(0, only(200)).await;
    assert_eq!(state(&ended), StateName::DeactivatedOnly);
    assert_eq!(bench.reactivate().await.outcome, Back::Reactivated);
    assert_eq!(bench.now(), before);

    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(0)).await), StateName::Deleted);
    assert!(bench.stored(0, "_audit.r2.json").exists());
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn without_time_to_go_back_nothing_is_stored_and_the_refusal_says_so() {
    let mut bench = Bench::new(1).await;
    bench.action = Action::Deactivate;
    assert_eq!(state(&bench.run(0).await), StateName::DeactivatedOnly);
    assert!(!bench.stored(0, "_before.json").exists());
    let taken = bench.now();
    let back = bench.reactivate().await;
    assert_eq!(back.refusal, Some(Refusal::NoBeforeImage));
    assert!(back.text.unwrap().contains("offboarder cancel"));
    assert_eq!(bench.now(), taken);
    let orders = bench
        .services
        .stop_orders
        .fresh(&*bench.services.archive_store);
    assert_eq!(
        orders.await.unwrap().users().count(),
        0,
        "nothing is cancelled"
    );
}

#[tokio::test]
async fn a_run_that_begins_again_keeps_the_image() {
    let mut bench = Bench::within_a_grace().await;
    waits(&bench.ask(0, asked(200)).await);
    let image = bench.image();
    assert_eq!(image.possessions.len(), 5);
    bench.forget_checkpoints();
    waits(&bench.ask(0, asked(200)).await);
    assert_eq!(bench.image(), image);
    assert!(!bench.stored(0, "_before.r2.json").exists());

    // A request that was cancelled and made again finds a user who was emptied.
    bench.cancel(0, 100).await;
    waits(&bench.ask(0, asked(50)).await);
    let second = std::fs::read(bench.stored(0, "_before.r2.json")).unwrap();
    let second: BeforeImage = serde_json::from_slice(&second).unwrap();
    assert_eq!(second.possessions, image.possessions);
}

#[tokio::test]
async fn with_a_key_a_decision_of_a_stranger_deletes_nobody() {
    let mut bench = Bench::within_a_grace().await;
    let key = Secret::new("a key of thirty-two characters ..");
    let store = DirectoryStore::open(&bench.directory.path().join("archive")).unwrap();
    let store = store.with_integrity(Integrity::new(Some(&key)));
    bench.services.archive_store = Arc::new(store);
    waits(&bench.ask(0, asked(200)).await);
    let taken = bench.now();
    let forged = json!({
        "schemaVersion": 1, "userId": bench.user(0), "revision": 1, "fate": "delete",
        "who": "mallory", "at": "2026-01-01T00:00:00Z",
    });
    std::fs::write(bench.stored(0, "_fate.json"), forged.to_string()).unwrap();

    bench.services.guards.delete_grace = Duration::ZERO;
    let (reason, _, state, _) = dead_letter(bench.ask(0, asked(200)).await);
    assert_eq!(
        (reason, state),
        (Reason::ArchiveConflict, StateName::Archived)
    );
    assert_eq!(bench.count("delete_user"), 0);
    assert_eq!(bench.reactivate().await.refusal, Some(Refusal::Unreadable));
    assert_eq!(bench.now(), taken);
}
