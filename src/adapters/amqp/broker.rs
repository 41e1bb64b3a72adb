use std::sync::Arc;

use async_trait::async_trait;
use lapin::Connection;

use super::connection::Connector;
use super::error::queue_error;
use super::examine::examine;
use super::intake::AmqpIntake;
use super::publisher::AmqpPublisher;
use super::scan::DeadLetterScan;
use super::topology::declare;
use crate::address::{BrokerUrl, TlsFiles};
use crate::ports::queue::{Broker, Examined, Intake, Publisher, QueueScan};
use crate::queue::QueueError;

/// A RabbitMQ that can be reached.
pub(crate) struct AmqpBroker(Connector);

impl AmqpBroker {
    /// Reads the files of TLS; connects to nothing yet.
    pub(crate) fn new(url: &BrokerUrl, tls: TlsFiles) -> Result<Self, QueueError> {
        Connector::new(url, tls).map(Self)
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn at(&self) -> &str {
        self.0.at()
    }

    async fn probe(&self) -> Result<(), QueueError> {
        let connection = self.0.connect("probe").await?;
        close_quietly(&connection).await;
        Ok(())
    }

    async fn declare(&self) -> Result<(), QueueError> {
        let connection = self.0.connect("topology").await?;
        let channel = connection
            .create_channel()
            .await
            .map_err(|error| queue_error(&error, "open a channel"))?;
        declare(&channel).await?;
        connection
            .close(200, "done".into())
            .await
            .map_err(|error| queue_error(&error, "close"))
    }

    async fn examine(&self) -> Result<Examined, QueueError> {
        let connection = self.0.connect("doctor").await?;
        let examined = examine(&connection).await;
        close_quietly(&connection).await;
        Ok(examined)
    }

    async fn open_intake(&self, prefetch: u16) -> Result<Box<dyn Intake>, QueueError> {
        Ok(Box::new(AmqpIntake::open(&self.0, prefetch).await?))
    }

    fn publisher(&self, channels: usize) -> Arc<dyn Publisher> {
        Arc::new(AmqpPublisher::new(self.0.clone(), channels))
    }

    async fn scan_dead_letters(&self) -> Result<Box<dyn QueueScan>, QueueError> {
        Ok(Box::new(DeadLetterScan::open(&self.0).await?))
    }
}

/// Whether a connection closes in order says nothing about what was done over it.
async fn close_quietly(connection: &Connection) {
    connection.close(200, "done".into()).await.ok();
}
