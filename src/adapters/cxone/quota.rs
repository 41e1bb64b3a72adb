use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::ports::{QuotaClass, Quotas, Reservation};
use crate::progress::ByQuota;

/// Calls do not arrive as evenly as they are sent: a tenth of a second of slack in four seconds keeps those that
/// are late from meeting those that are not, and costs little of the quota.
const SLACK: f64 = 1.03;
/// As many places are taken at once as are used within this, if so many wait.
const AHEAD: Duration = Duration::from_millis(200);
/// Sharing must not cost more than it brings: past this the local share is used.
const SHARE_WITHIN: Duration = Duration::from_millis(500);
/// And for this long without asking again.
const ALONE_FOR: Duration = Duration::from_secs(3);
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);

/// A limit on calls a second, shared with all workers, and a cool-down that all of them see when the server
/// says 429.
pub(super) struct Quota {
    class: QuotaClass,
    interval: Option<Duration>,
    shared: Arc<dyn Quotas>,
    alone: Alone,
    /// Callers that have no place yet.
    waiting: AtomicU32,
    taken: tokio::sync::Mutex<Taken>,
    cool: Mutex<Cool>,
}

/// Places that were reserved and not given away.
struct Taken {
    next: Instant,
    left: u32,
    interval: Duration,
    workers: u32,
    alone_until: Option<Instant>,
}

struct Cool {
    until: Instant,
    pause: Duration,
}

impl Quota {
    pub(super) fn new(class: QuotaClass, per_second: Option<f64>, shared: Arc<dyn Quotas>) -> Self {
        let now = Instant::now();
        Self {
            class,
            interval: per_second.map(|rate| Duration::from_secs_f64(SLACK / rate)),
            shared,
            alone: Alone::default(),
            waiting: AtomicU32::new(0),
            taken: tokio::sync::Mutex::new(Taken {
                next: now,
                left: 0,
                interval: Duration::ZERO,
                workers: 1,
                alone_until: None,
            }),
            cool: Mutex::new(Cool {
                until: now,
                pause: Duration::ZERO,
            }),
        }
    }

    /// Returns when a call may be sent. A caller that goes away meanwhile has used up its place.
    pub(super) async fn wait(&self) {
        let _patiently = ByQuota::wait();
        loop {
            if let Some(interval) = self.interval {
                let place = self.place(interval).await;
                tokio::time::sleep_until(place).await;
            }
            let cool_until = self.cool().until;
            if cool_until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(cool_until).await;
            if self.interval.is_none() {
                return;
            }
        }
    }

    async fn place(&self, interval: Duration) -> Instant {
        let _waits = Waits::one_of(&self.waiting);
        let mut taken = self.taken.lock().await;
        if taken.left == 0 || taken.next < self.cool().until {
            self.take(&mut taken, interval).await;
        }
        taken.left -= 1;
        let (place, interval) = (taken.next, taken.interval);
        taken.next = place + interval;
        place
    }

    async fn take(&self, taken: &mut Taken, interval: Duration) {
        let most = (AHEAD.as_secs_f64() / interval.as_secs_f64())
            .ceil()
            .clamp(1.0, 1000.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to 1000"
        )]
        let count = self.waiting.load(Ordering::Relaxed).clamp(1, most as u32);
        let now = Instant::now();
        if taken.alone_until.is_none_or(|until| until <= now) {
            let reserving = self.shared.reserve(self.class, interval, count);
            if let Ok(Ok(reserved)) = tokio::time::timeout(SHARE_WITHIN, reserving).await {
                taken.next = now + reserved.starts_in;
                (taken.left, taken.interval, taken.workers) =
                    (count, interval, reserved.workers.max(1));
                taken.alone_until = None;
                return;
            }
            if taken.alone_until.is_none() {
                let (class, workers) = (self.class.as_str(), taken.workers);
                tracing::warn!(
                    class,
                    workers,
                    "the quota cannot be shared over Redis; this worker keeps to its part"
                );
            }
            taken.alone_until = Some(now + ALONE_FOR);
        }
        let share = interval * taken.workers;
        taken.next = Instant::now() + self.alone.take(self.class, share, 1);
        (taken.left, taken.interval) = (1, share);
    }

    fn cool(&self) -> parking_lot::MutexGuard<'_, Cool> {
        self.cool.lock()
    }

    /// The server said 429: everybody waits as long as it wishes, or ever longer while it goes on.
    pub(super) async fn throttled(&self, wish: Option<Duration>) {
        let pause = {
            let mut cool = self.cool();
            let now = Instant::now();
            // Those that were under way when the first was throttled say nothing new.
            if now < cool.until {
                return;
            }
            cool.pause = (cool.pause * 2).clamp(FIRST_COOL_DOWN, LONGEST_COOL_DOWN);
            let pause = wish.unwrap_or(cool.pause).min(LONGEST_COOL_DOWN);
            cool.until = now + pause;
            pause
        };
        if self.interval.is_some() {
            let telling = self.shared.cool_down(self.class, pause);
            if !matches!(
                tokio::time::timeout(SHARE_WITHIN, telling).await,
                Ok(Ok(()))
            ) {
                tracing::debug!(
                    class = self.class.as_str(),
                    "the cool-down stays this worker's own"
                );
            }
        }
    }

    pub(super) fn passed(&self) {
        let mut cool = self.cool();
        if cool.until <= Instant::now() {
            cool.pause = Duration::ZERO;
        }
    }
}

/// Counts for as long as it lives.
struct Waits<'a>(&'a AtomicU32);

impl<'a> Waits<'a> {
    fn one_of(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The quotas of a process that shares them with nobody.
#[derive(Default)]
pub(crate) struct Alone {
    due: Mutex<HashMap<QuotaClass, Instant>>,
}

impl Alone {
    fn take(&self, class: QuotaClass, interval: Duration, count: u32) -> Duration {
        let now = Instant::now();
        let mut due = self.due.lock();
        let next = due.entry(class).or_insert(now);
        let first = (*next).max(now);
        *next = first + interval * count;
        first - now
    }
}

#[async_trait]
impl Quotas for Alone {
    async fn reserve(
        &self,
        class: QuotaClass,
        interval: Duration,
        count: u32,
    ) -> Result<Reservation, Failure> {
        Ok(Reservation {
            starts_in: self.take(class, interval, count),
            workers: 1,
        })
    }

    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure> {
        let until = Instant::now() + pause;
        let mut due = self.due.lock();
        let next = due.entry(class).or_insert(until);
        *next = (*next).max(until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Class, Code};

    fn quota(rate: Option<f64>) -> Quota {
        Quota::new(QuotaClass::Scim, rate, Arc::new(Alone::default()))
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
        let shared: Arc<dyn Quotas> = Arc::new(Alone::default());
        let workers = [0; 4].map(|_| {
            Arc::new(Quota::new(
                QuotaClass::Scim,
                Some(20.0),
                Arc::clone(&shared),
            ))
        });
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for caller in 0..32 {
            let quota = Arc::clone(&workers[caller % workers.len()]);
            tasks.spawn(async move {
                let mut sent = Vec::new();
                while begun.elapsed() < Duration::from_secs(30) {
                    quota.wait().await;
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
    async fn after_a_429_everybody_waits_and_a_success_ends_it() {
        let quota = quota(None);
        let begun = Instant::now();
        quota.throttled(None).await;
        quota.wait().await;
        assert!(
            begun.elapsed() >= Duration::from_millis(900),
            "{:?}",
            begun.elapsed()
        );
        quota.throttled(Some(Duration::from_secs(7))).await;
        let begun = Instant::now();
        quota.wait().await;
        assert!(begun.elapsed() >= Duration::from_millis(6_900));
        quota.passed();
        let begun = Instant::now();
        quota.wait().await;
        assert!(begun.elapsed() < Duration::from_millis(10));
    }

    /// Shared with three others, until it breaks.
    #[derive(Default)]
    struct Breaking {
        alone: Alone,
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
                ..self.alone.reserve(class, interval, count).await?
            })
        }

        async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure> {
            self.alone.cool_down(class, pause).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_redis_each_worker_keeps_to_its_part() {
        let shared = Arc::new(Breaking::default());
        let quota = Quota::new(
            QuotaClass::Scim,
            Some(20.0),
            Arc::clone(&shared) as Arc<dyn Quotas>,
        );
        quota.wait().await;
        shared.broken.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for _ in 0..50 {
            quota.wait().await;
            sent.push(Instant::now());
        }
        assert!(
            densest(&sent) <= 5,
            "{} calls a second, of 20 for four workers",
            densest(&sent)
        );
    }
}
