//! How a Redis keeps what it is given, from its answer to `INFO`.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;

use super::connection::RedisConnection;
use crate::failure::{Code, Failure};
use crate::ports::{CheckpointHealth, Persistence};

pub(crate) struct RedisHealth {
    connection: Arc<RedisConnection>,
}

impl RedisHealth {
    pub(crate) const fn new(connection: Arc<RedisConnection>) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl CheckpointHealth for RedisHealth {
    async fn persistence(&self) -> Result<Persistence, Failure> {
        let info = self.connection.ask::<Value>(&redis::cmd("INFO")).await;
        match info {
            Ok(info) => Ok(persistence(&info)),
            Err(failure) if is_not_allowed(&failure) => Ok(Persistence {
                may_not_ask: true,
                ..persistence(&Value::Nil)
            }),
            Err(failure) => Err(failure),
        }
    }
}

/// The user has no right to ask, or the service has removed the command.
fn is_not_allowed(failure: &Failure) -> bool {
    let text = failure.text.to_ascii_lowercase();
    failure.code == Code::CheckpointsRefused
        && (text.contains("noperm") || text.contains("unknown command"))
}

/// The worst of all nodes of a cluster.
fn persistence(info: &Value) -> Persistence {
    let mut texts = Vec::new();
    collect(info, &mut texts);
    let values = |name: &str| -> Vec<String> {
        let lines = texts.iter().flat_map(|text| text.lines());
        lines
            .filter_map(|line| line.split_once(':').filter(|(key, _)| *key == name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    };

    let evictions = values("maxmemory_policy");
    let worst = evictions
        .iter()
        .find(|policy| *policy != "noeviction")
        .or(evictions.first());

    let logs = values("aof_enabled");
    let append_only = (!logs.is_empty()).then(|| logs.iter().all(|enabled| enabled == "1"));

    Persistence {
        eviction: worst.cloned(),
        append_only,
        may_not_ask: false,
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| collect(value, texts)),
        // An answer to INFO holds none of the others.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn of_several_nodes_the_worst_is_reported() {
        let good = "# Memory\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n";
        let bad = good
            .replace("noeviction", "allkeys-lru")
            .replace("enabled:1", "enabled:0");
        let safe = Persistence {
            eviction: Some("noeviction".to_owned()),
            append_only: Some(true),
            may_not_ask: false,
        };
        assert_eq!(persistence(&info(good)), safe);
        let nodes = Value::Map(vec![(info("a"), info(good)), (info("b"), info(&bad))]);
        let at_risk = Persistence {
            eviction: Some("allkeys-lru".to_owned()),
            append_only: Some(false),
            may_not_ask: false,
        };
        assert_eq!(persistence(&nodes), at_risk);
        assert_eq!(
            persistence(&Value::Nil),
            Persistence {
                eviction: None,
                append_only: None,
                may_not_ask: false,
            }
        );
    }
}
