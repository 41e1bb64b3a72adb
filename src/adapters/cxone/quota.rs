use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The three classes that the tenant's quotas are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuotaClass {
    Routing,
    Scim,
    Analytics,
}

/// A limit on calls a second, kept by this process: the generic cell rate algorithm (ITU-T I.371) with
/// a burst of a tenth of a second, and a cool-down when the server says 429.
pub(super) struct Quota {
    interval: Option<Duration>,
    state: Mutex<State>,
}

struct State {
    /// When the next call would be due if all came evenly.
    due: Instant,
    cool_down: Duration,
}

const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);
const BURST: Duration = Duration::from_millis(100);

impl Quota {
    pub(super) fn new(per_second: Option<f64>) -> Self {
        let interval = per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { interval, state: Mutex::new(State { due: Instant::now(), cool_down: Duration::ZERO }) }
    }

    /// Takes the next place; `None` when it is free now.
    fn reserve(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = state.due;
        if let Some(interval) = self.interval {
            state.due = due.max(now) + interval;
        }
        let start = if due > now + BURST { due - BURST } else { now };
        (start > now).then_some(start)
    }

    /// Returns when a call may be sent. A caller that goes away meanwhile has used up its place.
    pub(super) async fn wait(&self) {
        if let Some(start) = self.reserve(Instant::now()) {
            tokio::time::sleep_until(start).await;
        }
    }

    /// The server said 429: everybody waits as long as it wishes, or ever longer while it goes on.
    pub(super) fn throttled(&self, wish: Option<Duration>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cool_down = (state.cool_down * 2).clamp(FIRST_COOL_DOWN, LONGEST_COOL_DOWN);
        let pause = wish.unwrap_or(state.cool_down).min(LONGEST_COOL_DOWN);
        state.due = state.due.max(Instant::now() + pause);
    }

    /// A call got through.
    pub(super) fn passed(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cool_down = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_ever_sees_more_calls_than_the_rate_and_its_burst() {
        let quota = Quota::new(Some(20.0));
        let mut sent = Vec::new();
        for index in 0..200_u64 {
            if index % 37 == 0 {
                tokio::time::advance(Duration::from_millis(index)).await;
            }
            quota.wait().await;
            sent.push(Instant::now());
        }
        for (index, from) in sent.iter().enumerate() {
            let within = sent[index..].iter().take_while(|at| **at - *from < Duration::from_secs(1)).count();
            assert!(within <= 23, "{within} calls within a second");
        }
        assert!(*sent.last().unwrap() - sent[0] >= Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_everybody_waits_and_a_success_ends_it() {
        let quota = Quota::new(None);
        let begun = Instant::now();
        quota.throttled(None);
        quota.wait().await;
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
        quota.throttled(Some(Duration::from_secs(7)));
        let begun = Instant::now();
        quota.wait().await;
        assert!(begun.elapsed() >= Duration::from_millis(6_900));
        quota.passed();
        let begun = Instant::now();
        quota.wait().await;
        assert!(begun.elapsed() < Duration::from_millis(10));
    }
}
