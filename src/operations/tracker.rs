//! The work on an operation: its lease, its pace, what became of each item, and what interrupts it.

use std::collections::BTreeMap;
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
    StopOrder,
};

/// Why the work on an operation ends before its set does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// An operator stopped the operation.
    Stopped(StopOrder),
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
    pace: Duration,
    /// When the last item was begun.
    last: Mutex<Option<Instant>>,
    results: Mutex<BTreeMap<u64, ItemResult>>,
    orders: watch::Sender<Orders>,
    draining: CancellationToken,
    lost: CancellationToken,
}

/// A lease that was granted.
pub(crate) struct Granted {
    pub lease: OperationLease,
    pub orders: Orders,
    /// The number of items of the set.
    pub items: u64,
    /// The least time between two items, as it was asked for.
    pub pace: Duration,
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
    /// Reads what was done before.
    pub(crate) async fn begin(
        store: &Arc<dyn Operations>,
        kind: OperationKind,
        granted: Granted,
        clock: &Clock,
        draining: &CancellationToken,
    ) -> Result<Self, Failure> {
        let mut results = BTreeMap::new();
        let mut from = 0;
        while from < granted.items {
            let count = PAGE.min(granted.items - from);
            let page = store.results(granted.lease.id, from, count).await?;
            results.extend(page.into_iter().map(|result| (result.number, result)));
            from += PAGE;
        }
        Ok(Self {
            store: Arc::clone(store),
            kind,
            lease: granted.lease,
            clock: clock.clone(),
            pace: granted.pace,
            last: Mutex::default(),
            results: Mutex::new(results),
            orders: watch::Sender::new(granted.orders),
            draining: draining.clone(),
            lost: CancellationToken::new(),
        })
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
            let pace = orders.borrow_and_update().pace.unwrap_or(self.pace);
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
    pub(crate) async fn keep(&self) {
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

    fn follow(&self, orders: Orders) {
        self.orders.send_if_modified(|known| {
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
                self.follow(Orders {
                    stop: stored.stop.or(known.stop),
                    pace: stored.pace.or(known.pace),
                });
                let results: Vec<ItemResult> = self.results.lock().values().cloned().collect();
                for result in results {
                    self.store.note(&self.lease, &result).await?;
                }
            }
        }
        Ok(())
    }
}
