//! The quotas of a tenant: shared over Redis, or of one process.

use std::sync::Arc;
use std::time::Duration;

use super::servers;
use crate::adapters::http::LocalQuotas;
use crate::adapters::redis::{RedisConnection, RedisQuotas};
use crate::ports::{QuotaClass, Quotas};

const INTERVAL: Duration = Duration::from_secs(10);

fn redis() -> Arc<dyn Quotas> {
    let connection = RedisConnection::new(&servers::redis_url());
    Arc::new(RedisQuotas::new(Arc::new(connection)))
}

fn of_one_process() -> Arc<dyn Quotas> {
    Arc::new(LocalQuotas::default())
}

super::over_each_adapter!({
    reservations_follow_each_other_at_the_interval,
    each_class_has_a_quota_of_its_own,
    a_cool_down_delays_the_next_reservation,
} over redis, of_one_process);

/// Whether `wait` is this long, less the time that the test itself took.
fn is_about(wait: Duration, expected: Duration) -> bool {
    wait <= expected && wait + Duration::from_secs(5) > expected
}

async fn reservations_follow_each_other_at_the_interval(quotas: Arc<dyn Quotas>) {
    let first = quotas.reserve(QuotaClass::Scim, INTERVAL, 3).await.unwrap();
    assert_eq!(first.starts_in, Duration::ZERO);
    assert_eq!(first.workers, 1);
    let second = quotas.reserve(QuotaClass::Scim, INTERVAL, 1).await.unwrap();
    assert!(is_about(second.starts_in, INTERVAL * 3), "{second:?}");
    let third = quotas.reserve(QuotaClass::Scim, INTERVAL, 1).await.unwrap();
    assert!(is_about(third.starts_in, INTERVAL * 4), "{third:?}");
}

async fn each_class_has_a_quota_of_its_own(quotas: Arc<dyn Quotas>) {
    for class in QuotaClass::ALL {
        let reserved = quotas.reserve(class, INTERVAL, 1).await.unwrap();
        assert_eq!(reserved.starts_in, Duration::ZERO, "{class:?}");
    }
}

async fn a_cool_down_delays_the_next_reservation(quotas: Arc<dyn Quotas>) {
    quotas
        .cool_down(QuotaClass::Routing, INTERVAL * 2)
        .await
        .unwrap();
    quotas
        .cool_down(QuotaClass::Routing, INTERVAL)
        .await
        .unwrap();
    let reserved = quotas.reserve(QuotaClass::Routing, INTERVAL, 1).await;
    let wait = reserved.unwrap().starts_in;
    assert!(is_about(wait, INTERVAL * 2), "{wait:?}");
    let other = quotas.reserve(QuotaClass::Scim, INTERVAL, 1).await.unwrap();
    assert_eq!(other.starts_in, Duration::ZERO);
}

#[tokio::test]
async fn processes_that_share_a_redis_share_the_quota_and_are_counted() {
    let url = servers::redis_url();
    let process = || RedisQuotas::new(Arc::new(RedisConnection::new(&url)));
    let one = process();
    let other = process();
    one.reserve(QuotaClass::Scim, INTERVAL, 1).await.unwrap();
    let reserved = other.reserve(QuotaClass::Scim, INTERVAL, 1).await.unwrap();
    assert_eq!(reserved.workers, 2);
    assert!(is_about(reserved.starts_in, INTERVAL), "{reserved:?}");
}
