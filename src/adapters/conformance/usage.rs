//! Counts by minute, and the count of deletions, which only Redis keeps.

use std::sync::Arc;
use std::time::Duration;

use super::servers;
use super::setup::{LEASE, raw_redis, redis_checkpoints};
use crate::adapters::redis::{RedisConnection, RedisUsage};
use crate::address::RedisUrl;
use crate::integrity::Integrity;
use crate::limits::RateLimit;
use crate::ports::usage::{MinutePart, Usage};
use crate::ports::{Admission, Checkpoints as _, CountOf};
use crate::telemetry::minutes::Counts;

fn usage(url: &RedisUrl) -> Arc<dyn Usage> {
    Arc::new(RedisUsage::new(Arc::new(RedisConnection::new(url))))
}

fn part(minute: i64, number: u64, finished: u64) -> MinutePart {
    let counts = Counts {
        finished,
        throttled: [0, 0, finished],
        ..Counts::default()
    };
    MinutePart {
        minute,
        number,
        counts,
    }
}

#[tokio::test]
async fn the_parts_of_all_workers_add_up_and_a_minute_without_any_is_unknown() {
    let usage = usage(&servers::redis_url());
    for (writer, part) in [
        ("a", part(1000, 1, 2)),
        ("b", part(1000, 1, 3)),
        ("a", part(1000, 2, 4)),
        ("a", part(1002, 3, 0)),
    ] {
        usage.add(writer, &part).await.unwrap();
    }

    let minutes = usage.minutes(999, 4).await.unwrap();
    let finished: Vec<_> = minutes
        .iter()
        .map(|counts| counts.as_ref().map(|counts| counts.finished))
        .collect();
    assert_eq!(finished, [None, Some(9), None, Some(0)]);
    assert_eq!(minutes[1].as_ref().unwrap().throttled, [0, 0, 9]);
}

#[tokio::test]
async fn a_part_that_arrives_twice_counts_once_and_a_strange_value_stops_nobody() {
    let url = servers::redis_url();
    let usage = usage(&url);
    usage.add("a", &part(7, 1, 2)).await.unwrap();
    usage.add("a", &part(7, 1, 2)).await.unwrap();
    let finished = async || {
        usage
            .minutes(7, 1)
            .await
            .unwrap()
            .remove(0)
            .unwrap()
            .finished
    };
    assert_eq!(finished().await, 2);

    let mut command = redis::cmd("HSET");
    command
        .arg("offboarder:{series}:7")
        .arg("finished")
        .arg("x");
    raw_redis::<i64>(&url, &command).await;
    assert_eq!(finished().await, 0);
    usage.add("a", &part(7, 2, 5)).await.unwrap();
    assert_eq!(finished().await, 5);

    let mut command = redis::cmd("SET");
    command.arg("offboarder:{series}:8").arg("x");
    raw_redis::<String>(&url, &command).await;
    usage.add("a", &part(8, 3, 1)).await.unwrap();
    assert!(usage.minutes(8, 1).await.unwrap()[0].is_some());
    let mut command = redis::cmd("TTL");
    command.arg("offboarder:{series}:8");
    let left: i64 = raw_redis(&url, &command).await;
    assert!((48 * 3600..49 * 3600).contains(&left), "{left}");
}

#[tokio::test]
async fn deletions_are_counted_within_the_period_and_unknown_where_the_count_is_lost() {
    let url = servers::redis_url();
    let usage = usage(&url);
    let hour = Duration::from_hours(1);
    assert_eq!(usage.deletions(hour).await.unwrap(), None);

    let checkpoints = redis_checkpoints(&url, LEASE, Integrity::default());
    checkpoints
        .restore_count(CountOf::Deletions, hour, &[])
        .await
        .unwrap();
    assert_eq!(usage.deletions(hour).await.unwrap(), Some(0));
    let limit = RateLimit {
        count: 5,
        per: hour,
    };
    let user = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
    let admitted = checkpoints
        .admit(CountOf::Deletions, user, limit)
        .await
        .unwrap();
    assert_eq!(admitted, Admission::Counted);
    assert_eq!(usage.deletions(hour).await.unwrap(), Some(1));
    assert_eq!(usage.deletions(hour * 2).await.unwrap(), None);
}
