use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use super::settle;
use crate::adapters::amqp::{DEAD_QUEUE, Delivery, Publisher, Source, WAIT_HEADER, WAITS, wait_exchange};
use crate::job::parse_message;
use crate::telemetry::metrics;

const LOOKS: Duration = Duration::from_secs(10);

/// How much waits, and since when: for the metrics alone. A queue tells its depth; how old the oldest job in it is
/// shows in the deliveries that this worker has in its hands, since they are its oldest. While it has none, the last
/// one that it had stands for those that wait.
#[derive(Default)]
pub(super) struct Backlog {
    inner: Mutex<Ages>,
}

#[derive(Default)]
struct Ages {
    /// By a number of ours.
    in_hand: HashMap<u64, (Source, Timestamp)>,
    next: u64,
    /// The oldest that was seen of a queue that has not been empty since.
    oldest: BTreeMap<&'static str, Timestamp>,
}

/// A delivery in hand, as long as it lives.
pub(super) struct InHand {
    number: u64,
    backlog: Arc<Backlog>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.backlog.ages().in_hand.remove(&self.number);
    }
}

impl Backlog {
    fn ages(&self) -> std::sync::MutexGuard<'_, Ages> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a delivery from its arrival on.
    pub(super) fn take_in(self: &Arc<Self>, source: Source, delivery: &Delivery) -> InHand {
        let now = Timestamp::now();
        let mut ages = self.ages();
        let number = ages.next;
        ages.next += 1;
        ages.in_hand.insert(number, (source, waits_since(delivery, now)));
        InHand { number, backlog: Arc::clone(self) }
    }

    /// Since when the oldest job of a queue has waited, of which `depth` are in nobody's hands.
    fn oldest(&self, source: Source, depth: u64, now: Timestamp) -> Option<Timestamp> {
        let mut ages = self.ages();
        let in_hand = ages.in_hand.values().filter(|(of, _)| *of == source).map(|(_, since)| *since).min();
        let known = ages.oldest.get(source.queue()).copied().filter(|_| depth > 0);
        let oldest = in_hand.or(known).or((depth > 0).then_some(now));
        match oldest {
            Some(since) => ages.oldest.insert(source.queue(), since),
            None => ages.oldest.remove(source.queue()),
        };
        oldest
    }

    /// Looks again and again, as long as the handle lives.
    pub(super) fn watch(self: &Arc<Self>, publisher: Arc<Publisher>) -> AbortOnDropHandle<()> {
        let backlog = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let waits = WAITS.map(wait_exchange);
            let mut looks = tokio::time::interval(LOOKS);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                let queues = Source::ALL.map(Source::queue).into_iter().chain([DEAD_QUEUE]);
                let queues: Vec<&str> = queues.chain(waits.iter().map(String::as_str)).collect();
                let depths = match publisher.depths(&queues).await {
                    Ok(depths) => depths,
                    Err(error) => {
                        tracing::debug!(%error, "the depths of the queues cannot be read");
                        continue;
                    }
                };
                let now = Timestamp::now();
                for (queue, depth) in &depths {
                    metrics::queue_depth(queue, *depth);
                }
                for source in Source::ALL {
                    let depth = depths.get(source.queue()).copied().unwrap_or(0);
                    let oldest = backlog.oldest(source, depth, now);
                    let age = oldest.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
                    metrics::oldest_job(source.queue(), age);
                }
                metrics::tell_braked();
            }
        }))
    }
}

/// When it was asked for; a job that was parked waits since it was due.
fn waits_since(delivery: &Delivery, now: Timestamp) -> Timestamp {
    settle::time_in(delivery, WAIT_HEADER)
        .or_else(|| parse_message(&delivery.data, now).ok()?.1.requested_at)
        .map_or(now, |since| since.min(now))
}
