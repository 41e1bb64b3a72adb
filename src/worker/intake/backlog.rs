//! How many jobs wait in each queue, and since when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::task::AbortOnDropHandle;

use super::oldest_dead_letter::OldestDeadLetter;
use crate::clock::Clock;
use crate::failpoint::time_scaled;
use crate::job::{Lane, Source};
use crate::ports::queue::{Broker, Depths, Publisher};
use crate::queue::names::{DEAD_LETTER_QUEUE, DELAYS, delay_exchange};
use crate::queue::{Envelope, QueueError};
use crate::telemetry::metrics;
use crate::worker::settle::delayed::Delayed;

pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// For all queues together: a broker that does not answer must not delay the next sample.
const SAMPLE_WITHIN: Duration = Duration::from_secs(20);

/// How much waits, and since when. RabbitMQ reports the depth of a queue. The age of its oldest job shows in the
/// deliveries that this worker has in flight, since they are the oldest; while it has none, the last one that it had
/// counts for the jobs that wait. [`Delayed`] knows the delayed jobs, and [`OldestDeadLetter`] the dead letters.
#[derive(Default)]
pub(crate) struct Backlog {
    clock: Clock,
    delayed: Arc<Delayed>,
    ages: Mutex<Ages>,
}

#[derive(Default)]
struct Ages {
    /// By a number of ours.
    in_flight: HashMap<u64, (Source, Timestamp)>,
    next: u64,
    received: HashMap<Source, u64>,
    /// The oldest that was seen of a queue that has not been empty since.
    oldest: BTreeMap<&'static str, Timestamp>,
}

/// A delivery in flight, as long as it lives.
pub(crate) struct InFlight {
    number: u64,
    backlog: Arc<Backlog>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.backlog.ages().in_flight.remove(&self.number);
    }
}

impl Backlog {
    /// `delayed` are the jobs that this worker delays.
    pub(crate) fn new(clock: Clock, delayed: Arc<Delayed>) -> Self {
        Self {
            clock,
            delayed,
            ages: Mutex::default(),
        }
    }

    fn ages(&self) -> MutexGuard<'_, Ages> {
        self.ages.lock()
    }

    /// Counts a delivery from its arrival on.
    pub(crate) fn enter(self: &Arc<Self>, source: Source, envelope: &Envelope) -> InFlight {
        let since = envelope.waits_since(self.clock.now());
        let mut ages = self.ages();
        let number = ages.next;
        ages.next += 1;
        *ages.received.entry(source).or_default() += 1;
        ages.in_flight.insert(number, (source, since));
        InFlight {
            number,
            backlog: Arc::clone(self),
        }
    }

    /// Since when the oldest job of a source has waited; `depth` jobs in its queue are not in flight.
    fn oldest(&self, source: Source, depth: u64) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut ages = self.ages();
        let in_flight = ages
            .in_flight
            .values()
            .filter(|(of, _)| *of == source)
            .map(|(_, since)| *since)
            .min();
        let known = ages
            .oldest
            .get(source.queue())
            .copied()
            .filter(|_| depth > 0);

        let oldest = in_flight.or(known).or((depth > 0).then_some(now));
        match oldest {
            Some(since) => ages.oldest.insert(source.queue(), since),
            None => ages.oldest.remove(source.queue()),
        };
        oldest
    }

    /// Since when the oldest job that this worker knows of has waited: those in flight, and those that its last sample of
    /// the queues showed.
    pub(crate) fn oldest_job(&self) -> Option<Timestamp> {
        let ages = self.ages();
        let in_flight = ages.in_flight.values().map(|(_, since)| *since);
        in_flight.chain(ages.oldest.values().copied()).min()
    }

    /// How many deliveries came from this source since the process began.
    pub(crate) fn received(&self, source: Source) -> u64 {
        self.ages().received.get(&source).copied().unwrap_or(0)
    }

    /// How many deliveries of a lane this worker holds, whether their jobs run or not.
    fn in_flight(&self, lane: Lane) -> u64 {
        let ages = self.ages();
        let of_lane = ages.in_flight.values();
        of_lane.filter(|(source, _)| source.lane() == lane).count() as u64
    }

    /// Samples the queues again and again, as long as the handle lives, and hands each sample to `sampled`.
    pub(crate) fn watch(
        self: &Arc<Self>,
        publisher: Arc<dyn Publisher>,
        broker: Arc<dyn Broker>,
        sampled: impl Fn(Option<&Depths>) + Send + 'static,
    ) -> AbortOnDropHandle<()> {
        let backlog = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut dead_letters = OldestDeadLetter::default();
            let mut due = tokio::time::interval(time_scaled(SAMPLE_EVERY));
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                due.tick().await;
                let depths = sample(&*publisher).await;
                if let Some(depths) = &depths {
                    backlog
                        .find_oldest_dead_letter(&mut dead_letters, depths, &*broker)
                        .await;
                    backlog.report(depths, &dead_letters);
                }
                sampled(depths.as_ref());
            }
        }))
    }

    fn report(&self, depths: &Depths, dead_letters: &OldestDeadLetter) {
        let now = self.clock.now();
        let age = |since: Option<Timestamp>| {
            since.map_or(0.0, |since| seconds(now.duration_since(since)))
        };
        for (queue, depth) in depths {
            metrics::queue_depth(queue, *depth);
        }
        metrics::oldest_job(DEAD_LETTER_QUEUE, age(dead_letters.since()));

        let depth = |queue: &str| depths.get(queue).copied().unwrap_or(0);
        for delay in DELAYS {
            let queue = delay_exchange(delay);
            let oldest = self
                .delayed
                .oldest(delay, depth(&queue))
                .unwrap_or_default();
            metrics::oldest_job(&queue, oldest.as_secs_f64());
        }

        for lane in [Lane::Access, Lane::Archive] {
            let (delayed, oldest_delayed) = self.delayed.of(lane);
            let mut reported = metrics::LaneBacklog {
                depth: 0,
                held: self.in_flight(lane) + delayed,
                oldest_seconds: oldest_delayed.unwrap_or_default().as_secs_f64(),
            };
            let of_lane = Source::ALL.into_iter();
            for source in of_lane.filter(|source| source.lane() == lane) {
                let depth = depth(source.queue());
                let oldest = age(self.oldest(source, depth));
                metrics::oldest_job(source.queue(), oldest);
                reported.depth += depth;
                reported.oldest_seconds = reported.oldest_seconds.max(oldest);
            }
            metrics::lane(lane, &reported);
        }
        metrics::record_rate_limited();
    }

    /// Finds out when the oldest dead letter was written, if that cannot be known otherwise.
    async fn find_oldest_dead_letter(
        &self,
        dead_letters: &mut OldestDeadLetter,
        depths: &Depths,
        broker: &dyn Broker,
    ) {
        let depth = depths.get(DEAD_LETTER_QUEUE).copied().unwrap_or(0);
        if !dead_letters.must_be_read(depth) {
            return;
        }
        match tokio::time::timeout(SAMPLE_WITHIN, first_dead_letter(broker)).await {
            Ok(Ok(found)) => {
                let written = |dead_letter: Envelope| {
                    dead_letter
                        .dead_lettered_at()
                        .unwrap_or_else(|| self.clock.now())
                };
                dead_letters.found(found.map(written));
            }
            Ok(Err(error)) => tracing::debug!(%error, "the first dead letter cannot be read"),
            Err(_elapsed) => tracing::debug!("RabbitMQ does not deliver the first dead letter"),
        }
    }
}

fn seconds(age: SignedDuration) -> f64 {
    age.as_secs_f64().max(0.0)
}

/// The depth of every queue of ours; `None` while the broker does not answer.
async fn sample(publisher: &dyn Publisher) -> Option<Depths> {
    let delays = DELAYS.map(delay_exchange);
    let queues = Source::ALL.map(Source::queue).into_iter();
    let queues: Vec<&str> = queues
        .chain([DEAD_LETTER_QUEUE])
        .chain(delays.iter().map(String::as_str))
        .collect();

    match tokio::time::timeout(SAMPLE_WITHIN, publisher.depths(&queues)).await {
        Ok(Ok(depths)) => Some(depths),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the depths of the queues cannot be read");
            None
        }
        Err(_elapsed) => {
            tracing::debug!("RabbitMQ does not answer how deep the queues are");
            None
        }
    }
}

/// Takes the first dead letter, and puts it back at once.
async fn first_dead_letter(broker: &dyn Broker) -> Result<Option<Envelope>, QueueError> {
    let mut scan = broker.scan_dead_letters().await?;
    let first = scan.next().await?.map(|delivery| delivery.envelope);
    scan.close().await?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Properties;
    use crate::queue::headers::NOT_BEFORE;

    fn delayed_until(time: Timestamp) -> Envelope {
        let headers = [(NOT_BEFORE, time.as_millisecond().into())];
        Envelope::of_test("offboarding", "users", Properties::of_headers(headers), "x")
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_job_is_the_oldest_in_flight_and_is_remembered_while_others_wait() {
        let start = Timestamp::from_second(1_000).unwrap();
        let backlog = Arc::new(Backlog::new(Clock::starting_at(start), Arc::default()));
        let oldest = |depth| backlog.oldest(Source::Users, depth);
        assert_eq!(oldest(0), None);
        assert_eq!(oldest(3), Some(start), "older ones are not known");

        let due = Timestamp::from_second(900).unwrap();
        let first = backlog.enter(Source::Users, &delayed_until(due));
        let second = backlog.enter(Source::Users, &delayed_until(start));
        assert_eq!(oldest(3), Some(due));
        assert_eq!(backlog.in_flight(Lane::Access), 2);
        assert_eq!(backlog.received(Source::Users), 2);

        drop(first);
        assert_eq!(oldest(3), Some(start));
        drop(second);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(oldest(3), Some(start), "it counts for those that wait");
        assert_eq!(oldest(0), None);
        assert_eq!(backlog.in_flight(Lane::Access), 0);
    }
}
