//! The tenant's quotas, shared by all workers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::connection::RedisConnection;
use super::{keys, scripts};
use crate::failure::Failure;
use crate::ports::{QuotaClass, Quotas, Reservation};

pub(crate) struct RedisQuotas {
    connection: Arc<RedisConnection>,
    /// Distinguishes the processes that share the quotas.
    worker: String,
    reserve: Script,
    cool_down: Script,
}

impl RedisQuotas {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            worker: uuid::Uuid::new_v4().to_string(),
            reserve: Script::new(scripts::RESERVE),
            cool_down: Script::new(scripts::COOL_DOWN),
        }
    }
}

#[async_trait]
impl Quotas for RedisQuotas {
    async fn reserve(
        &self,
        class: QuotaClass,
        interval: Duration,
        count: u32,
    ) -> Result<Reservation, Failure> {
        let mut script = self.reserve.prepare_invoke();
        script.key(keys::quota(class)).key(keys::QUOTA_WORKERS);
        script.arg(micros(interval)).arg(count).arg(&self.worker);

        let answer: (u64, u32) = self.connection.run(&script).await?;
        Ok(Reservation {
            starts_in: Duration::from_micros(answer.0),
            workers: answer.1,
        })
    }

    async fn cool_down(&self, class: QuotaClass, pause: Duration) -> Result<(), Failure> {
        let mut script = self.cool_down.prepare_invoke();
        script.key(keys::quota(class)).arg(micros(pause));
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
