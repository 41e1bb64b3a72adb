//! A message broker in memory, for tests of what takes, settles and replays messages. It keeps what RabbitMQ promises:
//! a delivery stays in its queue until it is acknowledged, and comes again, counted, when its connection ends.
//! Delays do not end by themselves: [`MemoryBroker::end_delays`] does it.

mod connections;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::connections::MemoryReceipt;
use super::queue::Delivery;
use crate::job::{Lane, Source};
use crate::queue::headers::DELIVERY_COUNT;
use crate::queue::names::{DELAYS, JOBS_EXCHANGE, delay_exchange};
use crate::queue::{Envelope, HeaderValue, Incoming, Properties, QueueError};

/// The login that publishes, and whose headers are believed.
const LOGIN: &str = "offboarder-worker";

/// Clones are the same broker.
#[derive(Clone, Default)]
pub(crate) struct MemoryBroker {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, VecDeque<Stored>>,
    in_flight: BTreeMap<u64, (u64, String, Stored)>,
    consumers: BTreeMap<u64, Consumer>,
    events: Vec<Stored>,
    next_number: u64,
    /// What the next publishes meet, one after the other.
    publish_errors: VecDeque<QueueError>,
    connect_error: Option<QueueError>,
    check_error: Option<QueueError>,
    alarm: Option<String>,
}

/// A message, in a queue or in flight.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: Properties,
    pub(crate) body: Vec<u8>,
    deliveries: i32,
}

/// What an intake has: the broker pushes up to `prefetch` messages of each source.
struct Consumer {
    prefetch: usize,
    paused: Vec<Lane>,
    pushed: BTreeMap<&'static str, VecDeque<u64>>,
    broken: Option<QueueError>,
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn take(&mut self, owner: u64, queue: &str) -> Option<u64> {
        let stored = self.queues.get_mut(queue)?.pop_front()?;
        let number = self.number();
        let entry = (owner, queue.to_owned(), stored);
        self.in_flight.insert(number, entry);
        Some(number)
    }

    /// Pushes to the consumers what their prefetch allows.
    fn push(&mut self) {
        let owners: Vec<u64> = self.consumers.keys().copied().collect();
        for owner in owners {
            for source in Source::ALL {
                let queue = source.queue();
                while self.has_room(owner, source) {
                    let Some(number) = self.take(owner, queue) else {
                        break;
                    };
                    let consumer = self.consumers.get_mut(&owner).unwrap();
                    consumer.pushed.entry(queue).or_default().push_back(number);
                }
            }
        }
    }

    fn has_room(&self, owner: u64, source: Source) -> bool {
        let queue = source.queue();
        let consumer = &self.consumers[&owner];
        let held = self.in_flight.values();
        let held = held.filter(|(of, from, _)| *of == owner && from == queue);
        !consumer.paused.contains(&source.lane())
            && consumer.broken.is_none()
            && held.count() < consumer.prefetch
    }

    /// Requeues what a connection held, and counts the delivery.
    fn requeue_of(&mut self, owner: u64) {
        self.consumers.remove(&owner);
        let held: Vec<u64> = self.in_flight.keys().copied().collect();
        for number in held.into_iter().rev() {
            if self.in_flight[&number].0 == owner {
                let (_, queue, mut stored) = self.in_flight.remove(&number).unwrap();
                stored.deliveries += 1;
                self.queues.entry(queue).or_default().push_front(stored);
            }
        }
        self.push();
    }

    fn incoming(&self, number: u64) -> Incoming {
        let (_, _, stored) = &self.in_flight[&number];
        let mut properties = stored.properties.clone();

        if stored.deliveries > 0 {
            let count = HeaderValue::I32(stored.deliveries);
            properties.add(vec![(DELIVERY_COUNT, count)]);
        }
        Incoming {
            exchange: stored.exchange.clone(),
            routing_key: stored.routing_key.clone(),
            redelivered: stored.deliveries > 0,
            properties,
            body: stored.body.clone(),
        }
    }
}

impl MemoryBroker {
    /// Puts a message into the queue of a source, as a foreign publisher would.
    pub(crate) fn put(&self, source: Source, body: &str) {
        self.put_with(source, body, Properties::default());
    }

    /// The same under our own login, with these headers.
    pub(crate) fn put_ours<'a>(
        &self,
        source: Source,
        body: &str,
        headers: impl IntoIterator<Item = (&'a str, HeaderValue)>,
    ) {
        let mut properties = Properties::of_headers(headers);
        properties.user_id = Some(LOGIN.to_owned());
        self.put_with(source, body, properties);
    }

    fn put_with(&self, source: Source, body: &str, properties: Properties) {
        let stored = Stored {
            exchange: JOBS_EXCHANGE.to_owned(),
            routing_key: source.routing_key().to_owned(),
            properties,
            body: body.as_bytes().to_vec(),
            deliveries: 0,
        };
        self.store(source.queue(), stored);
    }

    fn store(&self, queue: &str, stored: Stored) {
        let mut state = self.state.lock();
        let queue = state.queues.entry(queue.to_owned()).or_default();
        queue.push_back(stored);
        state.push();
        self.changed.notify_waiters();
    }

    /// What is in a queue and not in flight.
    pub(crate) fn messages(&self, queue: &str) -> Vec<Stored> {
        let state = self.state.lock();
        let queue = state.queues.get(queue).into_iter().flatten();
        queue.cloned().collect()
    }

    /// How many messages wait in the delay queues.
    pub(crate) fn delayed(&self) -> usize {
        let delays = DELAYS.into_iter().map(delay_exchange);
        delays.map(|queue| self.messages(&queue).len()).sum()
    }

    /// The result events, as JSON.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let state = self.state.lock();
        let events = state.events.iter();
        events
            .map(|event| serde_json::from_slice(&event.body).unwrap())
            .collect()
    }

    /// How many deliveries are not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.state.lock().in_flight.len()
    }

    /// Every delay is over: its messages go back to where they came from.
    pub(crate) fn end_delays(&self) {
        for queue in DELAYS.into_iter().map(delay_exchange) {
            let ended = self.state.lock().queues.remove(&queue);
            for stored in ended.into_iter().flatten() {
                let key = stored.routing_key.clone();
                let source = Source::ALL.into_iter().find(|one| one.routing_key() == key);
                self.store(source.unwrap().queue(), stored);
            }
        }
    }

    /// The next publish meets this error; called again, the one after it, too.
    pub(crate) fn fail_publish(&self, error: QueueError) {
        self.state.lock().publish_errors.push_back(error);
    }

    /// From now on no intake opens, or each does again.
    pub(crate) fn fail_connect(&self, error: Option<QueueError>) {
        self.state.lock().connect_error = error;
    }

    /// What the next check of the intake finds.
    pub(crate) fn fail_check(&self, error: QueueError) {
        self.state.lock().check_error = Some(error);
    }

    /// The broker blocks publishers, or no longer does.
    pub(crate) fn raise_alarm(&self, reason: Option<&str>) {
        self.state.lock().alarm = reason.map(str::to_owned);
    }

    /// The connections of all intakes end.
    pub(crate) fn break_connections(&self) {
        let mut state = self.state.lock();
        for consumer in state.consumers.values_mut() {
            consumer.broken = Some(broken("consume"));
        }
        self.changed.notify_waiters();
    }

    fn delivery(&self, number: u64, admit: impl FnOnce(Incoming) -> Envelope) -> Delivery {
        let envelope = admit(self.state.lock().incoming(number));
        let receipt = MemoryReceipt {
            broker: self.clone(),
            number,
        };
        Delivery::new(envelope, Box::new(receipt))
    }
}

/// An error of a connection that ended.
pub(crate) fn broken(what: &str) -> QueueError {
    QueueError::Broken {
        what: what.to_owned(),
        why: "the connection ended".to_owned(),
    }
}

#[cfg(test)]
mod tests;
