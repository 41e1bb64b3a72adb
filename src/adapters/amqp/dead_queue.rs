use lapin::message::Delivery;
use lapin::options::BasicGetOptions;
use lapin::{Channel, Connection};

use super::{Broker, DEAD_QUEUE, QueueError};

/// The dead letters. What is fetched stays in the queue unless it is acknowledged: the rest goes back when
/// this is closed, dropped or killed, in any order.
pub struct DeadQueue {
    connection: Connection,
    channel: Channel,
}

impl DeadQueue {
    /// Connects.
    pub async fn open(broker: &Broker) -> Result<Self, QueueError> {
        let connection = broker.connect("dead letters").await?;
        let opened = connection.create_channel().await;
        let channel = opened.map_err(|error| QueueError::of(&error, "open a channel"))?;
        Ok(Self { connection, channel })
    }

    /// The next letter, and how many stand behind it; `None` when none is left that is in nobody's hands.
    pub async fn next(&self) -> Result<Option<(Delivery, u32)>, QueueError> {
        let got = self.channel.basic_get(DEAD_QUEUE.into(), BasicGetOptions::default()).await;
        let got = got.map_err(|error| QueueError::of(&error, &format!("look at {DEAD_QUEUE}")))?;
        Ok(got.map(|got| (got.delivery, got.message_count)))
    }

    /// Gives back all that was not acknowledged.
    pub async fn close(self) -> Result<(), QueueError> {
        let closed = self.connection.close(200, "done".into()).await;
        closed
            .map_err(|error| QueueError::of(&error, &format!("give back what was fetched from {DEAD_QUEUE}")))
    }
}
