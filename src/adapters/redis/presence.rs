//! That this process lives, as other workers see it: one key with a short time to live for all leases of the process.
//!
//! A lease names the presence under which it was taken. Once that key is gone, another worker takes the user over, without
//! waiting for the lease to expire. So a process whose key may be gone, since it was paused or Redis was away, must stop all
//! runs under it before they make another call: [`Presence::unsure`]. It then has a new presence, and never the old one.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::failure::Failure;

/// How often it is refreshed, with one command.
const EVERY: Duration = Duration::from_millis(500);
/// After this time without a refresh, others see that the process is gone.
pub(super) const KEPT: Duration = Duration::from_millis(3500);
/// After this time without a refresh, the process stops its runs. The difference covers clocks of Redis servers that
/// differ, since a replica that becomes the primary counts by its own.
const SURE: Duration = Duration::from_millis(2500);
/// For a refresh while the process is sure. One that fails leaves time for another over a new connection.
const REFRESHED_WITHIN: Duration = Duration::from_millis(1500);
/// For a new presence, for which no run waits.
const BEGUN_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Presence(Arc<Inner>);

/// Where the keys of presences are kept.
#[async_trait]
pub(super) trait PresenceKeys: Send + Sync {
    /// Keeps the key of this name for [`KEPT`], if it fits; answers whether it did.
    async fn set(&self, name: &str, if_it: IfIt, within: Duration) -> Result<bool, Failure>;
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum IfIt {
    IsThere,
    IsNew,
}

struct Inner {
    keys: Box<dyn PresenceKeys>,
    clock: Clock,
    state: watch::Sender<State>,
    /// One refresh at a time.
    refreshing: Mutex<()>,
}

struct State {
    /// Another one after each lapse.
    name: Arc<str>,
    sure_until: Moment,
    /// Runs may be under way under this name.
    in_use: bool,
    /// The last refresh, if it failed, and when it did.
    failed: Option<(Instant, Failure)>,
    /// The name of the last presence that lapsed since Redis did not answer, and why it did not.
    lapsed_by: Option<(Arc<str>, Failure)>,
}

/// By two clocks. The one that never goes back does not see that a virtual machine was suspended, and the other one does,
/// once it is set right.
#[derive(Clone, Copy)]
struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    fn plus(self, duration: Duration) -> Self {
        let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self {
            monotonic: self.monotonic + duration,
            wall: self.wall.saturating_add(signed).unwrap_or(Timestamp::MAX),
        }
    }

    /// By both clocks.
    fn is_before(self, other: Self) -> bool {
        self.monotonic < other.monotonic && self.wall < other.wall
    }
}

impl Presence {
    pub(super) fn new(keys: Box<dyn PresenceKeys>, clock: Clock) -> Self {
        let state = State {
            name: new_name(),
            sure_until: Moment {
                monotonic: Instant::now(),
                wall: clock.now(),
            },
            in_use: false,
            failed: None,
            lapsed_by: None,
        };
        Self(Arc::new(Inner {
            keys,
            clock,
            state: watch::Sender::new(state),
            refreshing: Mutex::new(()),
        }))
    }

    /// An owner for a new lease of this process, which is seen to live from now on.
    pub(super) async fn owner(&self) -> Result<String, Failure> {
        if !self.is_live() {
            self.begin().await?;
        }
        let name = Arc::clone(&self.0.state.borrow().name);
        Ok(format!("{name}/{}", uuid::Uuid::new_v4()))
    }

    /// Refreshes it as long as the handle lives.
    pub(super) fn keep(&self) -> AbortOnDropHandle<()> {
        let presence = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                presence.refresh().await;
            }
        }))
    }

    /// Whether other workers see it, and will for a while.
    pub(super) fn is_live(&self) -> bool {
        self.now().is_before(self.0.state.borrow().sure_until)
    }

    fn now(&self) -> Moment {
        Moment {
            monotonic: Instant::now(),
            wall: self.0.clock.now(),
        }
    }

    /// A new presence, unless somebody else has just begun it, or just failed to.
    async fn begin(&self) -> Result<(), Failure> {
        let asked = Instant::now();
        let _one_at_a_time = self.0.refreshing.lock().await;
        if self.is_live() {
            return Ok(());
        }
        if let Some((at, failure)) = &self.0.state.borrow().failed
            && *at >= asked
        {
            return Err(failure.clone());
        }
        let begun = self.set().await;
        self.note(begun.clone());
        begun
    }

    async fn refresh(&self) {
        let _one_at_a_time = self.0.refreshing.lock().await;
        let refreshed = self.set().await;
        if let Err(failure) = &refreshed {
            tracing::debug!(%failure, "the presence is not refreshed");
        }
        self.note(refreshed);
        if !self.is_live() {
            self.lapse("Redis does not answer in time");
        }
    }

    fn note(&self, refreshed: Result<(), Failure>) {
        let failed = refreshed.err().map(|failure| (Instant::now(), failure));
        self.0.state.send_modify(|state| state.failed = failed);
    }

    async fn set(&self) -> Result<(), Failure> {
        let begun = self.now();
        let (name, sure_until) = {
            let state = self.0.state.borrow();
            (Arc::clone(&state.name), state.sure_until)
        };
        if begun.is_before(sure_until) {
            let keys = &self.0.keys;
            let is_there = keys.set(&name, IfIt::IsThere, REFRESHED_WITHIN).await?;
            if is_there && self.is_live() {
                self.sure_from(begun);
                return Ok(());
            }
            self.lapse(if is_there {
                "Redis did not answer in time"
            } else {
                "its key in Redis is gone"
            });
        } else {
            self.lapse("the process was paused, its clock was set, or Redis did not answer");
        }

        // A key that is gone was seen to be gone, and does not come back.
        let begun = self.now();
        let name = new_name();
        self.0.state.send_modify(|state| {
            state.name = Arc::clone(&name);
            state.sure_until = begun;
        });
        // It is ours in any case: a first try whose answer was lost has set it.
        self.0.keys.set(&name, IfIt::IsNew, BEGUN_WITHIN).await?;
        self.sure_from(begun);
        Ok(())
    }

    fn sure_from(&self, begun: Moment) {
        self.0.state.send_modify(|state| {
            state.sure_until = begun.plus(SURE);
            state.in_use = true;
        });
    }

    /// Says so, once.
    fn lapse(&self, why: &str) {
        let mut cause = None;
        let was_in_use = self.0.state.send_if_modified(|state| {
            let was_in_use = std::mem::take(&mut state.in_use);
            if was_in_use {
                cause = state.failed.as_ref().map(|(_, failure)| failure.clone());
                let name = Arc::clone(&state.name);
                state.lapsed_by = cause.clone().map(|failure| (name, failure));
            }
            was_in_use
        });
        if was_in_use {
            let cause = cause.map(tracing::field::display);
            tracing::warn!(
                why,
                cause,
                "the leases of this process may be lost: its runs stop, and other workers may take their users over"
            );
        }
    }

    /// Returns once another worker may have taken the lease of this owner over; and why Redis did not answer, if that is
    /// the cause. It reads the clocks whenever it is polled, and not only when a timer fires: after a pause of the
    /// process nothing else may come first.
    pub(super) async fn unsure(&self, owner: &str) -> Option<Failure> {
        let waiting = self.wait_until_unsure(owner);
        tokio::pin!(waiting);
        poll_fn(|context| {
            if self.is_sure(owner) {
                waiting.as_mut().poll(context)
            } else {
                Poll::Ready(())
            }
        })
        .await;

        let state = self.0.state.borrow();
        let failed = state.failed.as_ref().map(|(_, failure)| failure);
        let lapsed = state.lapsed_by.as_ref();
        let lapsed = lapsed.filter(|(name, _)| Some(&**name) == name_of(owner));
        failed.or(lapsed.map(|(_, failure)| failure)).cloned()
    }

    async fn wait_until_unsure(&self, owner: &str) {
        let mut changes = self.0.state.subscribe();
        while self.is_sure(owner) {
            let until = changes.borrow_and_update().sure_until.monotonic;
            // The sender is our own, so that it does not end.
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _changed = changes.changed() => {}
            }
        }
    }

    fn is_sure(&self, owner: &str) -> bool {
        let now = self.now();
        let state = self.0.state.borrow();
        name_of(owner) == Some(&*state.name) && now.is_before(state.sure_until)
    }
}

/// Of the presence under which a lease was taken.
fn name_of(owner: &str) -> Option<&str> {
    owner.split_once('/').map(|(name, _run)| name)
}

fn new_name() -> Arc<str> {
    uuid::Uuid::new_v4().to_string().into()
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
