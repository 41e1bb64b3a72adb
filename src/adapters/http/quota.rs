//! Paces calls to the tenant's rate limits: the rate is shared by all workers, through [`Quotas`], and so is the back-off
//! after a 429. If sharing fails, each worker keeps to its own part of the rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::ports::{QuotaClass, Quotas, Reservation};
use crate::progress::Progress;

/// Calls do not arrive as evenly as they are sent. A tenth of a second of slack in four seconds keeps a late call and an
/// early one out of the same second, and costs little of the quota.
const SLACK: f64 = 1.03;
/// If many callers wait, one reservation takes as many places as are used within this time.
const AHEAD: Duration = Duration::from_millis(200);
/// Sharing must not cost more than it gains: after this, the worker uses its own part of the rate,
const SHARE_WITHIN: Duration = Duration::from_millis(500);
/// and does not ask again for this long.
const LOCAL_FOR: Duration = Duration::from_secs(3);
/// A call waits for a place, and not only for the one before it to be sent.
const CONTENDED: Duration = Duration::from_millis(100);
/// Between two calls of a user the API answers, and the checkpoint is saved.
const STILL_CONTENDED: Duration = Duration::from_secs(2);
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);

/// The rate limit of one class of calls.
pub(crate) struct Quota {
    class: QuotaClass,
    interval: Option<Duration>,
    shared: Arc<dyn Quotas>,
    progress: Progress,
    local: LocalQuotas,
    /// Callers that have no place yet.
    waiting: AtomicU32,
    reserved: tokio::sync::Mutex<Reserved>,
    cool_down: Mutex<CoolDown>,
    /// Until when calls that remove access count as waiting.
    access_waits_until: Mutex<Instant>,
}

/// Places that were reserved and not yet used.
struct Reserved {
    next: Instant,
    left: u32,
    interval: Duration,
    workers: u32,
    local_until: Option<Instant>,
}

struct CoolDown {
    until: Instant,
    pause: Duration,
}

impl Quota {
    pub(crate) fn new(
        class: QuotaClass,
        per_second: Option<f64>,
        shared: Arc<dyn Quotas>,
        progress: Progress,
    ) -> Self {
        let now = Instant::now();
        Self {
            class,
            interval: per_second.map(|rate| Duration::from_secs_f64(SLACK / rate)),
            shared,
            progress,
            local: LocalQuotas::default(),
            waiting: AtomicU32::new(0),
            reserved: tokio::sync::Mutex::new(Reserved {
                next: now,
                left: 0,
                interval: Duration::ZERO,
                workers: 1,
                local_until: None,
            }),
            cool_down: Mutex::new(CoolDown {
                until: now,
                pause: Duration::ZERO,
            }),
            access_waits_until: Mutex::new(now),
        }
    }

    /// Whether calls that remove access wait for their places now, or did a moment ago. This worker speaks for all: while
    /// more users wait for their access to be removed than slots are free, each worker has some of them.
    pub(super) fn access_waits(&self) -> bool {
        Instant::now() < *self.access_waits_until.lock()
    }

    /// Returns when a call may be sent. A caller that is dropped while it waits uses up its place.
    pub(super) async fn wait(&self, removes_access: bool) {
        let _waits_for_quota = self.progress.wait_for_quota();

        loop {
            if let Some(interval) = self.interval {
                let place = self.place(interval).await;
                if removes_access && place > Instant::now() + CONTENDED {
                    let mut until = self.access_waits_until.lock();
                    *until = (*until).max(place + STILL_CONTENDED);
                }
                tokio::time::sleep_until(place).await;
            }

            let cool_until = self.cool_down.lock().until;
            if cool_until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(cool_until).await;

            // With a rate, the place is used up: all who waited would send at once. They take new places.
            if self.interval.is_none() {
                return;
            }
        }
    }

    async fn place(&self, interval: Duration) -> Instant {
        let _waiter = Waiter::count(&self.waiting);
        let mut reserved = self.reserved.lock().await;
        if reserved.left == 0 || reserved.next < self.cool_down.lock().until {
            self.reserve(&mut reserved, interval).await;
        }

        let place = reserved.next;
        reserved.left -= 1;
        reserved.next = place + reserved.interval;
        place
    }

    async fn reserve(&self, reserved: &mut Reserved, interval: Duration) {
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
        if reserved.local_until.is_none_or(|until| until <= now) {
            let reserving = self.shared.reserve(self.class, interval, count);
            if let Ok(Ok(granted)) = tokio::time::timeout(SHARE_WITHIN, reserving).await {
                *reserved = Reserved {
                    next: now + granted.starts_in,
                    left: count,
                    interval,
                    workers: granted.workers.max(1),
                    local_until: None,
                };
                return;
            }

            if reserved.local_until.is_none() {
                tracing::warn!(
                    class = self.class.as_str(),
                    workers = reserved.workers,
                    "the quota cannot be shared over Redis; this worker keeps to its own part of it"
                );
            }
            reserved.local_until = Some(now + LOCAL_FOR);
        }

        let share = interval * reserved.workers;
        reserved.next = Instant::now() + self.local.take(self.class, share, 1);
        reserved.left = 1;
        reserved.interval = share;
    }

    /// The server answered 429: all workers wait, for as long as it asks, or with an exponential backoff.
    pub(super) async fn throttled(&self, retry_after: Option<Duration>) {
        let Some(pause) = self.begin_cool_down(retry_after) else {
            return;
        };
        if self.interval.is_none() {
            return;
        }

        let sharing = self.shared.cool_down(self.class, pause);
        let shared = tokio::time::timeout(SHARE_WITHIN, sharing).await;
        if !matches!(shared, Ok(Ok(()))) {
            tracing::debug!(
                class = self.class.as_str(),
                "the cool-down could not be shared; only this worker keeps it"
            );
        }
    }

    /// `None` where a cool-down is under way: calls that were sent before it began say nothing new.
    fn begin_cool_down(&self, retry_after: Option<Duration>) -> Option<Duration> {
        let mut cool_down = self.cool_down.lock();
        let now = Instant::now();
        if now < cool_down.until {
            return None;
        }

        cool_down.pause = (cool_down.pause * 2).clamp(FIRST_COOL_DOWN, LONGEST_COOL_DOWN);
        let pause = retry_after
            .unwrap_or(cool_down.pause)
            .min(LONGEST_COOL_DOWN);
        cool_down.until = now + pause;
        Some(pause)
    }

    pub(super) fn passed(&self) {
        let mut cool_down = self.cool_down.lock();
        if cool_down.until <= Instant::now() {
            cool_down.pause = Duration::ZERO;
        }
    }
}

/// Counts a caller while it lives.
struct Waiter<'a>(&'a AtomicU32);

impl<'a> Waiter<'a> {
    fn count(waiting: &'a AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The quotas of a process that shares them with no other.
#[derive(Default)]
pub(crate) struct LocalQuotas {
    due: Mutex<HashMap<QuotaClass, Instant>>,
}

impl LocalQuotas {
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
impl Quotas for LocalQuotas {
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
#[path = "quota_tests.rs"]
mod tests;
