use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::door::admit;
use super::{Broker, QueueError, declare};
use crate::failpoint::effect;
use crate::job::Source;

/// One connection that consumes from every source, each over a channel of its own.
pub(crate) struct Intake {
    connection: Connection,
    login: Option<String>,
    watch: Channel,
    consumers: HashMap<Source, (Channel, Consumer)>,
    paused: bool,
}

impl Intake {
    /// Connects, declares what is missing, and begins to consume with this prefetch per source.
    pub(crate) async fn open(broker: &Broker, prefetch: u16) -> Result<Self, QueueError> {
        let connection = broker.connect("consume").await?;
        let failed = |error| QueueError::of(&error, "open a channel");
        let watch = connection.create_channel().await.map_err(failed)?;
        declare(&watch).await?;
        let mut consumers = HashMap::new();
        for source in Source::ALL {
            let queue = source.queue();
            let failed = |error| QueueError::of(&error, &format!("consume from {queue}"));
            let channel = connection.create_channel().await.map_err(failed)?;
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await
                .map_err(failed)?;
            let consumer = consume(&channel, source).await?;
            consumers.insert(source, (channel, consumer));
        }
        let login = broker.login().map(str::to_owned);
        Ok(Self {
            connection,
            login,
            watch,
            consumers,
            paused: false,
        })
    }

    /// Takes no more deliveries for now; the connection stays, for those in hand. Some may still come.
    pub(crate) async fn pause(&mut self) -> Result<(), QueueError> {
        self.paused = true;
        for (source, (channel, consumer)) in &self.consumers {
            let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            let failed = |error| QueueError::of(&error, &format!("pause {}", source.queue()));
            cancelling.await.map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) async fn resume(&mut self) -> Result<(), QueueError> {
        for (source, (channel, consumer)) in &mut self.consumers {
            *consumer = consume(channel, *source).await?;
        }
        self.paused = false;
        Ok(())
    }

    /// Whether [`Self::pause`] was the last word.
    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// The next delivery, of the most preferred source that has one, as far as it is believed. An error means that the whole intake
    /// has to be opened anew. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<(Source, Delivery), QueueError> {
        let ended = |source: Source, why: String| QueueError::Broken {
            what: format!("consume from {}", source.queue()),
            why,
        };
        let paused = self.paused;
        std::future::poll_fn(|context| {
            for source in Source::ALL {
                let Some((_, consumer)) = self.consumers.get_mut(&source) else {
                    continue;
                };
                match consumer.poll_next_unpin(context) {
                    std::task::Poll::Ready(Some(Ok(mut delivery))) => {
                        admit(&mut delivery, self.login.as_deref());
                        return std::task::Poll::Ready(Ok((source, delivery)));
                    }
                    std::task::Poll::Ready(Some(Err(error))) => {
                        return std::task::Poll::Ready(Err(ended(source, error.to_string())));
                    }
                    std::task::Poll::Ready(None) if paused => {}
                    std::task::Poll::Ready(None) => {
                        let why = "the consumer was cancelled; the queue may be gone".to_owned();
                        return std::task::Poll::Ready(Err(ended(source, why)));
                    }
                    std::task::Poll::Pending => {}
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Asks the broker whether each queue is still there with a consumer. The library does not always
    /// notice by itself that it no longer consumes.
    pub(crate) async fn check(&self) -> Result<(), QueueError> {
        for source in Source::ALL {
            let passive = QueueDeclareOptions {
                passive: true,
                durable: true,
                ..Default::default()
            };
            let asking =
                self.watch
                    .queue_declare(source.queue().into(), passive, FieldTable::default());
            let broken = |why: String| QueueError::Broken {
                what: format!("look at {}", source.queue()),
                why,
            };
            let queue = tokio::time::timeout(Duration::from_secs(15), asking)
                .await
                .map_err(|_elapsed| broken("no answer within 15 s".to_owned()))?
                .map_err(|error| broken(error.to_string()))?;
            if queue.consumer_count() == 0 && !self.paused {
                return Err(broken("nobody consumes from it".to_owned()));
            }
        }
        Ok(())
    }

    /// Takes no more deliveries; those in hand can still be acknowledged.
    pub(crate) async fn cancel(&self) {
        for (source, (channel, consumer)) in &self.consumers {
            let tag = consumer.tag();
            if let Err(error) = channel
                .basic_cancel(tag, BasicCancelOptions::default())
                .await
            {
                tracing::debug!(queue = source.queue(), %error, "the consumer was not cancelled");
            }
        }
    }

    /// Ends the connection; what is not acknowledged goes back to its queue.
    pub(crate) async fn close(self) {
        if let Err(error) = self.connection.close(200, "done".into()).await {
            tracing::debug!(%error, "the consuming connection did not close in order");
        }
    }
}

/// The broker names the consumer, each time anew: one that comes back under its old name, with deliveries in
/// hand, breaks its channel in RabbitMQ 3.10 (`handle_deliver0`, `function_clause`).
async fn consume(channel: &Channel, source: Source) -> Result<Consumer, QueueError> {
    let queue = source.queue();
    channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(|error| QueueError::of(&error, &format!("consume from {queue}")))
}

/// Acknowledges a delivery that has been dealt with.
pub(crate) async fn acknowledge(delivery: &Delivery) -> Result<(), QueueError> {
    match effect(
        "the acknowledgement",
        delivery.acker.ack(BasicAckOptions::default()),
    )
    .await
    {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::warn!(
                "an acknowledgement came too late: the message will be delivered again, and do nothing"
            );
            Ok(())
        }
        Err(error) => Err(QueueError::of(&error, "acknowledge")),
    }
}
