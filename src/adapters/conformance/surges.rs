//! Counts of surges, which only Redis keeps.

use std::sync::Arc;

use super::servers;
use super::setup::raw_redis;
use crate::adapters::redis::{RedisConnection, RedisSurges};
use crate::address::RedisUrl;
use crate::job::UserId;
use crate::ports::{SurgeCount, SurgeHit, Surges};

fn surges(url: &RedisUrl) -> RedisSurges {
    RedisSurges::new(Arc::new(RedisConnection::new(url)))
}

fn user(number: u64) -> UserId {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .unwrap()
}

fn minute() -> i64 {
    crate::clock::Clock::system().now().as_second() / 60
}

async fn count(
    surges: &RedisSurges,
    release: &str,
    fingerprint: &str,
    number: u64,
    passed: (&str, &[(i64, u64)]),
) -> SurgeCount {
    let hit = SurgeHit {
        release,
        step: "archive",
        fingerprint,
        user_id: user(number),
        surge_users: 5,
        worker: passed.0,
        passed: passed.1,
    };
    surges.count(&hit).await.unwrap()
}

#[tokio::test]
async fn different_users_of_one_release_and_fault_count_and_each_once() {
    let surges = surges(&servers::redis_url());
    for (release, fingerprint, number, failed) in [
        ("1", "f", 1, 1),
        ("1", "f", 2, 2),
        ("1", "f", 2, 2),
        ("1", "other", 3, 1),
        ("2", "f", 4, 1),
        ("1", "f", 5, 3),
    ] {
        let found = count(&surges, release, fingerprint, number, ("a", &[])).await;
        assert_eq!(
            (found.failed, found.passed),
            (failed, 0),
            "{release} {fingerprint}"
        );
    }
}

#[tokio::test]
async fn what_each_worker_said_last_of_each_minute_adds_up_and_what_is_too_old_does_not() {
    let surges = surges(&servers::redis_url());
    let now = minute();
    let recent = [(now - 3, 2), (now, 4)];
    count(&surges, "1", "f", 1, ("a", &recent)).await;
    let old = [(now - 11, 50), (now - 1, 3)];
    let both = count(&surges, "1", "other", 2, ("b", &old)).await;
    assert_eq!(both.passed, 9);
    let again = count(&surges, "1", "f", 3, ("a", &[(now, 5)])).await;
    assert_eq!(again.passed, 10);
}

#[tokio::test]
async fn a_lift_forgets_only_the_faults_of_its_release() {
    let surges = surges(&servers::redis_url());
    for release in ["1", "2"] {
        count(&surges, release, "f", 1, ("a", &[])).await;
    }
    assert_eq!(surges.lifted("1").await.unwrap(), 0);
    surges.lift("1").await.unwrap();
    let lifted = surges.lifted("1").await.unwrap();
    assert!(lifted > 0);
    // A fault within the millisecond of the lift is forgotten, too.
    std::thread::sleep(std::time::Duration::from_millis(2));
    let found = count(&surges, "1", "f", 2, ("a", &[])).await;
    assert_eq!((found.failed, found.lifted), (1, lifted));
    assert_eq!(count(&surges, "2", "f", 2, ("a", &[])).await.failed, 2);
    assert_eq!(surges.lifted("2").await.unwrap(), 0);
}

#[tokio::test]
async fn what_another_program_wrote_to_the_keys_stops_nobody() {
    let url = servers::redis_url();
    let surges = surges(&url);
    for key in ["1:archive:f", "1:archive:passed", "lifted"] {
        let mut set = redis::cmd("SET");
        set.arg(format!("offboarder:{{surge}}:{key}")).arg("x");
        raw_redis::<()>(&url, &set).await;
    }
    let found = count(&surges, "1", "f", 1, ("a", &[(minute(), 2)])).await;
    assert_eq!((found.failed, found.passed, found.lifted), (1, 2, 0));
}

#[tokio::test]
async fn during_a_surge_no_fault_grows_too_old_to_count() {
    let url = servers::redis_url();
    let surges = surges(&url);
    let nearly_too_old = (minute() - 9) * 60_000;
    for (release, passed) in [("1", 0), ("2", 5)] {
        let key = format!("offboarder:{{surge}}:{release}:archive:f");
        for number in 1..5 {
            let mut add = redis::cmd("ZADD");
            add.arg(&key)
                .arg(nearly_too_old)
                .arg(user(number).to_string());
            raw_redis::<()>(&url, &add).await;
        }
        let found = count(&surges, release, "f", 5, ("a", &[(minute(), passed)])).await;
        assert_eq!(found.failed, 5);

        let mut old = redis::cmd("ZCOUNT");
        old.arg(&key).arg("-inf").arg(nearly_too_old);
        let old: u64 = raw_redis(&url, &old).await;
        assert_eq!(old, if passed == 0 { 0 } else { 4 }, "{release}");
    }
}
