use async_trait::async_trait;

use super::*;
use crate::failure::{Class, Code, Failure};
use crate::ports::Reservation;

fn quota(rate: Option<f64>) -> Quota {
    Quota::new(
        QuotaClass::Scim,
        rate,
        Arc::new(LocalQuotas::default()),
        Progress::default(),
    )
}

/// The most calls in any second.
fn densest(sent: &[Instant]) -> usize {
    let within = |from: Instant| move |at: &&Instant| **at - from < Duration::from_secs(1);
    (0..sent.len())
        .map(|at| sent[at..].iter().take_while(within(sent[at])).count())
        .max()
        .unwrap_or(0)
}

/// A server that counts calls when they arrive, in a sliding second.
struct Server {
    counted: Mutex<Vec<Instant>>,
    refused: AtomicU32,
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            counted: Mutex::default(),
            refused: AtomicU32::new(0),
        })
    }

    fn admits(&self, per_second: usize) -> bool {
        let now = Instant::now();
        let mut counted = self.counted.lock();
        let lately = counted.iter().rev();
        let lately = lately.take_while(|at| now - **at < Duration::from_secs(1));
        if lately.count() >= per_second {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        counted.push(now);
        true
    }
}

/// What 32 callers of four workers do in a minute at a server of 20 calls a second. `late` and `back` say how long call number
/// n is on its way, and its answer.
async fn busy_minute(late: fn(u32) -> u64, back: fn(u32) -> u64) -> Arc<Server> {
    let shared: Arc<dyn Quotas> = Arc::new(LocalQuotas::default());
    let workers = [0; 4].map(|_| {
        Arc::new(Quota::new(
            QuotaClass::Scim,
            Some(20.0),
            Arc::clone(&shared),
            Progress::default(),
        ))
    });
    let server = Server::new();
    let calls = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let quota = Arc::clone(&workers[caller % workers.len()]);
        let server = Arc::clone(&server);
        let calls = Arc::clone(&calls);
        tasks.spawn(async move {
            while begun.elapsed() < Duration::from_mins(1) {
                let turn = quota.wait(false).await;
                turn.send();
                let number = calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(late(number))).await;
                let passed = server.admits(20);
                tokio::time::sleep(Duration::from_millis(back(number))).await;
                turn.end();
                if passed {
                    quota.passed();
                } else {
                    quota.throttled(Some(Duration::from_secs(1))).await;
                }
            }
        });
    }
    tasks.join_all().await;
    server
}

#[tokio::test(start_paused = true)]
async fn no_second_ever_sees_more_calls_than_the_rate_and_nearly_all_of_it_is_used() {
    let server = busy_minute(|_| 1, |_| 1).await;
    let counted = server.counted.lock().clone();
    assert_eq!(server.refused.load(Ordering::Relaxed), 0);
    assert!(densest(&counted) <= 20, "{}", densest(&counted));
    assert!(counted.len() >= 1170, "{} of 1200 calls", counted.len());
}

#[tokio::test(start_paused = true)]
async fn answers_that_take_long_cost_nothing_while_the_server_refuses_none() {
    let server = busy_minute(|_| 5, |number| u64::from(number % 7) * 100).await;
    assert_eq!(server.refused.load(Ordering::Relaxed), 0);
    let used = server.counted.lock().len();
    assert!(used >= 1164, "{used} of 1200 calls");
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_busy_machine_sends_late_meet_a_429_once_and_not_again() {
    // Two of a hundred calls arrive a quarter of a second late, the others within 3 ms.
    let late = |number| {
        if number % 50 == 49 {
            250
        } else {
            u64::from(number % 4)
        }
    };
    let server = busy_minute(late, |_| 1).await;
    let refused = server.refused.load(Ordering::Relaxed);
    assert!(
        (1..=5).contains(&refused),
        "{refused} of 1200 calls refused"
    );
    let used = server.counted.lock().len();
    assert!(used >= 1140, "{used} of 1200 calls");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_dropped_is_used_by_the_next_caller_and_a_late_one_is_not_used() {
    let quota = quota(Some(1.0));
    drop(quota.wait(false).await);
    let begun = Instant::now();
    let turn = quota.wait(false).await;
    assert!(
        begun.elapsed() < Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
    turn.send();
    turn.end();
    drop(turn);

    let mut next = Box::pin(quota.wait(false));
    assert!(futures_util::poll!(next.as_mut()).is_pending());
    tokio::time::advance(ASK_AGAIN).await;
    assert!(futures_util::poll!(next.as_mut()).is_pending());
    // The process is frozen, and the slot may belong to somebody else when it wakes.
    tokio::time::advance(Duration::from_secs(3)).await;
    let other = quota
        .shared
        .reserve(QuotaClass::Scim, Window::of(1.0 / SLACK), 1, &[]);
    let taken = other.await.unwrap().places;
    assert_eq!(taken.len(), 1);
    let turn = next.await;
    assert_ne!(turn.place.unwrap().use_id, taken[0].use_id);
    assert!(Instant::now() >= taken[0].due + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_that_nothing_remains_gets_no_call_of_any_worker_before_the_reset() {
    let shared: Arc<dyn Quotas> = Arc::new(LocalQuotas::default());
    let worker = || {
        Quota::new(
            QuotaClass::Scim,
            Some(20.0),
            Arc::clone(&shared),
            Progress::default(),
        )
    };
    let one = worker();
    let other = worker();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("ratelimit", "\"default\";r=0;t=5".parse().unwrap());
    one.heard(Remaining::read(&headers).unwrap()).await;

    let begun = Instant::now();
    other.wait(false).await.send();
    assert!(
        begun.elapsed() >= Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    one.wait(false).await.send();
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_429_all_callers_wait_and_a_success_ends_it() {
    let quota = quota(None);
    let begun = Instant::now();
    quota.throttled(None).await;
    quota.wait(false).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    quota.throttled(Some(Duration::from_secs(7))).await;
    let begun = Instant::now();
    quota.wait(false).await;
    assert!(begun.elapsed() >= Duration::from_millis(6_900));
    quota.passed();
    let begun = Instant::now();
    quota.wait(false).await;
    assert!(begun.elapsed() < Duration::from_millis(10));
}

/// Shared with three others, until it breaks.
#[derive(Default)]
struct Breaking {
    local: LocalQuotas,
    broken: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Quotas for Breaking {
    async fn reserve(
        &self,
        class: QuotaClass,
        window: Window,
        count: u32,
        free: &[(Place, Instant)],
    ) -> Result<Reservation, Failure> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Failure::new(
                Class::Systemic,
                Code::CheckpointsUnreachable,
                "gone",
            ));
        }
        Ok(Reservation {
            workers: 4,
            ..self.local.reserve(class, window, count, free).await?
        })
    }

    async fn cool_down(
        &self,
        class: QuotaClass,
        pause: Duration,
        refused: bool,
    ) -> Result<(), Failure> {
        self.local.cool_down(class, pause, refused).await
    }
}

#[tokio::test(start_paused = true)]
async fn without_redis_each_worker_keeps_to_its_own_part() {
    let shared = Arc::new(Breaking::default());
    let quota = Quota::new(
        QuotaClass::Scim,
        Some(20.0),
        Arc::clone(&shared) as Arc<dyn Quotas>,
        Progress::default(),
    );
    quota.wait(false).await;
    shared.broken.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for _ in 0..50 {
        quota.wait(false).await.send();
        sent.push(Instant::now());
    }
    assert!(
        densest(&sent) <= 5,
        "{} calls a second, of 20 for four workers",
        densest(&sent)
    );
}

#[tokio::test(start_paused = true)]
async fn access_waits_while_its_calls_queue_for_places_and_no_other_calls_do() {
    let quota = Arc::new(quota(Some(20.0)));
    let callers = |removes_access| {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let quota = Arc::clone(&quota);
            tasks.spawn(async move { quota.wait(removes_access).await.send() });
        }
        tasks.join_all()
    };
    callers(false).await;
    assert!(!quota.access_waits(), "deletions do not wait for deletions");

    tokio::time::sleep(Duration::from_secs(1)).await;
    quota.wait(true).await.send();
    assert!(!quota.access_waits(), "there is quota for both");

    callers(true).await;
    assert!(quota.access_waits());
    tokio::time::sleep(STILL_CONTENDED + Duration::from_millis(10)).await;
    assert!(!quota.access_waits());
}
