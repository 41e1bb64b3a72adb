use std::sync::Arc;

use async_trait::async_trait;
use lapin::Connection;

use super::connection::Connector;
use super::error::{all_failed, queue_error};
use super::examine::examine;
use super::intake::AmqpIntake;
use super::management::Management;
use super::publisher::AmqpPublisher;
use super::scan::DeadLetterScan;
use super::service::{alarm_of, read_dead_letters};
use super::topology::declare;
use crate::address::{BrokerUrl, ManagementUrl, TlsFiles};
use crate::ports::queue::{Broker, Examined, HostReport, Intake, Publisher, QueueScan};
use crate::queue::QueueError;

/// A RabbitMQ that can be reached.
pub(crate) struct AmqpBroker {
    connector: Connector,
    management: Option<Management>,
}

impl AmqpBroker {
    /// Reads the files of TLS; connects to nothing yet.
    pub(crate) fn new(url: &BrokerUrl, tls: TlsFiles) -> Result<Self, QueueError> {
        Ok(Self {
            connector: Connector::new(url, tls)?,
            management: None,
        })
    }

    /// Also asks the management API, at each [`Broker::examine`].
    pub(crate) fn with_management(mut self, url: ManagementUrl) -> Self {
        self.management = Some(self.connector.management(url));
        self
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    fn at(&self) -> &str {
        self.connector.at()
    }

    async fn probe(&self) -> Result<(), QueueError> {
        let connection = self.connector.connect("probe").await?;
        close_quietly(&connection).await;
        Ok(())
    }

    async fn declare(&self) -> Result<(), QueueError> {
        let connection = self.connector.connect("topology").await?;
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
        let mut open = Vec::new();
        let mut hosts = Vec::new();
        for (host, connected) in self.connector.connect_to_each("doctor").await? {
            let error = match connected {
                Ok(connection) => {
                    open.push(connection);
                    None
                }
                Err(error) => Some(error),
            };
            hosts.push(HostReport { host, error });
        }
        let Some(connection) = open.first() else {
            let failed = hosts.into_iter();
            let errors = failed.filter_map(|report| Some((report.host, report.error?)));
            return Err(all_failed(errors.collect(), self.connector.at()));
        };

        let topology = examine(connection).await;
        let majority = read_dead_letters(connection).await;
        for connection in &open {
            close_quietly(connection).await;
        }
        let certificate = if self.connector.is_external() {
            Some(self.connector.login().await)
        } else {
            None
        };

        // Over a connection of its own, which an alarm leaves blocked.
        let publishing = self.connector.connect("doctor").await?;
        let alarm = alarm_of(&publishing).await;
        tokio::spawn(async move { close_quietly(&publishing).await });
        let queues = match &self.management {
            Some(management) => Some(management.queues().await),
            None => None,
        };
        Ok(Examined {
            hosts,
            certificate,
            topology,
            alarm,
            majority,
            queues,
        })
    }

    async fn open_intake(&self, prefetch: u16) -> Result<Box<dyn Intake>, QueueError> {
        Ok(Box::new(AmqpIntake::open(&self.connector, prefetch).await?))
    }

    fn publisher(&self, channels: usize) -> Arc<dyn Publisher> {
        Arc::new(AmqpPublisher::new(self.connector.clone(), channels))
    }

    async fn scan_dead_letters(&self) -> Result<Box<dyn QueueScan>, QueueError> {
        Ok(Box::new(DeadLetterScan::open(&self.connector).await?))
    }
}

/// Whether a connection closes in order says nothing about what was done over it.
async fn close_quietly(connection: &Connection) {
    connection.close(200, "done".into()).await.ok();
}
