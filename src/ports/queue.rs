//! What the worker and the operations need of a message broker. A message stays in its queue until its delivery is
//! acknowledged: a crash at any point makes the broker deliver it again.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::job::{Lane, Source};
use crate::queue::{Envelope, Properties, QueueError};

/// A broker that can be reached: everything else begins here. Each part has connections of its own.
#[async_trait]
pub(crate) trait Broker: Send + Sync {
    /// Where the broker is, for people: without a password.
    fn at(&self) -> &str;

    /// Connects and disconnects: an error says why the broker does not let us in.
    async fn probe(&self) -> Result<(), QueueError>;

    /// Declares every exchange, queue and binding. A second time changes nothing; a queue that exists with other
    /// arguments is an error that names it.
    async fn declare(&self) -> Result<(), QueueError>;

    /// Compares the broker's exchanges and queues with what [`Self::declare`] would make, and makes nothing; asks whether
    /// it takes and gives messages. An error says why the broker does not let us in.
    async fn examine(&self) -> Result<Examined, QueueError>;

    /// Declares what is missing, or finds all of it with a login that may not declare; and begins to consume from every source, each with this prefetch.
    async fn open_intake(&self, prefetch: u16) -> Result<Box<dyn Intake>, QueueError>;

    /// Connects at the first publish. `channels` is how many publishes can be in flight at a time.
    fn publisher(&self, channels: usize) -> Arc<dyn Publisher>;

    /// Begins a scan at the head of the dead-letter queue.
    async fn scan_dead_letters(&self) -> Result<Box<dyn QueueScan>, QueueError>;
}

/// What a broker shows of itself. Each part is read on its own, and may be an error.
pub(crate) struct Examined {
    /// Each host that the settings name.
    pub(crate) hosts: Vec<HostReport>,
    /// Under which name it knows our certificate; `None` inside if it does not say. `None` with another login.
    pub(crate) certificate: Option<Result<Option<String>, QueueError>>,
    pub(crate) topology: Result<Vec<TopologyFault>, QueueError>,
    /// Why it takes no messages; `None` if it does.
    pub(crate) alarm: Result<Option<String>, QueueError>,
    /// Whether a replicated queue can be read.
    pub(crate) majority: Result<(), QueueError>,
    /// Each queue of the virtual host; an error is for people. `None` where nobody said whom to ask.
    pub(crate) queues: Option<Result<Vec<QueueReport>, String>>,
}

/// Whether one host of the broker lets us in.
#[derive(Debug, Clone)]
pub(crate) struct HostReport {
    /// With its port.
    pub(crate) host: String,
    /// Why it does not.
    pub(crate) error: Option<QueueError>,
}

/// What only the broker's management shows of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueReport {
    pub(crate) name: String,
    /// Nodes that keep it; none for a queue that is not replicated.
    pub(crate) members: usize,
    /// Of these, those that run.
    pub(crate) online: usize,
    /// The policies in force.
    pub(crate) policies: Vec<String>,
    /// What they limit more than our own arguments do, e.g. `max-length`.
    pub(crate) limits: BTreeMap<String, i64>,
    /// What they say that a full queue does: `reject-publish` as our own argument, or for example `drop-head`.
    pub(crate) overflow: Option<String>,
    /// The routing key that they give to what leaves the queue unread: a message that has waited comes back under it
    /// instead of its own.
    pub(crate) reroutes_to: Option<String>,
}

/// Deliveries of jobs, from all sources.
#[async_trait]
pub(crate) trait Intake: Send {
    /// The next delivery, from the most preferred source that has one. After an error the whole intake has to be
    /// opened again. Dropping the future loses no delivery.
    async fn next(&mut self) -> Result<(Source, Delivery), QueueError>;

    /// Takes no more deliveries of this lane for now; the connection stays, for those in flight. Some may still come.
    async fn pause(&mut self, lane: Lane) -> Result<(), QueueError>;

    async fn resume(&mut self, lane: Lane) -> Result<(), QueueError>;

    fn is_paused(&self, lane: Lane) -> bool;

    /// Asks the broker whether each queue still exists and has a consumer.
    async fn check(&mut self) -> Result<(), QueueError>;

    /// Takes no more deliveries, for good; those in flight can still be acknowledged.
    async fn cancel(&mut self);

    /// Ends the connection. The broker delivers again what is not acknowledged.
    async fn close(self: Box<Self>);
}

/// Publishes with the broker's confirm.
#[async_trait]
pub(crate) trait Publisher: Send + Sync {
    /// Returns once the broker has the message in a queue. After an error it may or may not have it: the caller
    /// decides whether to publish again.
    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError>;

    /// The same for an event, which nothing may be waiting for: it is no error when no queue takes it.
    async fn announce(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: &Properties,
    ) -> Result<(), QueueError>;

    /// How many messages each queue has that are not in flight. A queue that does not exist is left out.
    async fn depths(&self, queues: &[&str]) -> Result<Depths, QueueError>;

    /// Why nothing can be published now, if the broker says so.
    fn blocked_because(&self) -> Option<String>;

    /// Ends the connection; what was confirmed stays.
    async fn close(&self);
}

/// Messages in each queue that are not in flight.
pub(crate) type Depths = BTreeMap<String, u64>;

/// One scan of a queue: each message that was there when the scan began, once. What is not acknowledged goes back to
/// the queue when the scan is closed or dropped, or its process dies; in no particular order.
#[async_trait]
pub(crate) trait QueueScan: Send {
    /// `None` when no message is left that is not in flight elsewhere.
    async fn next(&mut self) -> Result<Option<Delivery>, QueueError>;

    /// Puts back what was not acknowledged.
    async fn close(self: Box<Self>) -> Result<(), QueueError>;
}

/// A message in flight: ours until it is acknowledged, or the connection that it came over ends.
pub(crate) struct Delivery {
    pub(crate) envelope: Envelope,
    receipt: Box<dyn Receipt>,
}

/// How the broker knows a delivery.
#[async_trait]
pub(crate) trait Receipt: Send + Sync {
    async fn acknowledge(&self) -> Result<(), QueueError>;

    /// Whether an acknowledgement can still reach the broker. If not, it delivers the message again by itself.
    fn is_usable(&self) -> bool;
}

impl Delivery {
    pub(crate) const fn new(envelope: Envelope, receipt: Box<dyn Receipt>) -> Self {
        Self { envelope, receipt }
    }

    /// Takes the message off its queue, for good.
    pub(crate) async fn acknowledge(&self) -> Result<(), QueueError> {
        self.receipt.acknowledge().await
    }

    /// Whether an acknowledgement can still reach the broker.
    pub(crate) fn is_usable(&self) -> bool {
        self.receipt.is_usable()
    }
}

/// A difference between the broker's topology and what `offboarder topology` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopologyFault {
    Missing {
        /// E.g. `the queue offboarding.users`.
        what: String,
    },
    /// It exists, and this login may not ask for its arguments.
    NotCompared,
    /// It exists with other arguments.
    Different {
        /// E.g. `the queue offboarding.users`.
        what: String,
        why: String,
    },
}
