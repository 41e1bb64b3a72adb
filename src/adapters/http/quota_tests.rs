use super::*;
use crate::failure::{Class, Code};

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

#[tokio::test(start_paused = true)]
async fn no_second_ever_sees_more_calls_than_the_rate_and_nearly_all_of_it_is_used() {
    let shared: Arc<dyn Quotas> = Arc::new(LocalQuotas::default());
    let workers = [0; 4].map(|_| {
        Arc::new(Quota::new(
            QuotaClass::Scim,
            Some(20.0),
            Arc::clone(&shared),
            Progress::default(),
        ))
    });
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let quota = Arc::clone(&workers[caller % workers.len()]);
        tasks.spawn(async move {
            let mut sent = Vec::new();
            while begun.elapsed() < Duration::from_secs(30) {
                quota.wait(false).await;
                sent.push(Instant::now());
            }
            sent
        });
    }
    let mut sent: Vec<Instant> = tasks.join_all().await.into_iter().flatten().collect();
    sent.sort();
    assert!(densest(&sent) <= 20, "{}", densest(&sent));
    assert!(sent.len() >= 570, "{} of 600 calls", sent.len());
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
        interval: Duration,
        count: u32,
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
            ..self.local.reserve(class, interval, count).await?
        })
    }

    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure> {
        self.local.cool_down(class, pause).await
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
        quota.wait(false).await;
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
            tasks.spawn(async move { quota.wait(removes_access).await });
        }
        tasks.join_all()
    };
    callers(false).await;
    assert!(!quota.access_waits(), "deletions do not wait for deletions");

    tokio::time::sleep(Duration::from_secs(1)).await;
    quota.wait(true).await;
    assert!(!quota.access_waits(), "there is quota for both");

    callers(true).await;
    assert!(quota.access_waits());
    tokio::time::sleep(STILL_CONTENDED + Duration::from_millis(10)).await;
    assert!(!quota.access_waits());
}
