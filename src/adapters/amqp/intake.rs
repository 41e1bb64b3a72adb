use std::collections::HashMap;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::connection::Connector;
use super::convert::delivery;
use super::error::queue_error;
use super::topology::declare_or_find;
use crate::job::{Lane, Source};
use crate::ports::queue::{Delivery, Intake};
use crate::queue::{QueueError, admit};

/// How long the broker may take to answer [`Intake::check`].
const CHECK_WITHIN: Duration = Duration::from_secs(15);

/// As the broker's list of connections shows it.
const PURPOSE: &str = "consume";

/// One connection that consumes from every source, each over a channel of its own.
pub(super) struct AmqpIntake {
    connection: Connection,
    /// Knows our login, also when RabbitMQ says it only later.
    connector: Connector,
    /// For checks: a refusal would close a channel that consumes.
    watch: Channel,
    consumers: HashMap<Source, (Channel, Consumer)>,
    paused: Vec<Lane>,
}

impl AmqpIntake {
    pub(super) async fn open(connector: &Connector, prefetch: u16) -> Result<Self, QueueError> {
        let connection = connector.connect(PURPOSE).await?;
        // Until the end of this, which the worker may stop waiting for.
        connector.distrust(PURPOSE);
        declare_or_find(&connection).await?;
        let failed = |error| queue_error(&error, "open a channel");
        let watch = connection.create_channel().await.map_err(failed)?;
        // After the declarations: RabbitMQ names a certificate by an exchange of ours.
        connector.login().await?;

        let opening = Source::ALL.into_iter().map(async |source| {
            let failed = |error| queue_error(&error, &format!("consume from {}", source.queue()));
            let channel = connection.create_channel().await.map_err(failed)?;
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await
                .map_err(failed)?;
            let consumer = consume(&channel, source).await?;
            Ok::<_, QueueError>((source, (channel, consumer)))
        });
        let consumers = try_join_all(opening).await?.into_iter().collect();

        connector.trust(PURPOSE);
        Ok(Self {
            connection,
            connector: connector.clone(),
            watch,
            consumers,
            paused: Vec::new(),
        })
    }

    async fn check_queue(&self, source: Source) -> Result<(), QueueError> {
        let passive = QueueDeclareOptions {
            passive: true,
            durable: true,
            ..Default::default()
        };
        let asking =
            self.watch
                .queue_declare(source.queue().into(), passive, FieldTable::default());
        let broken = |why: String| QueueError::Broken {
            what: format!("check {}", source.queue()),
            why,
        };
        let queue = tokio::time::timeout(CHECK_WITHIN, asking)
            .await
            .map_err(|_elapsed| broken(format!("no answer within {} s", CHECK_WITHIN.as_secs())))?
            .map_err(|error| broken(error.to_string()))?;

        if queue.consumer_count() == 0 && !self.is_paused(source.lane()) {
            return Err(broken("it has no consumer".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Intake for AmqpIntake {
    async fn next(&mut self) -> Result<(Source, Delivery), QueueError> {
        let ended = |source: Source, why: String| QueueError::Broken {
            what: format!("consume from {}", source.queue()),
            why,
        };
        std::future::poll_fn(|context| {
            for source in Source::ALL {
                let Some((_, consumer)) = self.consumers.get_mut(&source) else {
                    continue;
                };
                match consumer.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(delivered))) => {
                        let login = self.connector.known_login();
                        let delivery =
                            delivery(delivered, |incoming| admit(incoming, login.as_deref()));
                        return Poll::Ready(Ok((source, delivery)));
                    }
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(ended(source, error.to_string())));
                    }
                    Poll::Ready(None) if self.paused.contains(&source.lane()) => {}
                    Poll::Ready(None) => {
                        let why = "the consumer was cancelled; the queue may be gone".to_owned();
                        return Poll::Ready(Err(ended(source, why)));
                    }
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn pause(&mut self, lane: Lane) -> Result<(), QueueError> {
        self.paused.push(lane);
        let consumers = self.consumers.iter();
        for (source, (channel, consumer)) in consumers.filter(|(source, _)| source.lane() == lane) {
            let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            let failed = |error| queue_error(&error, &format!("pause {}", source.queue()));
            cancelling.await.map_err(failed)?;
        }
        Ok(())
    }

    async fn resume(&mut self, lane: Lane) -> Result<(), QueueError> {
        let consumers = self.consumers.iter_mut();
        for (source, (channel, consumer)) in consumers.filter(|(source, _)| source.lane() == lane) {
            *consumer = consume(channel, *source).await?;
        }
        self.paused.retain(|paused| *paused != lane);
        Ok(())
    }

    fn is_paused(&self, lane: Lane) -> bool {
        self.paused.contains(&lane)
    }

    /// The library does not always notice by itself that it no longer consumes.
    async fn check(&mut self) -> Result<(), QueueError> {
        for source in Source::ALL {
            let checked = self.check_queue(source).await;
            if checked.is_err() {
                self.connector.distrust(PURPOSE);
            }
            checked?;
        }
        Ok(())
    }

    async fn cancel(&mut self) {
        for (source, (channel, consumer)) in &self.consumers {
            let cancelling = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
            if let Err(error) = cancelling.await {
                tracing::debug!(queue = source.queue(), %error, "the consumer was not cancelled");
            }
        }
    }

    async fn close(self: Box<Self>) {
        if let Err(error) = self.connection.close(200, "done".into()).await {
            tracing::debug!(%error, "the consuming connection did not close in order");
        }
    }
}

/// The broker picks a new name for the consumer each time. One that comes back under its old name, with deliveries in
/// flight, breaks its channel in RabbitMQ 3.10 (`handle_deliver0`, `function_clause`).
async fn consume(channel: &Channel, source: Source) -> Result<Consumer, QueueError> {
    let queue = source.queue();
    let consuming = channel.basic_consume(
        queue.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    consuming
        .await
        .map_err(|error| queue_error(&error, &format!("consume from {queue}")))
}
