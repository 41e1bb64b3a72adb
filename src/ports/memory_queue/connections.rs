//! The ports over the broker in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Consumer, LOGIN, MemoryBroker, Stored, broken};
use crate::job::{Lane, Source};
use crate::ports::queue::{
    Broker, Delivery, Depths, Examined, Intake, Publisher, QueueScan, Receipt,
};
use crate::queue::names::{
    DEAD_LETTER_EXCHANGE, DEAD_LETTER_QUEUE, EVENTS_EXCHANGE, JOBS_EXCHANGE,
};
use crate::queue::{Properties, QueueError, admit, admit_dead_letter};

pub(super) struct MemoryReceipt {
    pub(super) broker: MemoryBroker,
    pub(super) number: u64,
}

#[async_trait]
impl Receipt for MemoryReceipt {
    async fn acknowledge(&self) -> Result<(), QueueError> {
        let mut state = self.broker.state.lock();
        let known = state.in_flight.remove(&self.number);
        state.push();
        self.broker.changed.notify_waiters();
        known.map(drop).ok_or_else(|| broken("acknowledge"))
    }

    fn is_usable(&self) -> bool {
        let state = self.broker.state.lock();
        state.in_flight.contains_key(&self.number)
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn at(&self) -> &'static str {
        "memory"
    }

    async fn probe(&self) -> Result<(), QueueError> {
        self.state.lock().connect_error.clone().map_or(Ok(()), Err)
    }

    async fn declare(&self) -> Result<(), QueueError> {
        self.probe().await
    }

    async fn examine(&self) -> Result<Examined, QueueError> {
        self.probe().await?;
        Ok(Examined {
            hosts: Vec::new(),
            certificate: None,
            topology: Ok(Vec::new()),
            alarm: Ok(None),
            majority: Ok(()),
            queues: None,
        })
    }

    async fn open_intake(&self, prefetch: u16) -> Result<Box<dyn Intake>, QueueError> {
        self.probe().await?;
        let mut state = self.state.lock();
        let owner = state.number();
        let consumer = Consumer {
            prefetch: usize::from(prefetch),
            paused: Vec::new(),
            pushed: BTreeMap::new(),
            broken: None,
        };
        state.consumers.insert(owner, consumer);
        state.push();
        let broker = self.clone();

        Ok(Box::new(MemoryConnection { broker, owner }))
    }

    fn publisher(&self, _channels: usize) -> Arc<dyn Publisher> {
        Arc::new(self.clone())
    }

    async fn scan_dead_letters(&self) -> Result<Box<dyn QueueScan>, QueueError> {
        self.probe().await?;
        let mut state = self.state.lock();
        let owner = state.number();
        let left = state.queues.get(DEAD_LETTER_QUEUE).map_or(0, VecDeque::len);
        let connection = MemoryConnection {
            broker: self.clone(),
            owner,
        };
        Ok(Box::new(MemoryScan { connection, left }))
    }
}

#[async_trait]
impl Publisher for MemoryBroker {
    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError> {
        if let Some(error) = self.state.lock().publish_errors.pop_front() {
            return Err(error);
        }
        let source = Source::ALL
            .into_iter()
            .find(|source| source.routing_key() == key);
        let queue = match exchange {
            JOBS_EXCHANGE => source.map(|source| source.queue().to_owned()),
            DEAD_LETTER_EXCHANGE => Some(DEAD_LETTER_QUEUE.to_owned()),
            delayed => Some(delayed.to_owned()),
        };
        let queue = queue.ok_or_else(|| QueueError::Unroutable {
            exchange: exchange.to_owned(),
            key: key.to_owned(),
        })?;
        let mut properties = properties.clone();
        properties.user_id = Some(LOGIN.to_owned());
        let stored = Stored {
            exchange: exchange.to_owned(),
            routing_key: key.to_owned(),
            properties,
            body: body.to_vec(),
            deliveries: 0,
        };
        self.store(&queue, stored);

        Ok(())
    }

    async fn announce(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError> {
        assert_eq!(exchange, EVENTS_EXCHANGE);
        if let Some(error) = self.state.lock().publish_errors.pop_front() {
            return Err(error);
        }
        self.state.lock().events.push(Stored {
            exchange: exchange.to_owned(),
            routing_key: key.to_owned(),
            properties: properties.clone(),
            body: body.to_vec(),
            deliveries: 0,
        });
        Ok(())
    }

    async fn depths(&self, queues: &[&str]) -> Result<Depths, QueueError> {
        self.probe().await?;
        let depth = |queue: &&str| ((*queue).to_owned(), self.messages(queue).len() as u64);
        Ok(queues.iter().map(depth).collect())
    }

    fn blocked_because(&self) -> Option<String> {
        self.state.lock().alarm.clone()
    }

    async fn close(&self) {}
}

/// A connection that takes messages; what it holds is requeued when it ends.
struct MemoryConnection {
    broker: MemoryBroker,
    owner: u64,
}

impl Drop for MemoryConnection {
    fn drop(&mut self) {
        self.broker.state.lock().requeue_of(self.owner);
        self.broker.changed.notify_waiters();
    }
}

impl MemoryConnection {
    fn pushed(&self) -> Result<Option<(Source, u64)>, QueueError> {
        let mut state = self.broker.state.lock();
        let consumer = state.consumers.get_mut(&self.owner).unwrap();
        if let Some(error) = consumer.broken.clone() {
            return Err(error);
        }
        Ok(Source::ALL.into_iter().find_map(|source| {
            let number = consumer.pushed.get_mut(source.queue())?.pop_front()?;
            Some((source, number))
        }))
    }

    fn pause_or_resume(&self, lane: Lane, paused: bool) -> Result<(), QueueError> {
        let mut state = self.broker.state.lock();
        let consumer = state.consumers.get_mut(&self.owner).unwrap();
        if let Some(error) = consumer.broken.clone() {
            return Err(error);
        }
        consumer.paused.retain(|one| *one != lane);
        consumer.paused.extend(paused.then_some(lane));
        state.push();
        self.broker.changed.notify_waiters();
        Ok(())
    }
}

#[async_trait]
impl Intake for MemoryConnection {
    async fn next(&mut self) -> Result<(Source, Delivery), QueueError> {
        loop {
            let broker = self.broker.clone();
            let changed = broker.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some((source, number)) = self.pushed()? {
                let admit = |incoming| admit(incoming, Some(LOGIN));
                return Ok((source, self.broker.delivery(number, admit)));
            }
            changed.await;
        }
    }

    async fn pause(&mut self, lane: Lane) -> Result<(), QueueError> {
        self.pause_or_resume(lane, true)
    }

    async fn resume(&mut self, lane: Lane) -> Result<(), QueueError> {
        self.pause_or_resume(lane, false)
    }

    fn is_paused(&self, lane: Lane) -> bool {
        let state = self.broker.state.lock();
        state.consumers[&self.owner].paused.contains(&lane)
    }

    async fn check(&mut self) -> Result<(), QueueError> {
        self.broker
            .state
            .lock()
            .check_error
            .take()
            .map_or(Ok(()), Err)
    }

    async fn cancel(&mut self) {
        self.pause_or_resume(Lane::Access, true).ok();
        self.pause_or_resume(Lane::Archive, true).ok();
    }

    async fn close(self: Box<Self>) {}
}

struct MemoryScan {
    connection: MemoryConnection,
    left: usize,
}

#[async_trait]
impl QueueScan for MemoryScan {
    async fn next(&mut self) -> Result<Option<Delivery>, QueueError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let MemoryConnection { broker, owner } = &self.connection;
        let taken = broker.state.lock().take(*owner, DEAD_LETTER_QUEUE);
        let admit = |incoming| admit_dead_letter(incoming, Some(LOGIN));
        Ok(taken.map(|number| broker.delivery(number, admit)))
    }

    async fn close(self: Box<Self>) -> Result<(), QueueError> {
        Ok(())
    }
}
