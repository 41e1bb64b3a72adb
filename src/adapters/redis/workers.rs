//! Which workers are alive: a sorted set of their names by the time of their last heartbeat, and a
//! hash of the heartbeats. Each heartbeat removes the workers that are silent, so neither grows.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::Script;

use super::connection::{RedisConnection, millis};
use super::{keys, scripts};
use crate::failure::Failure;
use crate::ports::{Heartbeat, LiveWorker, SILENT, WorkerRegistry};

pub(crate) struct RedisWorkers {
    connection: Arc<RedisConnection>,
    announce: Script,
    workers: Script,
}

impl RedisWorkers {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            announce: Script::new(scripts::ANNOUNCE),
            workers: Script::new(scripts::WORKERS),
        }
    }
}

#[async_trait]
impl WorkerRegistry for RedisWorkers {
    async fn announce(&self, heartbeat: &Heartbeat) -> Result<(), Failure> {
        let body = serde_json::to_string(heartbeat)
            .map_err(|error| Failure::internal("cannot write a heartbeat", error))?;

        let mut script = self.announce.prepare_invoke();
        script.key(keys::WORKERS_SEEN).key(keys::WORKERS_SAID);
        script.arg(&heartbeat.name).arg(body).arg(millis(SILENT));
        self.connection.run::<u64>(&script).await.map(|_done| ())
    }

    async fn leave(&self, name: &str) -> Result<(), Failure> {
        let remove = |command: &str, key: &str| {
            let mut command = redis::cmd(command);
            command.arg(key).arg(name);
            command
        };
        let commands = [
            remove("ZREM", keys::WORKERS_SEEN),
            remove("HDEL", keys::WORKERS_SAID),
        ];
        let removed = self.connection.ask_all::<u64>(&commands).await;
        removed.map(|_removed| ())
    }

    async fn workers(&self) -> Result<Vec<LiveWorker>, Failure> {
        let mut script = self.workers.prepare_invoke();
        script.key(keys::WORKERS_SEEN).key(keys::WORKERS_SAID);
        script.arg(millis(SILENT));
        let heartbeats: Vec<(i64, Option<Vec<u8>>)> = self.connection.run(&script).await?;

        let readable = heartbeats
            .into_iter()
            .filter_map(|(seen_at, body)| live(seen_at, &body?));
        let mut workers: Vec<LiveWorker> = readable.collect();
        workers.sort_by(|one, other| one.worker.name.cmp(&other.worker.name));
        Ok(workers)
    }
}

/// `None` where a later release wrote what this one cannot read.
fn live(seen_at: i64, body: &[u8]) -> Option<LiveWorker> {
    Some(LiveWorker {
        worker: serde_json::from_slice(body).ok()?,
        seen_at: Timestamp::from_millisecond(seen_at).ok()?,
    })
}
