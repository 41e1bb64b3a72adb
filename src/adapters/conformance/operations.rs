//! The progress of operations, over every store of checkpoints.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::servers;
use super::setup::raw_redis;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::adapters::redis::{RedisConnection, RedisOperations};
use crate::clock::Clock;
use crate::ports::operations::{
    Became, ItemResult, OperationClaim, OperationId, OperationKind, OperationLease,
    OperationOutcome, OperationState, Operations, Orders, StopRequest,
};

struct Store(
    Arc<dyn Operations>,
    #[expect(dead_code, reason = "removed with the store")] Option<TempDir>,
);

super::over_each_adapter!({
    one_operation_of_a_line_is_claimed_at_a_time,
    a_result_counts_once_and_only_under_the_lease,
    the_first_stop_and_the_last_pace_count,
    an_operation_is_listed_as_open_until_it_ends,
    an_ended_operation_keeps_what_lists_show_and_drops_its_results,
    processes_that_die_without_a_result_are_counted,
    nothing_is_known_of_an_operation_that_never_was,
} over redis, embedded);

fn redis() -> Store {
    let connection = Arc::new(RedisConnection::new(&servers::redis_url()));
    Store(Arc::new(RedisOperations::new(connection)), None)
}

fn embedded() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap();
    Store(Arc::new(store), Some(directory))
}

fn lease(kind: OperationKind, by: &str) -> OperationLease {
    OperationLease::new(OperationId::new(), kind.line(), by)
}

async fn claim(store: &Store, lease: &OperationLease, kind: OperationKind) -> OperationClaim {
    store.0.claim(lease, kind).await.unwrap()
}

fn granted() -> OperationClaim {
    OperationClaim::Granted(Orders::default())
}

fn result(number: u64, became: Became) -> ItemResult {
    ItemResult {
        number,
        dead_letter: Some(format!("{number:016}")),
        user_id: None,
        became,
        why: Some("a reason".to_owned()),
        at: Timestamp::from_second(1_700_000_000).unwrap(),
        detail: json!({ "for": "the next process" }),
    }
}

fn outcome(state: OperationState) -> OperationOutcome {
    OperationOutcome {
        state,
        at: Timestamp::from_second(1_700_000_000).unwrap(),
        error: None,
        stop: None,
        counts: [].into(),
    }
}

async fn one_operation_of_a_line_is_claimed_at_a_time(store: Store) {
    use OperationKind::{Discard, Replay, Verify};
    let first = lease(Replay, "a");
    assert_eq!(claim(&store, &first, Replay).await, granted());
    assert_eq!(claim(&store, &first, Replay).await, granted(), "it has it");

    let other = lease(Discard, "b");
    let held = claim(&store, &other, Discard).await;
    assert!(matches!(held, OperationClaim::Held { .. }), "{held:?}");
    let same = OperationLease::new(first.id, first.line, "b");
    let held = claim(&store, &same, Replay).await;
    assert!(matches!(held, OperationClaim::Held { .. }), "{held:?}");
    assert_eq!(store.0.renew(&other).await.unwrap(), None);
    store.0.release(&other, None).await.unwrap();
    let verify = lease(Verify, "b");
    assert_eq!(claim(&store, &verify, Verify).await, granted());

    store
        .0
        .release(&first, Some("a service is away"))
        .await
        .unwrap();
    assert_eq!(store.0.renew(&first).await.unwrap(), None);
    let progress = store.0.progress(first.id).await.unwrap().unwrap();
    assert_eq!(progress.trouble.as_deref(), Some("a service is away"));
    assert_eq!(claim(&store, &same, Replay).await, granted());
    let progress = store.0.progress(first.id).await.unwrap().unwrap();
    assert_eq!((progress.begun, progress.by.as_deref()), (2, Some("b")));
    assert_eq!(progress.trouble, None);
}

async fn a_result_counts_once_and_only_under_the_lease(store: Store) {
    let lease = lease(OperationKind::Replay, "a");
    assert!(
        !store
            .0
            .note(&lease, &result(0, Became::Moved))
            .await
            .unwrap()
    );
    claim(&store, &lease, OperationKind::Replay).await;
    for (number, became) in [(2, Became::Skipped), (0, Became::Moved), (0, Became::Gone)] {
        assert!(store.0.note(&lease, &result(number, became)).await.unwrap());
    }
    let expected = [result(0, Became::Moved), result(2, Became::Skipped)];
    assert_eq!(store.0.results(lease.id, 0, 3).await.unwrap(), expected);
    assert_eq!(
        store.0.results(lease.id, 1, 9).await.unwrap(),
        expected[1..]
    );
    assert_eq!(store.0.results(lease.id, 0, 0).await.unwrap(), []);
    let progress = store.0.progress(lease.id).await.unwrap().unwrap();
    let counts = [(Became::Moved, 1), (Became::Skipped, 1)].into();
    assert_eq!(
        (progress.state, progress.counts),
        (OperationState::Running, counts)
    );

    store.0.release(&lease, None).await.unwrap();
    assert!(
        !store
            .0
            .note(&lease, &result(1, Became::Moved))
            .await
            .unwrap()
    );
}

async fn the_first_stop_and_the_last_pace_count(store: Store) {
    let lease = lease(OperationKind::Verify, "a");
    let kind = OperationKind::Verify;
    store.0.open(lease.id, kind, &Value::Null).await.unwrap();
    claim(&store, &lease, kind).await;
    let order = |who: &str| StopRequest {
        who: who.to_owned(),
        why: None,
        at: Timestamp::UNIX_EPOCH,
    };
    for (who, ms) in [("ada", 500), ("bob", 2000)] {
        store.0.stop(lease.id, &order(who)).await.unwrap();
        let pace = Duration::from_millis(ms);
        store.0.set_pace(lease.id, pace).await.unwrap();
    }
    let orders = Orders {
        stop: Some(order("ada")),
        pace: Some(Duration::from_secs(2)),
    };
    assert_eq!(store.0.renew(&lease).await.unwrap(), Some(orders.clone()));
    store.0.release(&lease, None).await.unwrap();
    assert_eq!(
        claim(&store, &lease, kind).await,
        OperationClaim::Granted(orders)
    );
}

async fn an_operation_is_listed_as_open_until_it_ends(store: Store) {
    let kind = OperationKind::Discard;
    let ids = [OperationId::new(), OperationId::new(), OperationId::new()];
    store.0.restore(&[(ids[2], kind)]).await.unwrap();
    for id in [ids[1], ids[0]] {
        store
            .0
            .open(id, kind, &json!({ "who": "ada" }))
            .await
            .unwrap();
    }
    let open = store.0.list_open().await.unwrap();
    assert_eq!(open.open, ids.map(|id| (id, kind)));
    assert!(open.is_complete);
    let progress = store.0.progress(ids[0]).await.unwrap().unwrap();
    assert_eq!(
        (progress.state, &progress.head["who"]),
        (OperationState::Frozen, &json!("ada"))
    );

    let lease = OperationLease::new(ids[0], kind.line(), "a");
    claim(&store, &lease, kind).await;
    let done = outcome(OperationState::Done);
    store.0.end(ids[0], kind, &done).await.unwrap();
    let open = store.0.list_open().await.unwrap().open;
    assert_eq!(open, [(ids[1], kind), (ids[2], kind)]);
    let progress = store.0.progress(ids[0]).await.unwrap().unwrap();
    assert_eq!(progress.state, OperationState::Done);
    let next = OperationLease::new(ids[1], kind.line(), "b");
    assert_eq!(
        claim(&store, &next, kind).await,
        granted(),
        "the lease is free"
    );
}

async fn an_ended_operation_keeps_what_lists_show_and_drops_its_results(store: Store) {
    let kind = OperationKind::Verify;
    let lease = lease(kind, "a");
    claim(&store, &lease, kind).await;
    for number in 0..2 {
        let sound = result(number, Became::Sound);
        assert!(store.0.note(&lease, &sound).await.unwrap());
    }
    let noted = outcome(OperationState::Done);
    store.0.end(lease.id, kind, &noted).await.unwrap();
    let progress = store.0.progress(lease.id).await.unwrap().unwrap();
    assert_eq!(progress.counts, [(Became::Sound, 2)].into());
    assert_eq!((progress.ended_at, progress.error), (Some(noted.at), None));
    assert_eq!(store.0.results(lease.id, 0, 5).await.unwrap(), []);

    let stop = StopRequest {
        who: "ada".to_owned(),
        why: None,
        at: Timestamp::UNIX_EPOCH,
    };
    let ended = OperationOutcome {
        error: Some("a fault".to_owned()),
        stop: Some(stop.clone()),
        counts: [(Became::Sound, 2), (Became::Skipped, 7)].into(),
        ..outcome(OperationState::Stopped)
    };
    for _twice in 0..2 {
        store.0.end(lease.id, kind, &ended).await.unwrap();
    }
    let progress = store.0.progress(lease.id).await.unwrap().unwrap();
    assert_eq!(progress.counts, ended.counts);
    assert_eq!(progress.error, ended.error);
    assert_eq!(progress.orders.stop, Some(stop));
}

async fn processes_that_die_without_a_result_are_counted(store: Store) {
    let kind = OperationKind::Discard;
    let lease = lease(kind, "a");
    let in_vain = async || {
        let progress = store.0.progress(lease.id).await.unwrap();
        progress.unwrap().in_vain
    };
    claim(&store, &lease, kind).await;
    claim(&store, &lease, kind).await;
    assert_eq!(in_vain().await, 1, "a claim twice is one process");
    let moved = result(0, Became::Discarded);
    assert!(store.0.note(&lease, &moved).await.unwrap());
    assert_eq!(in_vain().await, 0, "it has a result");
    store.0.release(&lease, Some("a fault")).await.unwrap();
    let next = OperationLease::new(lease.id, lease.line, "b");
    claim(&store, &next, kind).await;
    assert_eq!(in_vain().await, 1);
    store.0.release(&next, None).await.unwrap();
    assert_eq!(in_vain().await, 0, "it gave the lease up");
}

async fn nothing_is_known_of_an_operation_that_never_was(store: Store) {
    let id = OperationId::new();
    assert_eq!(store.0.progress(id).await.unwrap(), None);
    assert_eq!(store.0.results(id, 0, 5).await.unwrap(), []);
}

#[tokio::test]
async fn a_list_that_redis_lost_is_not_complete_and_a_foreign_key_stops_nobody() {
    let url = servers::redis_url();
    let store = RedisOperations::new(Arc::new(RedisConnection::new(&url)));
    assert!(!store.list_open().await.unwrap().is_complete);
    for key in ["open", "lease:dead-letters"] {
        let mut command = ::redis::cmd("SADD");
        command
            .arg(format!("offboarder:{{operations}}:{key}"))
            .arg("x");
        raw_redis::<i64>(&url, &command).await;
    }
    let kind = OperationKind::Replay;
    let lease = lease(kind, "a");
    assert_eq!(store.renew(&lease).await.unwrap(), None);
    assert_eq!(store.list_open().await.unwrap().open, []);
    assert_eq!(store.claim(&lease, kind).await.unwrap(), granted());
    let open = store.list_open().await.unwrap();
    assert_eq!(
        (open.open, open.is_complete),
        (vec![(lease.id, kind)], false)
    );
    store.restore(&[]).await.unwrap();
    assert!(store.list_open().await.unwrap().is_complete);
}
