use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::backlog::InFlight;
use super::slots::FreeLanes;
use crate::job::{Lane, Source};
use crate::ports::queue::Delivery;

/// A delivery that was received and is not settled.
pub(crate) struct Received {
    pub(crate) source: Source,
    pub(crate) delivery: Delivery,
    pub(crate) since: Instant,
    pub(crate) in_flight: InFlight,
}

/// Deliveries that wait for a slot. The prefetch bounds them.
#[derive(Default)]
pub(super) struct ReadyQueue {
    by_source: [VecDeque<Received>; Source::ALL.len()],
}

impl ReadyQueue {
    pub(super) fn push(&mut self, received: Received) {
        let place = Source::ALL
            .iter()
            .position(|source| *source == received.source);
        if let Some(queue) = place.and_then(|place| self.by_source.get_mut(place)) {
            queue.push_back(received);
        }
    }

    /// Whether there is one of a source like this.
    pub(super) fn has_of(&self, is_such: impl Fn(Source) -> bool) -> bool {
        let mut sources = Source::ALL.iter().zip(&self.by_source);
        sources.any(|(source, queue)| is_such(*source) && !queue.is_empty())
    }

    pub(super) fn has_for(&self, free: FreeLanes) -> bool {
        self.has_of(|source| free.allow(source))
    }

    /// The first of the most preferred source that has a free slot.
    pub(super) fn pop_for(&mut self, free: FreeLanes) -> Option<Received> {
        let mut sources = Source::ALL.iter().zip(&mut self.by_source);
        sources.find_map(|(source, queue)| {
            if free.allow(*source) {
                queue.pop_front()
            } else {
                None
            }
        })
    }

    /// Takes out those that have waited for `age`.
    pub(super) fn take_older_than(&mut self, age: Duration) -> Vec<Received> {
        let mut old = Vec::new();
        for queue in &mut self.by_source {
            while queue
                .front()
                .is_some_and(|received| received.since.elapsed() >= age)
            {
                old.extend(queue.pop_front());
            }
        }
        old
    }

    pub(super) fn take_all_of(&mut self, lane: Lane) -> Vec<Received> {
        let sources = Source::ALL.iter().zip(&mut self.by_source);
        let queues = sources.filter(|(source, _)| source.lane() == lane);
        queues.flat_map(|(_, queue)| queue.drain(..)).collect()
    }
}
