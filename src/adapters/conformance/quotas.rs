//! The quotas of a tenant: shared over Redis, or of one process.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::servers;
use crate::adapters::http::LocalQuotas;
use crate::adapters::redis::{RedisConnection, RedisQuotas};
use crate::ports::{Place, QuotaClass, Quotas, Window};

const INTERVAL: Duration = Duration::from_secs(10);
const WINDOW: Window = Window {
    length: Duration::from_secs(50),
    calls: 5,
};

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
    a_slot_is_free_when_its_process_says_and_not_before,
    only_the_last_use_of_a_slot_says_when_it_is_free,
    a_429_is_remembered_and_an_announced_pause_is_none,
} over redis, of_one_process);

/// The places of one reservation, which says what became of others.
async fn reserve(quotas: &dyn Quotas, count: u32, free: &[(Place, Instant)]) -> Vec<Place> {
    let reserving = quotas.reserve(QuotaClass::Scim, WINDOW, count, free);
    reserving.await.unwrap().places
}

/// Whether a place is due in this time, less the time that the test itself took.
fn is_in(place: &Place, expected: Duration) -> bool {
    let wait = place.due.saturating_duration_since(Instant::now());
    wait <= expected + Duration::from_millis(1) && wait + Duration::from_secs(5) > expected
}

async fn reservations_follow_each_other_at_the_interval(quotas: Arc<dyn Quotas>) {
    let first = reserve(&*quotas, 3, &[]).await;
    assert_eq!(first.len(), 3);
    let rest = reserve(&*quotas, 9, &[]).await;
    assert_eq!(rest.len(), 2, "all others are taken");
    for (place, number) in first.iter().chain(&rest).zip(0..) {
        assert!(is_in(place, INTERVAL * number), "{number} {place:?}");
    }
    assert!(reserve(&*quotas, 1, &[]).await.is_empty());
}

async fn each_class_has_a_quota_of_its_own(quotas: Arc<dyn Quotas>) {
    for class in QuotaClass::ALL {
        let reserved = quotas.reserve(class, WINDOW, 1, &[]).await.unwrap();
        assert!(is_in(&reserved.places[0], Duration::ZERO), "{class:?}");
        assert_eq!(reserved.workers, 1);
    }
}

async fn a_cool_down_delays_the_next_reservation(quotas: Arc<dyn Quotas>) {
    for pause in [INTERVAL * 2, INTERVAL] {
        let pausing = quotas.cool_down(QuotaClass::Scim, pause, true);
        pausing.await.unwrap();
    }
    let places = reserve(&*quotas, 4, &[]).await;
    // Slots that were free earlier follow at twice the rate, and those that are free later keep their time.
    for (place, halves) in places.iter().zip([4, 5, 4, 6]) {
        assert!(is_in(place, INTERVAL / 2 * halves), "{halves} {place:?}");
    }
    let other = quotas.reserve(QuotaClass::Routing, WINDOW, 1, &[]);
    assert!(is_in(&other.await.unwrap().places[0], Duration::ZERO));
}

async fn a_slot_is_free_when_its_process_says_and_not_before(quotas: Arc<dyn Quotas>) {
    let places = reserve(&*quotas, 5, &[]).await;
    let in_20_s = Instant::now() + INTERVAL * 2;
    let again = reserve(&*quotas, 5, &[(places[3], in_20_s)]).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].slot, places[3].slot);
    assert!(is_in(&again[0], INTERVAL * 2), "{again:?}");
}

async fn only_the_last_use_of_a_slot_says_when_it_is_free(quotas: Arc<dyn Quotas>) {
    let places = reserve(&*quotas, 5, &[]).await;
    let now = Instant::now();
    let again = reserve(&*quotas, 5, &[(places[0], now)]).await;
    assert_eq!(again.len(), 1);
    assert!(reserve(&*quotas, 5, &[(places[0], now)]).await.is_empty());
}

async fn a_429_is_remembered_and_an_announced_pause_is_none(quotas: Arc<dyn Quotas>) {
    for refused in [false, true] {
        let pausing = quotas.cool_down(QuotaClass::Scim, INTERVAL, refused);
        pausing.await.unwrap();
        let reserved = quotas.reserve(QuotaClass::Scim, WINDOW, 1, &[]).await;
        assert_eq!(reserved.unwrap().refused_lately, refused);
        let other = quotas.reserve(QuotaClass::Routing, WINDOW, 1, &[]).await;
        assert!(!other.unwrap().refused_lately);
    }
}

#[tokio::test]
async fn processes_that_share_a_redis_share_the_quota_and_are_counted() {
    let url = servers::redis_url();
    let process = || RedisQuotas::new(Arc::new(RedisConnection::new(&url)));
    let one = process();
    let other = process();
    reserve(&one, 1, &[]).await;
    let reserved = other
        .reserve(QuotaClass::Scim, WINDOW, 1, &[])
        .await
        .unwrap();
    assert_eq!(reserved.workers, 2);
    assert!(is_in(&reserved.places[0], INTERVAL), "{reserved:?}");
}

#[tokio::test]
async fn processes_with_different_rates_neither_begin_anew_nor_starve() {
    let quotas = redis();
    let slower = Window { calls: 3, ..WINDOW };
    assert_eq!(reserve(&*quotas, 5, &[]).await.len(), 5);
    let none = quotas.reserve(QuotaClass::Scim, slower, 5, &[]).await;
    assert_eq!(none.unwrap().places, []);
    let places = reserve(&*quotas, 5, &[]).await;
    assert_eq!(places.len(), 2);
    assert!(places.iter().all(|place| is_in(place, WINDOW.length)));
}
