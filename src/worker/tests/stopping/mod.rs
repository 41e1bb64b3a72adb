use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::meddling::waits_for_its_deletion;
use super::{Bench, state};
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::clock::Clock;
use crate::job::Request;
use crate::machine::{Cancelled, Checkpoint, StateName};
use crate::manifest::Manifest;
use crate::operations::pause::resume;
use crate::ports::Claim;
use crate::registers::audit_log::{Operator, Recorded};
use crate::registers::{StopAct, StopRegister, give_order};
use crate::simulator::Record;
use crate::steps::Interrupt;
use crate::worker::Outcome;
use crate::worker::run::CancelledEnd;

mod asked_again;

const AN_HOUR: Duration = Duration::from_hours(1);

pub(super) fn ago(seconds: i64) -> Timestamp {
    Clock::system().now() - SignedDuration::from_secs(seconds)
}

pub(super) fn asked(seconds_ago: i64) -> Request {
    Request {
        requested_at: Some(ago(seconds_ago)),
        message_sha256: Some(format!("of {seconds_ago} s ago")),
        ..Request::default()
    }
}

fn in_batch(seconds_ago: i64, batch: &str) -> Request {
    Request {
        batch_id: Some(batch.parse().unwrap()),
        ..asked(seconds_ago)
    }
}

#[track_caller]
fn cancelled(outcome: Outcome) -> CancelledEnd {
    match outcome {
        Outcome::Cancelled(end) => *end,
        other => panic!("not cancelled: {other:?}"),
    }
}

impl Bench {
    /// An operator's order of this number of seconds ago, which workers have read.
    async fn order(&mut self, act: StopAct, seconds_ago: i64) {
        let recorded = Recorded::in_a_test("ada", Some("a wrong list"));
        let store = &*self.services.archive_store;
        give_order(store, act, &recorded, ago(seconds_ago))
            .await
            .unwrap();
        self.services.stop_orders = Arc::new(StopRegister::default());
    }

    pub(super) async fn cancel(&mut self, number: usize, seconds_ago: i64) {
        let users = vec![self.user(number)];
        self.order(StopAct::CancelUsers { users }, seconds_ago)
            .await;
    }

    async fn checkpoint(&self, number: usize) -> Checkpoint {
        let read = self.services.checkpoints.read(self.user(number)).await;
        read.unwrap().unwrap()
    }

    /// What the operator's command does to a checkpoint.
    async fn note_cancelled(&self, number: usize, at: Timestamp) {
        let checkpoints = &self.services.checkpoints;
        let claim = checkpoints.claim(self.user(number)).await.unwrap();
        let Claim::Granted {
            lease,
            version,
            checkpoint,
            ..
        } = claim
        else {
            panic!("nobody else has it");
        };
        let mut checkpoint = *checkpoint.unwrap();
        let noted = Cancelled {
            at,
            who: "ada".to_owned(),
            why: None,
            batch_id: None,
            message_due: None,
            reactivation: None,
        };
        checkpoint.cancel(noted, ago(0));
        checkpoints
            .save(&lease, version, &checkpoint)
            .await
            .unwrap();
        checkpoints.release(&lease).await.unwrap();
    }

    /// The user is active, and has other conversations than before.
    fn works_again(&self, number: usize) {
        let record = json!({ "id": self.user(number), "conversations": 7 });
        let record = serde_json::from_value::<Record>(record).unwrap();
        self.simulator.put_user(record);
    }

    /// The second archive has what came since, and the manifest names the second request.
    async fn assert_whole_revision(&self, number: usize) {
        let manifest = std::fs::read(self.stored(number, "_audit.r2.json")).unwrap();
        let manifest: Manifest = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest.archive.archive.conversations, 7);
        let answered = manifest.request.message_sha256.unwrap();
        assert_eq!(answered, "of 50 s ago");
        assert!(!self.stored(number, "_audit.json").exists());
        self.assert_verified(number).await;
    }

    pub(super) fn forget_checkpoints(&mut self) {
        let elsewhere = self.directory.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        let empty = EmbeddedCheckpoints::open(&elsewhere, Clock::system()).unwrap();
        self.services.checkpoints = Arc::new(empty);
    }
}

#[tokio::test]
async fn a_cancelled_message_is_dropped_each_time_also_without_a_checkpoint_and_a_later_one_is_an_order()
 {
    let mut bench = Bench::new(1).await;
    bench.cancel(0, 100).await;
    let message = asked(200);
    let first = cancelled(bench.ask(0, message.clone()).await);
    assert_eq!(first.state, StateName::Received);
    assert_eq!(
        (first.cancelled.who.as_str(), first.access_gone.is_some()),
        ("ada", false)
    );
    assert_eq!(cancelled(bench.ask(0, message).await), first);
    bench.forget_checkpoints();
    let again = cancelled(bench.ask(0, asked(200)).await);
    assert_eq!(again.cancelled, first.cancelled);
    assert_eq!(bench.count("get_routing_profile"), 0);
    // A message that does not say when it was asked for is covered, too.
    cancelled(bench.ask(0, Request::default()).await);

    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn a_user_who_waits_for_the_deletion_stops_at_the_checkpoint_and_all_steps_come_again_when_asked_again()
 {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    assert!(matches!(
        bench.ask(0, asked(200)).await,
        Outcome::Delay { .. }
    ));
    bench.services.guards.delete_grace = Duration::ZERO;
    bench.cancel(0, 100).await;
    let end = cancelled(bench.ask(0, asked(200)).await);
    assert_eq!(end.state, StateName::Archived);
    assert!(end.access_gone.is_some());
    let checkpoint = bench.checkpoint(0).await;
    assert!(checkpoint.cancelled.unwrap().message_due.is_some());
    assert_eq!((checkpoint.pause, bench.count("delete_user")), (None, 0));

    let reads = bench.count("get_routing_profile");
    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    assert!(bench.count("get_routing_profile") > reads);
    bench.assert_verified(0).await;
}

async fn sealed_and_cancelled() -> Bench {
    let (bench, quotas) = waits_for_its_deletion(asked(200)).await;
    let path = bench.directory.path().join("archive/_stop_order.1.json");
    let user_id = bench.user(0);
    let at = ago(100);
    let text = format!(
        r#"{{"act":{{"what":"cancel_users","users":["{user_id}"]}},"who":"ada","at":"{at}"}}"#
    );
    // The routing that is read again, the place of the DELETE.
    quotas.arm(2, path, text);

    let end = cancelled(bench.ask(0, asked(200)).await);
    assert_eq!(
        (end.state, bench.count("delete_user")),
        (StateName::Archived, 0)
    );
    let sealed = bench.stored(0, "_sealed.json");
    assert!(sealed.exists(), "it was about to be deleted");
    bench
}

#[tokio::test]
async fn a_cancellation_that_comes_while_the_delete_waits_for_its_quota_stops_it() {
    let bench = sealed_and_cancelled().await;
    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    assert_eq!(bench.count("delete_user"), 1);
    bench.assert_verified(0).await;
}

#[tokio::test]
async fn a_duplicate_of_a_cancelled_message_does_not_stop_what_was_asked_for_again() {
    let mut bench = Bench::new(1).await;
    bench.services.guards.delete_grace = AN_HOUR;
    bench.cancel(0, 100).await;
    assert!(matches!(
        bench.ask(0, asked(50)).await,
        Outcome::Delay { .. }
    ));
    assert_eq!(bench.ask(0, asked(200)).await, Outcome::Obsolete);
    assert_eq!(bench.checkpoint(0).await.cancelled, None);
    bench.services.guards.delete_grace = Duration::ZERO;
    assert_eq!(state(&bench.ask(0, asked(50)).await), StateName::Deleted);
    // A user who is finished stays finished, and the message begins no other revision.
    assert_eq!(state(&bench.ask(0, asked(200)).await), StateName::Deleted);
}

#[tokio::test]
async fn a_cancelled_batch_is_dropped_and_another_batch_of_the_same_user_continues() {
    let mut bench = Bench::new(1).await;
    let batch = "wrong".parse().unwrap();
    bench.order(StopAct::CancelBatch { batch }, 100).await;
    let end = cancelled(bench.ask(0, in_batch(200, "wrong")).await);
    assert_eq!(end.cancelled.batch_id, end.request.batch_id);
    let right = bench.ask(0, in_batch(200, "right")).await;
    assert_eq!(state(&right), StateName::Deleted);
}

#[tokio::test]
async fn users_of_a_paused_batch_wait_in_the_broker_and_spend_no_attempt_while_others_continue() {
    let mut bench = Bench::new(3).await;
    bench.services.guards.delete_grace = AN_HOUR;
    let before = bench.ask(1, in_batch(200, "b")).await;
    assert!(matches!(before, Outcome::Delay { .. }));
    bench.services.guards.delete_grace = Duration::ZERO;
    let batch: crate::job::BatchId = "b".parse().unwrap();
    let pause = StopAct::PauseBatch {
        batch: batch.clone(),
        until: None,
    };
    bench.order(pause, 100).await;

    for number in [0, 1] {
        let Outcome::Delay { until, why, code } = bench.ask(number, in_batch(200, "b")).await
        else {
            panic!("it waits");
        };
        let wait = until.duration_since(Clock::system().now()).as_secs();
        assert!((5..=60).contains(&wait), "{wait}");
        assert!(why.contains("paused") && code.is_none(), "{why}");
        let checkpoint = bench.checkpoint(number).await;
        assert_eq!((checkpoint.attempts, checkpoint.last_failure), (0, None));
    }
    assert_eq!(
        (
            bench.count("delete_user"),
            bench.checkpoint(0).await.steps.len()
        ),
        (0, 0)
    );
    let other = bench.ask(2, in_batch(200, "c")).await;
    assert_eq!(state(&other), StateName::Deleted);

    bench.order(StopAct::ResumeBatch { batch }, 0).await;
    for number in [0, 1] {
        let outcome = bench.ask(number, in_batch(200, "b")).await;
        assert_eq!(state(&outcome), StateName::Deleted, "{number}");
    }
}

#[tokio::test]
async fn orders_in_doubt_stop_all_users_until_an_operator_resumes() {
    let mut bench = Bench::new(1).await;
    let forged = bench.directory.path().join("archive/_stop_order.3.json");
    std::fs::write(forged, "{}").unwrap();
    let outcome = bench.ask(0, asked(200)).await;
    assert_eq!(outcome, Outcome::Interrupted(Interrupt::Draining));

    let operator = Operator {
        who: "ada".to_owned(),
        why: None,
    };
    let store = &bench.services.archive_store;
    resume(store, &bench.services.clock, &operator)
        .await
        .unwrap();
    bench.services.stop_orders = Arc::new(StopRegister::default());
    assert_eq!(state(&bench.ask(0, asked(200)).await), StateName::Deleted);
}
