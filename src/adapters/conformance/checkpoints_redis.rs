//! What only Redis promises of checkpoints: other processes may have a lease, die, or write
//! anything.

use std::sync::Arc;
use std::time::Duration;

use super::servers;
use super::setup::{LEASE, checkpoint, checkpoint_key, raw_redis, redis_checkpoints, user};
use crate::adapters::redis::RedisCheckpoints;
use crate::address::RedisUrl;
use crate::failure::{Class, Code};
use crate::integrity::Integrity;
use crate::job::UserId;
use crate::ports::{Checkpoints as _, Claim, Lease, Saved};

const SHORT: Duration = Duration::from_millis(60);

fn worker(url: &RedisUrl, lease: Duration) -> RedisCheckpoints {
    redis_checkpoints(url, lease, Integrity::default())
}

async fn claim(worker: &RedisCheckpoints, user_id: UserId) -> (Lease, u32) {
    match worker.claim(user_id).await.unwrap() {
        Claim::Granted { lease, deaths, .. } => (lease, deaths),
        Claim::Held { for_at_most, .. } => panic!("held for {for_at_most:?}"),
    }
}

#[tokio::test]
async fn a_lease_that_expired_is_lost_and_the_next_claim_counts_the_deaths() {
    let url = servers::redis_url();
    let dying = worker(&url, SHORT);
    let other = worker(&url, LEASE);
    let user_id = user();
    let mut old = None;
    for died in 0..3 {
        let claimed = claim(&dying, user_id).await;
        assert_eq!(claimed.1, died);
        assert!(matches!(
            other.claim(user_id).await.unwrap(),
            Claim::Held { .. }
        ));
        tokio::time::sleep(SHORT * 2).await;
        old = Some(claimed.0);
    }

    let old = old.unwrap();
    let claimed = claim(&other, user_id).await;
    assert_eq!(claimed.1, 3);
    assert!(claimed.0.fence > old.fence);
    assert!(!dying.renew(&old).await.unwrap());
    let saved = checkpoint(user_id, 1);
    assert_eq!(dying.save(&old, 0, &saved).await.unwrap(), Saved::Refused);

    other.release(&claimed.0).await.unwrap();
    assert_eq!(claim(&other, user_id).await.1, 0, "it was released");
}

#[tokio::test]
async fn workers_that_took_a_user_since_the_last_save_are_named() {
    let url = servers::redis_url();
    let user_id = user();
    let named = |name: &str| worker(&url, LEASE).of_worker(name);
    let [first, second, operator] = [named("w-1"), named("w-2"), worker(&url, LEASE)];
    for (store, expected) in [
        (&first, "w-1"),
        (&second, "w-1, w-2"),
        (&operator, "w-1, w-2"),
        (&first, "w-1, w-2"),
    ] {
        let Claim::Granted { lease, workers, .. } = store.claim(user_id).await.unwrap() else {
            panic!("held");
        };
        assert_eq!(workers.join(", "), expected);
        store.release(&lease).await.unwrap();
    }

    let lease = claim(&first, user_id).await.0;
    let saved = first.save(&lease, 0, &checkpoint(user_id, 1)).await;
    assert_eq!(saved.unwrap(), Saved::Version(1));
    first.release(&lease).await.unwrap();
    let Claim::Granted { workers, .. } = second.claim(user_id).await.unwrap() else {
        panic!("held");
    };
    assert_eq!(workers, ["w-2"], "the others are in what was saved");
}

#[tokio::test]
async fn a_lease_that_is_renewed_does_not_expire() {
    let url = servers::redis_url();
    let lease = SHORT * 10;
    let owner = worker(&url, lease);
    let user_id = user();
    let claimed = claim(&owner, user_id).await;
    for second in 0..4 {
        tokio::time::sleep(lease / 2).await;
        let renewed = if second % 2 == 0 {
            owner.renew(&claimed.0).await.unwrap()
        } else {
            let saved = checkpoint(user_id, second);
            let version = u64::try_from(second / 2).unwrap();
            owner.save(&claimed.0, version, &saved).await.unwrap() != Saved::Refused
        };
        assert!(renewed, "{second}");
    }
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_may_be_sent_again() {
    let url = servers::redis_url();
    let worker = worker(&url, LEASE);
    let user_id = user();
    let claimed = claim(&worker, user_id).await;
    for _ in 0..2 {
        let answer = worker.save(&claimed.0, 0, &checkpoint(user_id, 1)).await;
        assert_eq!(answer.unwrap(), Saved::Version(1));
    }
}

#[tokio::test]
async fn what_another_program_wrote_stops_no_worker() {
    let url = servers::redis_url();
    let worker = worker(&url, LEASE);
    for (field, value) in [
        ("version", "x"),
        ("fence", "-1"),
        ("unreleased", "1e400"),
        ("code", "\u{0}"),
    ] {
        let user_id = user();
        let mut command = redis::cmd("HSET");
        command.arg(checkpoint_key(user_id)).arg(field).arg(value);
        raw_redis::<i64>(&url, &command).await;
        let claimed = claim(&worker, user_id).await;
        let saved = worker.save(&claimed.0, 0, &checkpoint(user_id, 1)).await;
        assert_eq!(saved.unwrap(), Saved::Version(1), "{field}");
    }

    for kind in ["SET", "SADD"] {
        let user_id = user();
        let mut command = redis::cmd(kind);
        command.arg(checkpoint_key(user_id)).arg("x");
        raw_redis::<redis::Value>(&url, &command).await;
        let claimed = claim(&worker, user_id).await;
        let saved = worker.save(&claimed.0, 0, &checkpoint(user_id, 1)).await;
        assert_eq!(saved.unwrap(), Saved::Version(1), "{kind}");
    }
}

#[tokio::test]
async fn a_noted_count_of_holds_that_is_not_a_number_is_the_largest() {
    let url = servers::redis_url();
    let worker = worker(&url, LEASE);
    for (command, value) in [("SET", "x"), ("SET", "-1"), ("SADD", "1")] {
        let user_id = user();
        let mut command = redis::cmd(command);
        command
            .arg(format!("offboarder:{{{user_id}}}:holds"))
            .arg(value);
        raw_redis::<redis::Value>(&url, &command).await;
        let noted = worker.noted_holds(user_id).await.unwrap();
        assert_eq!(noted, u32::MAX, "{value}");
        let (lease, _) = claim(&worker, user_id).await;
        let saved = worker.save_intent(&lease, 0, &checkpoint(user_id, 1)).await;
        assert_eq!(saved.unwrap(), (Saved::Version(1), u32::MAX), "{value}");
    }
}

#[tokio::test]
async fn a_count_of_deletions_that_was_removed_or_replaced_is_unknown() {
    use crate::limits::RateLimit;
    use crate::ports::Admission::{Counted, Unknown};
    use crate::ports::CountOf;
    let url = servers::redis_url();
    let worker = worker(&url, LEASE);
    let limit = RateLimit {
        count: 1,
        per: Duration::from_mins(1),
    };
    for replaced in [false, true] {
        worker
            .restore_count(CountOf::Deletions, limit.per, &[])
            .await
            .unwrap();
        let admission = worker
            .admit(CountOf::Deletions, user(), limit)
            .await
            .unwrap();
        assert_eq!(admission, Counted);

        let mut command = redis::cmd(if replaced { "SET" } else { "DEL" });
        command.arg("offboarder:deletions");
        if replaced {
            command.arg("x");
        }
        raw_redis::<redis::Value>(&url, &command).await;
        let admission = worker
            .admit(CountOf::Deletions, user(), limit)
            .await
            .unwrap();
        assert_eq!(admission, Unknown, "{replaced}");
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_reported_as_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = RedisUrl::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
    let worker = Arc::new(worker(&url, LEASE));
    let failure = worker.read(user()).await.unwrap_err();
    assert_eq!(failure.class, Class::Systemic);
    assert_eq!(failure.code, Code::CheckpointsUnreachable);
    assert!(failure.text.contains(&port.to_string()), "{failure}");
}
