//! How a Redis keeps what it is given, from its answer to `INFO`.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;

use super::connection::RedisConnection;
use crate::failure::{Code, Failure};
use crate::ports::{CheckpointHealth, Persistence, ReplicaRule};

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
            Ok(info) => Ok(Persistence {
                replicas: self.replica_rule(&info).await?,
                ..persistence(&info)
            }),
            Err(failure) if is_not_allowed(&failure) => Ok(Persistence {
                may_not_ask: true,
                ..persistence(&Value::Nil)
            }),
            Err(failure) => Err(failure),
        }
    }
}

impl RedisHealth {
    async fn replica_rule(&self, info: &Value) -> Result<Option<ReplicaRule>, Failure> {
        let mut texts = Vec::new();
        collect(info, &mut texts);
        let lines = texts.iter().flat_map(|text| text.lines());
        let counts = lines.filter_map(|line| line.strip_prefix("connected_slaves:"));
        let counts: Vec<u64> = counts
            .filter_map(|count| count.trim().parse().ok())
            .collect();
        if counts.iter().all(|count| *count == 0) {
            return Ok(None);
        }
        let replicas = counts.into_iter().min().unwrap_or_default();

        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("min-replicas-*");
        match self.connection.ask::<Value>(&command).await {
            Ok(settings) => Ok(Some(rule(&settings, replicas))),
            Err(failure) if is_not_allowed(&failure) => Ok(Some(ReplicaRule::Unknown)),
            Err(failure) => Err(failure),
        }
    }
}

/// What the server says that was asked: of a cluster, the library asks one for its settings. Of several, the worst.
fn rule(settings: &Value, replicas: u64) -> ReplicaRule {
    let mut words = Vec::new();
    flatten(settings, &mut words);
    let values = |name: &str| -> Vec<u64> {
        let pairs = words.iter().zip(words.iter().skip(1));
        pairs
            .filter(|(word, _)| *word == name)
            .filter_map(|(_, value)| value.parse().ok())
            .collect()
    };
    let lag = values("min-replicas-max-lag").into_iter().max();
    match (values("min-replicas-to-write").into_iter().min(), lag) {
        // No lag counts as no rule.
        (Some(0), _) | (_, Some(0)) => ReplicaRule::TakesWrites { replicas },
        (Some(_), Some(lag)) => ReplicaRule::RefusesWritesAfter(lag),
        (None, _) | (_, None) => ReplicaRule::Unknown,
    }
}

/// Names and values, in order.
fn flatten(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, words)),
        Value::Map(pairs) => pairs.iter().for_each(|(name, value)| {
            flatten(name, words);
            flatten(value, words);
        }),
        word => collect(word, words),
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
        replicas: None,
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
            replicas: None,
        };
        assert_eq!(persistence(&info(good)), safe);
        let nodes = Value::Map(vec![(info("a"), info(good)), (info("b"), info(&bad))]);
        let at_risk = Persistence {
            eviction: Some("allkeys-lru".to_owned()),
            append_only: Some(false),
            may_not_ask: false,
            replicas: None,
        };
        assert_eq!(persistence(&nodes), at_risk);
        assert_eq!(
            persistence(&Value::Nil),
            Persistence {
                eviction: None,
                append_only: None,
                may_not_ask: false,
                replicas: None,
            }
        );
    }

    #[test]
    fn the_rule_for_replicas_is_read_from_one_node_and_from_several() {
        let of = |to_write: &str, lag: &str| {
            let words = [
                "min-replicas-to-write",
                to_write,
                "min-replicas-max-lag",
                lag,
            ];
            Value::Array(words.map(info).into())
        };
        assert_eq!(rule(&of("1", "3"), 2), ReplicaRule::RefusesWritesAfter(3));
        let takes_writes = ReplicaRule::TakesWrites { replicas: 2 };
        assert_eq!(rule(&of("0", "10"), 2), takes_writes);
        assert_eq!(rule(&Value::Array(Vec::new()), 2), ReplicaRule::Unknown);
        let nodes = Value::Map(vec![(info("a"), of("1", "3")), (info("b"), of("1", "10"))]);
        assert_eq!(rule(&nodes, 2), ReplicaRule::RefusesWritesAfter(10));
    }
}
