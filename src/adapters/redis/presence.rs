//! That this process lives, as other workers see it: one key with a short time to live for all leases of the process.
//!
//! A lease names the presence under which it was taken. Once that key is gone, another worker takes the user over, without
//! waiting for the lease to expire. So a process whose key may be gone, since it was paused or Redis was away, must stop all
//! runs under it before they make another call: [`Presence::unsure`]. It then has a new presence, and never the old one.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use super::connection::{RedisConnection, millis};
use super::keys;
use crate::failure::Failure;

/// How often it is refreshed, with one command.
const EVERY: Duration = Duration::from_secs(1);
/// After this time without a refresh, others see that the process is gone.
const KEPT: Duration = Duration::from_secs(4);
/// After this time without a refresh, the process gives its leases up. The difference covers clocks of Redis servers that
/// differ, since a replica that becomes the primary counts by its own.
const SURE: Duration = Duration::from_secs(3);
/// Added to what is left of a presence, so that it is gone when somebody asks again.
const AFTERWARDS: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub(super) struct Presence(Arc<Inner>);

struct Inner {
    connection: Arc<RedisConnection>,
    state: watch::Sender<State>,
    /// One refresh at a time.
    refreshing: Mutex<()>,
}

struct State {
    /// Another one after each lapse.
    name: Arc<str>,
    sure_until: Instant,
}

/// What is known of the presence under which a lease was taken.
pub(super) enum Holder {
    /// The lease expires by itself only: an earlier release took it.
    Unknown,
    Gone,
    /// It is there, for this time if nobody refreshes it.
    Present(Duration),
}

impl Presence {
    pub(super) fn new(connection: Arc<RedisConnection>) -> Self {
        Self(Arc::new(Inner {
            connection,
            state: watch::Sender::new(State {
                name: new_name(),
                sure_until: Instant::now(),
            }),
            refreshing: Mutex::new(()),
        }))
    }

    /// An owner for a new lease of this process, which is seen to live from now on.
    pub(super) async fn owner(&self) -> Result<String, Failure> {
        if Instant::now() >= self.0.state.borrow().sure_until {
            self.refresh().await?;
        }
        let name = Arc::clone(&self.0.state.borrow().name);
        Ok(format!("{name}/{}", uuid::Uuid::new_v4()))
    }

    /// Refreshes it as long as the handle lives, and calls `refreshed` each time that Redis has it.
    pub(super) fn keep<F>(
        &self,
        refreshed: impl Fn() -> F + Send + 'static,
    ) -> AbortOnDropHandle<()>
    where
        F: Future<Output = ()> + Send,
    {
        let presence = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                match tokio::time::timeout(KEPT, presence.refresh()).await {
                    Ok(Ok(())) => refreshed().await,
                    Ok(Err(failure)) => tracing::debug!(%failure, "the presence is not refreshed"),
                    Err(_elapsed) => tracing::debug!("the presence is not refreshed in time"),
                }
            }
        }))
    }

    async fn refresh(&self) -> Result<(), Failure> {
        let _one_at_a_time = self.0.refreshing.lock().await;
        let begun = Instant::now();
        let lapsed = begun >= self.0.state.borrow().sure_until;

        // A key that is gone was seen to be gone, and does not come back.
        if lapsed || !self.set("XX").await? {
            self.0.state.send_modify(|state| {
                state.name = new_name();
                state.sure_until = begun;
            });
            self.set("NX").await?;
        }
        let state = &self.0.state;
        state.send_modify(|state| state.sure_until = begun + SURE);
        Ok(())
    }

    /// `XX`: if the key is there; `NX`: if it is not. Answers whether it was set.
    async fn set(&self, when: &str) -> Result<bool, Failure> {
        let key = keys::presence(&self.0.state.borrow().name);
        let mut command = redis::cmd("SET");
        command
            .arg(key)
            .arg("1")
            .arg("PX")
            .arg(millis(KEPT))
            .arg(when);
        let set: Option<String> = self.0.connection.ask(&command).await?;
        Ok(set.is_some())
    }

    /// Whether the process that has a lease lives.
    pub(super) async fn of_holder(&self, owner: &str) -> Result<Holder, Failure> {
        let Some((name, _run)) = owner.split_once('/') else {
            return Ok(Holder::Unknown);
        };
        let mut command = redis::cmd("PTTL");
        command.arg(keys::presence(name));
        // Redis answers a negative number where there is no such key.
        let left_ms = u64::try_from(self.0.connection.ask::<i64>(&command).await?);
        Ok(left_ms.map_or(Holder::Gone, |left_ms| {
            Holder::Present(Duration::from_millis(left_ms) + AFTERWARDS)
        }))
    }

    /// Returns once another worker may have taken the lease of this owner over. It reads the clock whenever it is
    /// polled, and not only when a timer fires: after a pause of the process nothing else may come first.
    pub(super) async fn unsure(&self, owner: &str) {
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
    }

    async fn wait_until_unsure(&self, owner: &str) {
        let mut changes = self.0.state.subscribe();
        while self.is_sure(owner) {
            let until = changes.borrow_and_update().sure_until;
            // The sender is our own, so that it does not end.
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _changed = changes.changed() => {}
            }
        }
    }

    fn is_sure(&self, owner: &str) -> bool {
        let state = self.0.state.borrow();
        let name = owner.split_once('/').map(|(name, _run)| name);
        name == Some(&*state.name) && Instant::now() < state.sure_until
    }
}

fn new_name() -> Arc<str> {
    uuid::Uuid::new_v4().to_string().into()
}
