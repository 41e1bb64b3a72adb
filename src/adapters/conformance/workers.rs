//! Heartbeats of workers, which only Redis keeps.

use std::sync::Arc;

use jiff::SignedDuration;

use super::servers;
use super::setup::raw_redis;
use crate::adapters::redis::{RedisConnection, RedisWorkers};
use crate::address::RedisUrl;
use crate::clock::Clock;
use crate::ports::{Heartbeat, SILENT, WorkerRegistry};

fn registry(url: &RedisUrl) -> Arc<dyn WorkerRegistry> {
    Arc::new(RedisWorkers::new(Arc::new(RedisConnection::new(url))))
}

fn heartbeat(name: &str, in_flight: usize) -> Heartbeat {
    Heartbeat {
        in_flight,
        ..Heartbeat::sample(name)
    }
}

#[tokio::test]
async fn workers_are_listed_by_name_with_their_last_heartbeat() {
    let workers = registry(&servers::redis_url());
    assert_eq!(workers.workers().await.unwrap(), []);
    for beat in [heartbeat("b", 1), heartbeat("a", 2), heartbeat("b", 3)] {
        workers.announce(&beat).await.unwrap();
    }

    let listed = workers.workers().await.unwrap();
    let beats: Vec<_> = listed.iter().map(|live| live.worker.clone()).collect();
    assert_eq!(beats, [heartbeat("a", 2), heartbeat("b", 3)]);
    let ago = Clock::system().now().duration_since(listed[0].seen_at);
    assert!(ago.abs() < SignedDuration::from_mins(1), "{ago:?}");
}

#[tokio::test]
async fn a_worker_that_leaves_is_no_longer_listed() {
    let workers = registry(&servers::redis_url());
    for name in ["a", "b"] {
        workers.announce(&heartbeat(name, 0)).await.unwrap();
    }
    workers.leave("a").await.unwrap();
    workers.leave("nobody").await.unwrap();
    let listed = workers.workers().await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|live| live.worker.name.as_str())
        .collect();
    assert_eq!(names, ["b"]);
}

#[tokio::test]
async fn a_silent_worker_and_an_unreadable_heartbeat_are_not_listed() {
    let url = servers::redis_url();
    let workers = registry(&url);
    for name in ["live", "silent", "newer"] {
        workers.announce(&heartbeat(name, 0)).await.unwrap();
    }
    let mut command = redis::cmd("HSET");
    command
        .arg("offboarder:{workers}:said")
        .arg("newer")
        .arg("{}");
    raw_redis::<i64>(&url, &command).await;
    let long_ago = Clock::system().now() - SignedDuration::try_from(SILENT).unwrap();
    let mut command = redis::cmd("ZADD");
    command
        .arg("offboarder:{workers}:seen")
        .arg(long_ago.as_millisecond() - 1_000)
        .arg("silent");
    raw_redis::<i64>(&url, &command).await;

    let listed = workers.workers().await.unwrap();
    let names: Vec<_> = listed
        .iter()
        .map(|live| live.worker.name.as_str())
        .collect();
    assert_eq!(names, ["live"]);

    workers.announce(&heartbeat("live", 0)).await.unwrap();
    let mut command = redis::cmd("HKEYS");
    command.arg("offboarder:{workers}:said");
    let mut kept: Vec<String> = raw_redis(&url, &command).await;
    kept.sort();
    assert_eq!(kept, ["live", "newer"], "the silent one was removed");
}
