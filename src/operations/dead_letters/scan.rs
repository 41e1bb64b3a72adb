//! Scans of the dead-letter queue.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::seen::SeenInQueue;
use super::{DeadLetter, DeadLetterFilter, DeadLetterId};
use crate::failpoint::time_scaled;
use crate::ports::queue::{Broker, Delivery, QueueScan};
use crate::queue::QueueError;

/// Scans that only read take turns in this process: one does not miss what another one holds for a moment.
static TURN: Mutex<()> = Mutex::const_new(());

/// One scan over the dead letters that were in the queue when it began. They stay in the queue unless they are
/// acknowledged before [`Self::close`].
pub(super) struct DeadLetterScan {
    scan: Box<dyn QueueScan>,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl DeadLetterScan {
    /// Begins at the head of the queue, to read all of it and close.
    pub(super) async fn begin(broker: &dyn Broker) -> Result<Self, QueueError> {
        let turn = TURN.lock().await;
        Ok(Self {
            scan: broker.scan_dead_letters().await?,
            _turn: Some(turn),
        })
    }

    /// For a scan that does something to each, which takes long: nobody waits for it.
    async fn begin_changing(broker: &dyn Broker) -> Result<Self, QueueError> {
        Ok(Self {
            scan: broker.scan_dead_letters().await?,
            _turn: None,
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<(DeadLetter, Delivery)>, QueueError> {
        let delivery = self.scan.next().await?;
        Ok(delivery.map(|delivery| (DeadLetter::read(&delivery.envelope), delivery)))
    }

    /// Returns all dead letters to the queue that were not acknowledged.
    pub(super) async fn close(self) -> Result<(), QueueError> {
        self.scan.close().await
    }
}

/// What a scan of the whole queue found.
pub(super) struct FoundInQueue<T> {
    /// Those that match, oldest first: as many as the limit allows.
    pub(super) dead_letters: Vec<T>,
    /// How many more match.
    pub(super) more: usize,
    /// What the queue shows of replays, of the faults of those that match.
    pub(super) seen: SeenInQueue,
}

/// The dead letters that match now.
pub(super) async fn find(
    broker: &dyn Broker,
    filter: &DeadLetterFilter,
) -> Result<FoundInQueue<DeadLetter>, QueueError> {
    find_as(broker, filter, |dead_letter, _delivery| dead_letter).await
}

/// The dead letters that match now, each as `keep` makes it. The order in the queue means nothing, because a scan returns
/// messages in any order.
pub(super) async fn find_as<T>(
    broker: &dyn Broker,
    filter: &DeadLetterFilter,
    keep: impl Fn(DeadLetter, &Delivery) -> T,
) -> Result<FoundInQueue<T>, QueueError> {
    let mut found = BTreeMap::new();
    let mut faults = HashSet::new();
    let mut seen = SeenInQueue::new();
    let mut matching = 0_u64;
    let mut more = 0;
    let mut scan = DeadLetterScan::begin(broker).await?;
    while let Some((dead_letter, delivery)) = scan.next().await? {
        let fault = seen.entry(dead_letter.fingerprint.clone());
        fault.or_default().add(&dead_letter);
        if filter.matches(&dead_letter) {
            matching += 1;
            faults.insert(dead_letter.fingerprint.clone());
            let place = (dead_letter.dead_lettered_at, matching);
            found.insert(place, keep(dead_letter, &delivery));
            if filter.limit.is_some_and(|limit| found.len() > limit) {
                found.pop_last();
                more += 1;
            }
        }
    }
    scan.close().await?;

    seen.retain(|fingerprint, _| faults.contains(fingerprint));
    Ok(FoundInQueue {
        dead_letters: found.into_values().collect(),
        more,
        seen,
    })
}

/// How long other dead letters may be invisible to others while a set is scanned.
const HIDDEN_FOR: Duration = Duration::from_secs(30);

/// Yields each dead letter of a fixed set once. It scans the queue as often as that takes, because a broker closes a
/// channel that holds deliveries for long. Dead letters that arrive later are not in the set.
pub(super) struct SetScan<'a> {
    broker: &'a dyn Broker,
    wanted: HashSet<DeadLetterId>,
    scan: Option<DeadLetterScan>,
    /// Whether the current scan found any of the set.
    found: bool,
    until: Instant,
    /// How many scans in a row found none of the set.
    in_vain: usize,
}

/// The pauses before the queue is scanned again, when a scan found none of those that are still wanted: another scan
/// may hold them, as that of a list or an overview does for a moment.
const AGAIN_AFTER: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl<'a> SetScan<'a> {
    pub(super) fn new(broker: &'a dyn Broker, set: &[DeadLetter]) -> Self {
        let wanted = set.iter().map(|dead_letter| dead_letter.id.clone());
        Self {
            broker,
            wanted: wanted.collect(),
            scan: None,
            found: false,
            until: Instant::now(),
            in_vain: 0,
        }
    }

    /// The next dead letter of the set; it returns to the queue unless it is acknowledged. `None` if all were yielded, or
    /// the others are no longer in the queue.
    pub(super) async fn next(&mut self) -> Result<Option<(DeadLetter, Delivery)>, QueueError> {
        while !self.wanted.is_empty() {
            let mut scan = match self.scan.take() {
                Some(scan) if self.found && Instant::now() >= self.until => {
                    scan.close().await?;
                    self.begin().await?
                }
                Some(scan) => scan,
                None => self.begin().await?,
            };
            if let Some((dead_letter, delivery)) = scan.next().await? {
                self.scan = Some(scan);
                if self.wanted.remove(&dead_letter.id) {
                    self.found = true;
                    self.in_vain = 0;
                    return Ok(Some((dead_letter, delivery)));
                }
            } else {
                scan.close().await?;
                if !self.found {
                    let Some(pause) = AGAIN_AFTER.get(self.in_vain) else {
                        return Ok(None);
                    };
                    self.in_vain += 1;
                    tokio::time::sleep(time_scaled(*pause)).await;
                }
            }
        }
        Ok(None)
    }

    async fn begin(&mut self) -> Result<DeadLetterScan, QueueError> {
        self.found = false;
        self.until = Instant::now() + HIDDEN_FOR;
        DeadLetterScan::begin_changing(self.broker).await
    }

    /// Returns to the queue what was not acknowledged. The result names those of the set that were not found.
    pub(super) async fn close(self) -> Result<HashSet<DeadLetterId>, QueueError> {
        if let Some(scan) = self.scan {
            scan.close().await?;
        }
        Ok(self.wanted)
    }
}
