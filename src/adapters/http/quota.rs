//! Paces calls to the tenant's rate limits: the rate is shared by all workers, through [`Quotas`], and so is the back-off
//! after a 429. If sharing fails, each worker keeps to its own part of the rate.
//!
//! The server counts a call when it arrives, which is after it was sent and before it was answered. On a busy machine these
//! are far apart. So a slot is not free again one window after its call was *due*, but after it was sent, and for some time
//! after a 429 (which says that calls arrive late) after its answer came.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::local_quotas::LocalQuotas;
use super::rate_headers::Remaining;
use crate::ports::{Place, QuotaClass, Quotas, Window};
use crate::progress::Progress;

/// Clocks run apart, and timers fire late.
const SLACK: f64 = 1.002;
/// A call arrives at the server at most this long after it was sent, as long as the server refuses none.
const ARRIVES_WITHIN: Duration = Duration::from_millis(15);
/// If many callers wait, one reservation takes as many places as are used within this time.
const AHEAD: Duration = Duration::from_millis(200);
/// All slots are taken: the next question says what became of ours, and hears what became of others.
const ASK_AGAIN: Duration = Duration::from_millis(400);
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
    per_second: Option<f64>,
    shared: Arc<dyn Quotas>,
    progress: Progress,
    local: LocalQuotas,
    /// Callers that have no place yet.
    waiting: AtomicU32,
    reserved: tokio::sync::Mutex<Reserved>,
    ledger: Arc<Ledger>,
    cool_down: Mutex<CoolDown>,
    /// Until when calls that remove access count as waiting.
    access_waits_until: Mutex<Instant>,
}

/// Places that were reserved and not yet used.
struct Reserved {
    places: VecDeque<Place>,
    workers: u32,
    local_until: Option<Instant>,
}

/// What became of places, until the next reservation says so to the other processes.
#[derive(Default)]
struct Ledger {
    window: Duration,
    free: Mutex<Vec<(Place, Instant)>>,
    /// The shortest time in which a call was answered.
    fastest: Mutex<Option<Duration>>,
    refused_lately: AtomicBool,
}

struct CoolDown {
    until: Instant,
    pause: Duration,
}

/// The right to send a call. If none is sent, another call takes the place.
pub(super) struct Turn {
    ledger: Arc<Ledger>,
    place: Option<Place>,
    state: Mutex<Sent>,
}

#[derive(Clone, Copy)]
enum Sent {
    Not,
    At(Instant),
    Said,
}

impl Turn {
    /// The call is sent now. A turn of which it is not asked when it was sent counts from its place.
    pub(super) fn send(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        *state = if self.ledger.refused_lately.load(Ordering::Relaxed) {
            Sent::At(now)
        } else {
            self.ledger.used(self.place, now + ARRIVES_WITHIN);
            Sent::Said
        };
    }

    /// The answer to a call that was sent at `sent_at` begins, or none will come.
    pub(super) fn end(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Sent::At(sent_at) = *state {
            let on_the_way = self.ledger.fastest(now - sent_at);
            self.ledger.used(self.place, now - on_the_way);
            *state = Sent::Said;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let state = *self.state.lock();
        match (state, self.place) {
            (Sent::Not, Some(place)) => self.ledger.free.lock().push((place, place.due)),
            (Sent::At(_), _) => self.end(),
            (Sent::Not, None) | (Sent::Said, _) => {}
        }
    }
}

impl Ledger {
    /// Whether the slot may soon be given to somebody else.
    fn is_late(&self, place: &Place) -> bool {
        Instant::now() > place.due + self.window / 2
    }

    /// The server counted a call not later than this.
    fn used(&self, place: Option<Place>, counted: Instant) {
        if let Some(place) = place {
            self.free.lock().push((place, counted + self.window));
        }
    }

    /// The shortest time in which a call was answered: this long it is on its way, even if nothing delays it. A faster path
    /// counts at once, a slower one little by little.
    fn fastest(&self, latest: Duration) -> Duration {
        let mut fastest = self.fastest.lock();
        let kept = fastest.unwrap_or(latest);
        let next = latest.min(kept + latest.saturating_sub(kept) / 8192);
        *fastest = Some(next);
        next
    }
}

impl Quota {
    pub(crate) fn new(
        class: QuotaClass,
        per_second: Option<f64>,
        shared: Arc<dyn Quotas>,
        progress: Progress,
    ) -> Self {
        let now = Instant::now();
        let per_second = per_second.map(|rate| rate / SLACK);
        let window = per_second.map_or(Duration::ZERO, |rate| Window::of(rate).length);
        Self {
            class,
            per_second,
            shared,
            progress,
            local: LocalQuotas::default(),
            waiting: AtomicU32::new(0),
            reserved: tokio::sync::Mutex::new(Reserved {
                places: VecDeque::new(),
                workers: 1,
                local_until: None,
            }),
            ledger: Arc::new(Ledger {
                window,
                ..Ledger::default()
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

    /// Returns when a call may be sent.
    pub(super) async fn wait(&self, removes_access: bool) -> Turn {
        let _waits_for_quota = self.progress.wait_for_quota();
        let asked = Instant::now();

        loop {
            let mut turn = Turn {
                ledger: Arc::clone(&self.ledger),
                place: None,
                state: Mutex::new(Sent::Not),
            };
            if let Some(rate) = self.per_second {
                let place = self.place(rate).await;
                turn.place = Some(place);
                if removes_access && place.due > asked + CONTENDED {
                    let mut until = self.access_waits_until.lock();
                    *until = (*until).max(place.due + STILL_CONTENDED);
                }
                tokio::time::sleep_until(place.due).await;
                if self.ledger.is_late(&place) {
                    continue;
                }
            }

            let cool_until = self.cool_down.lock().until;
            if cool_until <= Instant::now() {
                return turn;
            }
            tokio::time::sleep_until(cool_until).await;

            // With a rate they take new places, or all who waited would send at once.
            if self.per_second.is_none() {
                return turn;
            }
        }
    }

    async fn place(&self, rate: f64) -> Place {
        let _waiter = Waiter::count(&self.waiting);
        let mut reserved = self.reserved.lock().await;
        loop {
            while let Some(place) = reserved.places.pop_front() {
                if !self.ledger.is_late(&place) && place.due >= self.cool_down.lock().until {
                    return place;
                }
                self.ledger.free.lock().push((place, place.due));
            }
            self.reserve(&mut reserved, rate).await;
            if reserved.places.is_empty() {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    async fn reserve(&self, reserved: &mut Reserved, rate: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to 1000"
        )]
        let most = (AHEAD.as_secs_f64() * rate).ceil().clamp(1.0, 1000.0) as u32;
        let count = self.waiting.load(Ordering::Relaxed).clamp(1, most);
        let free = std::mem::take(&mut *self.ledger.free.lock());

        let now = Instant::now();
        if reserved.local_until.is_none_or(|until| until <= now) {
            let window = Window::of(rate);
            let reserving = self.shared.reserve(self.class, window, count, &free);
            if let Ok(Ok(granted)) = tokio::time::timeout(SHARE_WITHIN, reserving).await {
                let lately = &self.ledger.refused_lately;
                lately.store(granted.refused_lately, Ordering::Relaxed);
                *reserved = Reserved {
                    places: granted.places.into(),
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

        let part = Window::of(rate / f64::from(reserved.workers));
        let local = self.local.reserve(self.class, part, 1, &free);
        if let Ok(granted) = local.await {
            reserved.places = granted.places.into();
        }
    }

    /// The server answered 429: all workers wait, for as long as it asks, or with an exponential backoff.
    pub(super) async fn throttled(&self, retry_after: Option<Duration>) {
        self.pause(retry_after, true).await;
    }

    /// The server said how many calls it takes until when. If that is less than the rate, all workers wait, and use what
    /// remains at the end. A server that gives more than the rate changes nothing.
    pub(super) async fn heard(&self, remaining: Remaining) {
        if let Some(rate) = self.per_second
            && let Some(pause) = remaining.pause_at(rate)
        {
            self.pause(Some(pause), false).await;
        }
    }

    async fn pause(&self, asked_for: Option<Duration>, refused: bool) {
        let Some(pause) = self.begin_cool_down(asked_for) else {
            return;
        };
        if self.per_second.is_none() {
            return;
        }

        let sharing = self.shared.cool_down(self.class, pause, refused);
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

#[cfg(test)]
#[path = "quota_tests.rs"]
mod tests;
