use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::task::AbortOnDropHandle;

use crate::failpoint::time_scaled;
use crate::job::{Lane, Source};
use crate::ports::queue::{Broker, Depths, Publisher};
use crate::queue::names::{DEAD_LETTER_QUEUE, DELAYS, delay_exchange};
use crate::queue::{Envelope, QueueError};
use crate::telemetry::metrics;
use crate::worker::intake::oldest_dead_letter::OldestLetter;
use crate::worker::settle::delayed::PARKED;

pub(crate) const LOOKS: Duration = Duration::from_secs(10);
/// Of all queues together: a broker that does not answer must not hold the next look up.
const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// How much waits, and since when. A queue tells its depth; how old the oldest job in it is shows in the deliveries
/// that this worker has in its hands, since they are its oldest. While it has none, the last one that it had stands
/// for those that wait. What is parked and what is given up is told by [`PARKED`] and [`OldestLetter`].
#[derive(Default)]
pub(crate) struct Backlog {
    inner: Mutex<Ages>,
}

#[derive(Default)]
struct Ages {
    /// By a number of ours.
    in_hand: HashMap<u64, (Source, Timestamp)>,
    next: u64,
    taken: HashMap<Source, u64>,
    /// The oldest that was seen of a queue that has not been empty since.
    oldest: BTreeMap<&'static str, Timestamp>,
}

/// A delivery in hand, as long as it lives.
pub(crate) struct InHand {
    number: u64,
    backlog: Arc<Backlog>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.backlog.ages().in_hand.remove(&self.number);
    }
}

impl Backlog {
    fn ages(&self) -> parking_lot::MutexGuard<'_, Ages> {
        self.inner.lock()
    }

    /// Counts a delivery from its arrival on.
    pub(crate) fn take_in(self: &Arc<Self>, source: Source, envelope: &Envelope) -> InHand {
        let now = Timestamp::now();
        let mut ages = self.ages();
        let number = ages.next;
        ages.next += 1;
        *ages.taken.entry(source).or_default() += 1;
        ages.in_hand
            .insert(number, (source, envelope.waits_since(now)));
        InHand {
            number,
            backlog: Arc::clone(self),
        }
    }

    /// Since when the oldest job of a queue has waited, of which `depth` are in nobody's hands.
    fn oldest(&self, source: Source, depth: u64, now: Timestamp) -> Option<Timestamp> {
        let mut ages = self.ages();
        let in_hand = ages
            .in_hand
            .values()
            .filter(|(of, _)| *of == source)
            .map(|(_, since)| *since)
            .min();
        let known = ages
            .oldest
            .get(source.queue())
            .copied()
            .filter(|_| depth > 0);
        let oldest = in_hand.or(known).or((depth > 0).then_some(now));
        match oldest {
            Some(since) => ages.oldest.insert(source.queue(), since),
            None => ages.oldest.remove(source.queue()),
        };
        oldest
    }

    /// How many deliveries came, ever.
    pub(crate) fn taken(&self, source: Source) -> u64 {
        self.ages().taken.get(&source).copied().unwrap_or(0)
    }

    /// How many of a lane this worker has in hand, in progress or not.
    fn in_hand(&self, lane: Lane) -> u64 {
        self.ages()
            .in_hand
            .values()
            .filter(|(source, _)| source.lane() == lane)
            .count() as u64
    }

    /// Looks again and again, as long as the handle lives, and shows `seen` each look.
    pub(crate) fn watch(
        self: &Arc<Self>,
        publisher: Arc<dyn Publisher>,
        broker: Arc<dyn Broker>,
        seen: impl Fn(Option<&Depths>) + Send + 'static,
    ) -> AbortOnDropHandle<()> {
        let backlog = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let waits = DELAYS.map(delay_exchange);
            let queues = Source::ALL
                .map(Source::queue)
                .into_iter()
                .chain([DEAD_LETTER_QUEUE]);
            let queues: Vec<&str> = queues.chain(waits.iter().map(String::as_str)).collect();
            let mut letters = OldestLetter::default();
            let mut looks = tokio::time::interval(time_scaled(LOOKS));
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                let looking = tokio::time::timeout(LOOK_WITHIN, publisher.depths(&queues));
                let depths = match looking.await {
                    Ok(Ok(depths)) => Some(depths),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "the depths of the queues cannot be read");
                        None
                    }
                    Err(_elapsed) => {
                        tracing::debug!("the broker does not say how deep the queues are");
                        None
                    }
                };
                if let Some(depths) = &depths {
                    look_into(&mut letters, depths, &*broker).await;
                    backlog.tell(depths, &letters);
                }
                seen(depths.as_ref());
            }
        }))
    }

    fn tell(&self, depths: &Depths, letters: &OldestLetter) {
        let now = Timestamp::now();
        let depth = |queue: &str| depths.get(queue).copied().unwrap_or(0);
        let age = |since: Option<Timestamp>| {
            since.map_or(0.0, |since| seconds(now.duration_since(since)))
        };
        for (queue, depth) in depths {
            metrics::queue_depth(queue, *depth);
        }
        metrics::oldest_job(DEAD_LETTER_QUEUE, age(letters.since()));
        for pause in DELAYS {
            let queue = delay_exchange(pause);
            let oldest = PARKED.oldest(pause, depth(&queue)).unwrap_or_default();
            metrics::oldest_job(&queue, oldest.as_secs_f64());
        }
        for lane in [Lane::Access, Lane::Archive] {
            let (parked, oldest_parked) = PARKED.of(lane);
            let mut told = metrics::LaneBacklog {
                depth: 0,
                held: self.in_hand(lane) + parked,
                oldest_seconds: oldest_parked.unwrap_or_default().as_secs_f64(),
            };
            for source in Source::ALL
                .into_iter()
                .filter(|source| source.lane() == lane)
            {
                let depth = depth(source.queue());
                let oldest = age(self.oldest(source, depth, now));
                metrics::oldest_job(source.queue(), oldest);
                told.depth += depth;
                told.oldest_seconds = told.oldest_seconds.max(oldest);
            }
            metrics::lane(lane, &told);
        }
        metrics::tell_braked();
    }
}

fn seconds(age: SignedDuration) -> f64 {
    age.as_secs_f64().max(0.0)
}

/// Finds out since when the first dead letter stands, if that cannot be known otherwise.
async fn look_into(letters: &mut OldestLetter, depths: &Depths, broker: &dyn Broker) {
    if !letters.saw(depths.get(DEAD_LETTER_QUEUE).copied().unwrap_or(0)) {
        return;
    }
    match tokio::time::timeout(LOOK_WITHIN, first_letter(broker)).await {
        Ok(Ok(found)) => {
            let now = Timestamp::now();
            letters.found(found.map(|letter| letter.dead_lettered_at().unwrap_or(now)));
        }
        Ok(Err(error)) => tracing::debug!(%error, "the first dead letter cannot be looked at"),
        Err(_elapsed) => tracing::debug!("the broker does not show the first dead letter"),
    }
}

/// The first letter, which goes back at once.
async fn first_letter(broker: &dyn Broker) -> Result<Option<Envelope>, QueueError> {
    let mut scan = broker.scan_dead_letters().await?;
    let letter = scan.next().await?.map(|delivery| delivery.envelope);
    scan.close().await?;
    Ok(letter)
}
