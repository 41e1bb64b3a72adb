use redis::Value;

/// What a Redis says of how it keeps what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// `maxmemory_policy`; `noeviction` is the one that forgets nothing.
    pub eviction: Option<String>,
    /// `aof_enabled`: whether every write reaches the disk.
    pub append_only: Option<bool>,
}

impl Health {
    /// Of the answer to `INFO`: of all nodes of a cluster, what is worst.
    pub(super) fn of(info: &Value) -> Self {
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
        Self {
            eviction: worst.cloned(),
            append_only,
        }
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| collect(value, texts)),
        // No answer to INFO holds any of the others.
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
    fn of_several_nodes_the_worst_counts() {
        let good = "# Memory\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n";
        let bad = good
            .replace("noeviction", "allkeys-lru")
            .replace("enabled:1", "enabled:0");
        let well = Health {
            eviction: Some("noeviction".to_owned()),
            append_only: Some(true),
        };
        assert_eq!(Health::of(&info(good)), well);
        let nodes = Value::Map(vec![(info("a"), info(good)), (info("b"), info(&bad))]);
        let ill = Health {
            eviction: Some("allkeys-lru".to_owned()),
            append_only: Some(false),
        };
        assert_eq!(Health::of(&nodes), ill);
        assert_eq!(
            Health::of(&Value::Nil),
            Health {
                eviction: None,
                append_only: None
            }
        );
    }
}
