//! The index of the users who still have access, over Redis and the embedded store.

use std::sync::Arc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::servers;
use super::setup::{LEASE, checkpoint, raw_redis, redis_checkpoints, user};
use crate::adapters::conformance::over_each_adapter;
use crate::adapters::embedded::EmbeddedCheckpoints;
use crate::adapters::redis::{RedisBatches, RedisConnection, RedisUsers};
use crate::address::RedisUrl;
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure, Reason};
use crate::integrity::Integrity;
use crate::job::{Request, UserId};
use crate::machine::{AccessRemoved, Checkpoint, QueuesCleared, State, samples};
use crate::ports::batches::{Batches as _, Known};
use crate::ports::users::{Asked, UserIndex};
use crate::ports::{Checkpoints, Claim};

struct Store {
    checkpoints: Arc<dyn Checkpoints>,
    users: Arc<dyn UserIndex>,
    /// Where the store is a Redis.
    url: Option<RedisUrl>,
    _directory: Option<TempDir>,
}

fn redis_at(url: RedisUrl) -> Store {
    Store {
        checkpoints: Arc::new(redis_checkpoints(&url, LEASE, Integrity::default())),
        users: Arc::new(RedisUsers::new(
            Arc::new(RedisConnection::new(&url)),
            Clock::system(),
        )),
        url: Some(url),
        _directory: None,
    }
}

fn redis() -> Store {
    redis_at(servers::redis_url())
}

fn embedded() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedCheckpoints::open(directory.path(), Clock::system()).unwrap());
    Store {
        checkpoints: Arc::clone(&store) as Arc<dyn Checkpoints>,
        users: store,
        url: None,
        _directory: Some(directory),
    }
}

over_each_adapter!({
    a_user_is_in_the_index_from_the_request_to_the_deactivation,
    a_dead_letter_keeps_access_unless_cxone_does_not_know_the_user,
    a_cancelled_user_leaves_the_index_and_comes_back_when_asked_for_later,
    a_claim_shows_that_a_user_was_asked_for_before_anything_is_saved,
    a_checkpoint_says_more_than_a_request,
    pages_follow_the_time_of_the_request_also_where_many_have_the_same,
    an_index_that_was_never_built_is_incomplete_and_a_rebuild_reads_every_checkpoint,
    a_scan_names_every_user_with_a_checkpoint,
} over redis, embedded);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn deactivated(user_id: UserId, second: i64) -> Checkpoint {
    let mut checkpoint = checkpoint(user_id, second);
    checkpoint.state = State::Deactivated {
        access: AccessRemoved {
            queues: QueuesCleared {
                confirmed: true,
                residual: Vec::new(),
                agent: Some(17),
            },
            scim_active: Some(false),
            at: at(second),
            sessions_ended_at: None,
        },
    };
    checkpoint
}

/// A checkpoint of a request of that second.
fn requested(user_id: UserId, second: i64) -> Checkpoint {
    let mut checkpoint = checkpoint(user_id, 5_000);
    checkpoint.request.requested_at = Some(at(second));
    checkpoint
}

impl Store {
    async fn save(&self, checkpoint: &Checkpoint) {
        let user_id = checkpoint.user_id;
        let Claim::Granted { lease, version, .. } = self.checkpoints.claim(user_id).await.unwrap()
        else {
            panic!("nobody else has it");
        };
        self.checkpoints
            .save(&lease, version, checkpoint)
            .await
            .unwrap();
        self.checkpoints.release(&lease).await.unwrap();
    }

    /// What all pages of a scan name.
    async fn scanned(&self) -> Vec<UserId> {
        let mut seen = Vec::new();
        let mut from = None;
        loop {
            let page = self.users.scan(from.as_deref(), 10).await.unwrap();
            seen.extend(page.users);
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    async fn with_access(&self) -> Vec<Asked> {
        self.users.with_access(None, 1_000).await.unwrap().users
    }
}

async fn a_user_is_in_the_index_from_the_request_to_the_deactivation(store: Store) {
    let user_id = user();
    store.users.add_asked(&[user_id], at(10)).await.unwrap();
    store.users.add_asked(&[user_id], at(20)).await.unwrap();
    let asked = |second| Asked {
        at: at(second),
        user_id,
    };
    assert_eq!(store.with_access().await, [asked(10)]);
    assert_eq!(store.users.asked_at(user_id).await.unwrap(), Some(at(10)));

    store.save(&requested(user_id, 9)).await;
    assert_eq!(store.with_access().await, [asked(9)]);
    let known = store.users.summaries(&[user_id, user()]).await.unwrap();
    assert!(matches!(&known[..], [Known::Summary(_), Known::Nothing]));

    store.save(&deactivated(user_id, 30)).await;
    let page = store.users.with_access(None, 10).await.unwrap();
    assert_eq!((page.users, page.total, page.first), (vec![], 0, None));
    assert_eq!(store.users.asked_at(user_id).await.unwrap(), None);

    // The user came back, and is off-boarded again.
    store.save(&requested(user_id, 40)).await;
    assert_eq!(store.with_access().await, [asked(40)]);
}

async fn a_dead_letter_keeps_access_unless_cxone_does_not_know_the_user(store: Store) {
    let give_up = |user_id, reason, code| {
        let mut checkpoint = requested(user_id, 7);
        let failure = Failure::new(Class::Permanent(reason), code, "refused");
        checkpoint.give_up(reason, failure, at(8));
        checkpoint
    };
    let rejected = user();
    let unknown = user();
    store
        .save(&give_up(rejected, Reason::ApiRejected, Code::CxoneRejected))
        .await;
    store
        .save(&give_up(unknown, Reason::UserNotFound, Code::UserNotFound))
        .await;

    let left: Vec<UserId> = store
        .with_access()
        .await
        .iter()
        .map(|user| user.user_id)
        .collect();
    assert_eq!(left, [rejected]);
}

async fn a_cancelled_user_leaves_the_index_and_comes_back_when_asked_for_later(store: Store) {
    let user_id = user();
    let mut checkpoint = requested(user_id, 100);
    store.save(&checkpoint).await;
    checkpoint.cancel(samples::cancelled(at(150)), at(150));
    store.save(&checkpoint).await;
    assert!(
        store
            .with_access()
            .await
            .iter()
            .all(|asked| asked.user_id != user_id)
    );
    let known = store.users.summaries(&[user_id]).await.unwrap();
    let Known::Summary(summary) = &known[0] else {
        panic!("{known:?}");
    };
    assert_eq!(summary.cancelled_at, Some(at(150)));
    assert!(summary.has_access());

    let request = Request {
        requested_at: Some(at(200)),
        ..Request::default()
    };
    checkpoint.order_again(request, at(201));
    store.save(&checkpoint).await;
    let asked = store
        .with_access()
        .await
        .into_iter()
        .find(|asked| asked.user_id == user_id);
    assert_eq!(asked.map(|asked| asked.at), Some(at(200)));
}

async fn a_claim_shows_that_a_user_was_asked_for_before_anything_is_saved(store: Store) {
    let user_id = user();
    let Claim::Granted { lease, .. } = store.checkpoints.claim(user_id).await.unwrap() else {
        panic!("nobody else has it");
    };
    store.checkpoints.release(&lease).await.unwrap();
    let page = store.users.with_access(None, 10).await.unwrap();
    assert_eq!((page.users.len(), page.total), (1, 1));
    assert_eq!(page.users[0].user_id, user_id);
}

async fn a_checkpoint_says_more_than_a_request(store: Store) {
    let user_id = user();
    store.save(&deactivated(user_id, 30)).await;
    store.users.add_asked(&[user_id], at(99)).await.unwrap();
    assert_eq!(store.with_access().await, []);
    store.checkpoints.claim(user_id).await.unwrap();
    assert_eq!(store.with_access().await, []);
}

async fn pages_follow_the_time_of_the_request_also_where_many_have_the_same(store: Store) {
    let mut users: Vec<UserId> = (0..7).map(|_| user()).collect();
    users.sort_unstable();
    store.users.add_asked(&users[..1], at(99)).await.unwrap();
    store.users.add_asked(&users[1..], at(50)).await.unwrap();

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.users.with_access(after, 2).await.unwrap();
        assert_eq!((page.total, page.first), (7, Some(at(50))));
        let Some(last) = page.users.last() else { break };
        after = Some(*last);
        seen.extend(page.users.iter().map(|user| user.user_id));
    }
    users.rotate_left(1);
    assert_eq!(seen, users);

    // One who left between two pages neither hides nor repeats another one.
    let gone = Asked {
        at: at(50),
        user_id: users[1],
    };
    store.save(&deactivated(users[1], 60)).await;
    let page = store.users.with_access(Some(gone), 2).await.unwrap();
    let page: Vec<UserId> = page.users.iter().map(|user| user.user_id).collect();
    assert_eq!(page, users[2..4]);
}

async fn an_index_that_was_never_built_is_incomplete_and_a_rebuild_reads_every_checkpoint(
    store: Store,
) {
    let page = store.users.with_access(None, 10).await.unwrap();
    assert_eq!((page.total, page.complete_since), (0, None));

    let present = user();
    let gone = user();
    store.save(&requested(present, 7)).await;
    store.save(&deactivated(gone, 8)).await;
    if let Some(url) = &store.url {
        // What a Redis looks like that an earlier release wrote, or that lost a key.
        let mut command = ::redis::cmd("DEL");
        command.arg("offboarder:access");
        raw_redis::<i64>(url, &command).await;
        let mut command = ::redis::cmd("ZADD");
        command
            .arg("offboarder:access")
            .arg(1)
            .arg(gone.to_string());
        raw_redis::<i64>(url, &command).await;
    }

    store.users.rebuild().await.unwrap();
    let page = store.users.with_access(None, 10).await.unwrap();
    let users: Vec<UserId> = page.users.iter().map(|user| user.user_id).collect();
    assert_eq!((users, page.total), (vec![present], 1));
    assert!(page.complete_since.is_some());

    store.save(&deactivated(present, 9)).await;
    let page = store.users.with_access(None, 10).await.unwrap();
    assert_eq!((page.users, page.total), (vec![], 0));
    assert!(page.complete_since.is_some());
}

async fn a_scan_names_every_user_with_a_checkpoint(store: Store) {
    let mut users: Vec<UserId> = (0..25).map(|_| user()).collect();
    for user_id in &users {
        store.save(&requested(*user_id, 7)).await;
    }
    users.sort_unstable();
    assert_eq!(store.scanned().await, users);
}

#[tokio::test]
async fn a_key_of_another_program_in_the_place_of_the_index_stops_no_worker() {
    let store = redis();
    let url = store.url.clone().unwrap();
    let user_id = user();
    for part in 0..3 {
        let mut command = ::redis::cmd("SET");
        command.arg("offboarder:access").arg("x");
        raw_redis::<String>(&url, &command).await;
        let page = store.users.with_access(None, 10).await.unwrap();
        assert_eq!((page.total, page.complete_since), (0, None));
        match part {
            0 => store.users.add_asked(&[user_id], at(1)).await.unwrap(),
            1 => store.save(&requested(user_id, 1)).await,
            _ => store.users.correct(&[user_id]).await.unwrap(),
        }
        assert_eq!(store.with_access().await.len(), 1, "{part}");
    }
}

#[tokio::test]
async fn a_rebuild_finds_the_users_of_batches_who_have_not_begun() {
    let store = redis();
    let connection = Arc::new(RedisConnection::new(store.url.as_ref().unwrap()));
    let batches = RedisBatches::new(connection);
    let batch = "b-1".parse().unwrap();
    let users = [user(), user()];
    batches.add_users(&batch, &users, at(5)).await.unwrap();
    store.save(&deactivated(users[0], 9)).await;

    store.users.rebuild().await.unwrap();
    let waiting = Asked {
        at: at(5),
        user_id: users[1],
    };
    assert_eq!(store.with_access().await, [waiting]);
}

/// As a cluster, and as what looks like a single Redis.
#[tokio::test]
async fn the_index_is_kept_in_the_slots_of_a_cluster_also_behind_a_proxy() {
    let cluster = Cluster::start().await;
    for scheme in ["redis+cluster", "redis"] {
        let mut flush = ::redis::cmd("FLUSHALL");
        flush.arg("SYNC");
        raw_redis::<String>(&cluster.url("redis"), &flush).await;
        let store = redis_at(cluster.url(scheme));
        let mut users: Vec<UserId> = (0..30).map(|_| user()).collect();
        users.sort_unstable();
        store.users.add_asked(&users, at(10)).await.unwrap();
        let page = store.users.with_access(None, 5).await.unwrap();
        assert_eq!((page.total, page.complete_since), (30, None), "{scheme}");

        store.save(&requested(users[0], 5)).await;
        store.save(&deactivated(users[1], 20)).await;
        store.users.rebuild().await.unwrap();
        let page = store.users.with_access(None, 3).await.unwrap();
        let first: Vec<UserId> = page.users.iter().map(|user| user.user_id).collect();
        assert_eq!(first, [users[0], users[2], users[3]], "{scheme}");
        assert_eq!((page.total, page.first), (29, Some(at(5))), "{scheme}");
        assert!(page.complete_since.is_some(), "{scheme}");
        let behind = page.users.last().copied();
        let page = store.users.with_access(behind, 1).await.unwrap();
        assert_eq!(page.users[0].user_id, users[4], "{scheme}");

        // The scan passes over the keys of the index, too.
        assert_eq!(store.scanned().await, users[..2], "{scheme}");
    }
}
