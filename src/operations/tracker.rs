//! The work on an operation: its lease, its pace, what became of each item, and what interrupts it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::job::UserId;
use crate::ports::operations::{
    Became, ItemResult, OperationClaim, OperationKind, OperationLease, Operations, Orders,
    StopRequest,
};

/// Why the work on an operation ends before its set does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// An operator stopped the operation.
    Stopped(StopRequest),
    /// This process ends; another one continues.
    Draining,
    /// Another process continues.
    LeaseLost,
}

/// How often the lease is prolonged and the orders are read.
const RENEWED_EVERY: Duration = Duration::from_millis(1500);
/// How many results are read at a time.
const PAGE: u64 = 500;

/// The work of this process on one operation.
pub(crate) struct Tracker {
    store: Arc<dyn Operations>,
    kind: OperationKind,
    lease: OperationLease,
    clock: Clock,
    /// The least time between two items, unless an order changed it.
    pace: Mutex<Duration>,
    /// What lists say of the operation, once it is loaded.
    head: Mutex<Option<Value>>,
    /// When the last item was begun.
    last: Mutex<Option<Instant>>,
    results: Mutex<BTreeMap<u64, ItemResult>>,
    orders: watch::Sender<Orders>,
    draining: CancellationToken,
    lost: CancellationToken,
}

/// An item of the set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// Its position in the set.
    pub number: u64,
    pub dead_letter: Option<&'a str>,
    pub user_id: Option<UserId>,
}

impl Tracker {
    /// Of a lease that was granted with these orders. Without what was done before: [`Self::load`].
    pub(crate) fn new(
        store: &Arc<dyn Operations>,
        kind: OperationKind,
        granted: (OperationLease, Orders),
        clock: &Clock,
        draining: &CancellationToken,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            kind,
            lease: granted.0,
            clock: clock.clone(),
            pace: Mutex::default(),
            head: Mutex::default(),
            last: Mutex::default(),
            results: Mutex::default(),
            orders: watch::Sender::new(granted.1),
            draining: draining.clone(),
            lost: CancellationToken::new(),
        }
    }

    /// Lists the operation as open, and reads what was done before. `pace` is the least time between two items, as it was
    /// asked for.
    pub(crate) async fn load(
        &self,
        head: Value,
        items: u64,
        pace: Duration,
    ) -> Result<(), Failure> {
        self.store.open(self.lease.id, self.kind, &head).await?;
        *self.head.lock() = Some(head);
        *self.pace.lock() = pace;
        let mut from = 0;
        while from < items {
            let count = PAGE.min(items - from);
            let earlier = self.store.results(self.lease.id, from, count).await?;
            let earlier = earlier.into_iter().map(|result| (result.number, result));
            self.results.lock().extend(earlier);
            from += PAGE;
        }
        Ok(())
    }

    /// How many items became what so far.
    pub(crate) fn counts(&self) -> BTreeMap<Became, u64> {
        let mut counts = BTreeMap::new();
        for result in self.results.lock().values() {
            *counts.entry(result.became).or_default() += 1;
        }
        counts
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What became of the item at this position, if anything did.
    pub(crate) fn result(&self, number: u64) -> Option<ItemResult> {
        self.results.lock().get(&number).cloned()
    }

    /// Notes what became of an item. The first result of an item counts.
    pub(crate) async fn note(
        &self,
        item: Item<'_>,
        became: Became,
        why: Option<String>,
        detail: Value,
    ) -> Result<(), Failure> {
        let result = ItemResult {
            number: item.number,
            dead_letter: item.dead_letter.map(str::to_owned),
            user_id: item.user_id,
            became,
            why,
            at: self.now(),
            detail,
        };
        let result = self
            .results
            .lock()
            .entry(item.number)
            .or_insert(result)
            .clone();
        if !self.store.note(&self.lease, &result).await? {
            self.claim_again().await?;
        }
        Ok(())
    }

    /// What interrupts the work now.
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        if self.lost.is_cancelled() {
            return Some(Interruption::LeaseLost);
        }
        if self.draining.is_cancelled() {
            return Some(Interruption::Draining);
        }
        self.orders.borrow().stop.clone().map(Interruption::Stopped)
    }

    /// Waits until the next item is due; or says why there is none.
    pub(crate) async fn turn(&self) -> Option<Interruption> {
        let last = *self.last.lock();
        let mut orders = self.orders.subscribe();
        loop {
            if let Some(interruption) = self.interruption() {
                return Some(interruption);
            }
            let pace = orders.borrow_and_update().pace;
            let pace = pace.unwrap_or_else(|| *self.pace.lock());
            let now = Instant::now();
            let due = last.map_or(now, |last| last + pace);
            if now >= due {
                *self.last.lock() = Some(now);
                return None;
            }
            self.changed(&mut orders, due).await;
        }
    }

    /// Waits for this time, unless the work is interrupted.
    pub(crate) async fn wait(&self, time: Duration) -> Option<Interruption> {
        let due = Instant::now() + time;
        let mut orders = self.orders.subscribe();
        loop {
            let interruption = self.interruption();
            if interruption.is_some() || Instant::now() >= due {
                return interruption;
            }
            self.changed(&mut orders, due).await;
        }
    }

    async fn changed(&self, orders: &mut watch::Receiver<Orders>, until: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            _changed = orders.changed() => {}
            () = self.draining.cancelled() => {}
            () = self.lost.cancelled() => {}
        }
    }

    /// Keeps the lease and follows the orders, until the future is dropped. While the store does not answer the work
    /// continues: what it does to an item is safe without a lease, since a broker gives a message to one scan only.
    pub(crate) async fn keep(&self) -> Infallible {
        let mut due = tokio::time::interval(time_scaled(RENEWED_EVERY));
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            let renewed = match self.store.renew(&self.lease).await {
                Ok(Some(orders)) => {
                    self.follow(orders);
                    Ok(())
                }
                Ok(None) => self.claim_again().await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = renewed {
                tracing::debug!(%failure, "the lease of an operation cannot be prolonged");
            }
        }
    }

    /// Follows an order to stop that the store of the progress may have lost.
    pub(crate) async fn obey(&self, stop: StopRequest) -> Result<(), Failure> {
        let is_new = self.orders.borrow().stop.is_none();
        if is_new {
            self.store.stop(self.lease.id, &stop).await?;
        }
        self.follow(Orders {
            stop: Some(stop),
            pace: None,
        });
        Ok(())
    }

    /// An order that was given holds, also when the store lost it.
    fn follow(&self, orders: Orders) {
        self.orders.send_if_modified(|known| {
            let orders = Orders {
                stop: orders.stop.or_else(|| known.stop.clone()),
                pace: orders.pace.or(known.pace),
            };
            let changed = *known != orders;
            *known = orders;
            changed
        });
    }

    /// The lease is gone: it ran out, or the store lost its data. If nobody else took the line, this process continues,
    /// and notes again what it did so far.
    async fn claim_again(&self) -> Result<(), Failure> {
        match self.store.claim(&self.lease, self.kind).await? {
            OperationClaim::Held { .. } => self.lost.cancel(),
            OperationClaim::Granted(stored) => {
                tracing::info!(operation = %self.lease.id, "the lease of an operation was lost, and is taken again");
                let known = self.orders.borrow().clone();
                if let (None, Some(pace)) = (stored.pace, known.pace) {
                    self.store.set_pace(self.lease.id, pace).await?;
                }
                if let (None, Some(stop)) = (&stored.stop, &known.stop) {
                    self.store.stop(self.lease.id, stop).await?;
                }
                let head = self.head.lock().clone();
                if let Some(head) = head {
                    self.store.open(self.lease.id, self.kind, &head).await?;
                }
                self.follow(stored);
                let results: Vec<ItemResult> = self.results.lock().values().cloned().collect();
                for result in results {
                    self.store.note(&self.lease, &result).await?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::embedded::EmbeddedCheckpoints;
    use crate::ports::operations::{OperationId, OperationLine};

    #[tokio::test]
    async fn an_order_holds_also_when_the_store_lost_it() {
        let file = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = EmbeddedCheckpoints::open(file.path(), clock.clone()).unwrap();
        let store: Arc<dyn Operations> = Arc::new(store);
        let lease = OperationLease::new(OperationId::new(), OperationLine::DeadLetters, "w-1");
        let draining = CancellationToken::new();
        let granted = (lease, Orders::default());
        let tracker = Tracker::new(&store, OperationKind::Discard, granted, &clock, &draining);
        let stop = StopRequest {
            who: "ada".to_owned(),
            why: None,
            at: Timestamp::UNIX_EPOCH,
        };
        let pace = Some(Duration::from_secs(2));
        let given = Orders {
            stop: Some(stop.clone()),
            pace,
        };
        tracker.follow(given);
        tracker.follow(Orders::default());
        assert_eq!(tracker.interruption(), Some(Interruption::Stopped(stop)));
        assert_eq!(tracker.orders.borrow().pace, pace);
    }
}
