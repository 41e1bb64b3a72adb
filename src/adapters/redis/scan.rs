//! A scan of the keys of a Redis, or of every master of a cluster, one call at a time.

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, FromRedisValue as _, RedisError, Value};

use super::link::Link;

/// Where a scan continues: a slot of the master, and the cursor there. A single Redis counts as the master of slot 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    slot: u16,
    cursor: u64,
}

/// Keys, and the cursor of the next call.
type Found = (u64, Vec<Vec<u8>>);

impl Cursor {
    pub(super) const START: Self = Self { slot: 0, cursor: 0 };

    /// Reads what [`Self::text`] made.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts = text.split_once('-')?;
        Some(Self {
            slot: parts.0.parse().ok()?,
            cursor: parts.1.parse().ok()?,
        })
    }

    pub(super) fn text(self) -> String {
        format!("{}-{}", self.slot, self.cursor)
    }
}

/// One call: some keys that match, and where to continue.
pub(super) async fn scan(
    link: &mut Link,
    pattern: &str,
    from: Cursor,
    count: usize,
) -> Result<(Vec<Vec<u8>>, Option<Cursor>), RedisError> {
    let mut command = redis::cmd("SCAN");
    command
        .arg(from.cursor)
        .arg("MATCH")
        .arg(pattern)
        .arg("COUNT")
        .arg(count);

    match link {
        Link::Single(connection) => {
            let found: Found = command.query_async(connection).await?;
            let next = (found.0 != 0).then_some(Cursor {
                slot: 0,
                cursor: found.0,
            });
            Ok((found.1, next))
        }
        Link::Cluster(connection) => {
            let found = of_master(connection, command, from.slot).await?;
            let next = match found.0 {
                0 => next_master(connection, from.slot).await?,
                cursor => Some(Cursor {
                    slot: from.slot,
                    cursor,
                }),
            };
            Ok((found.1, next))
        }
    }
}

async fn of_master(
    connection: &mut ClusterConnection,
    command: Cmd,
    slot: u16,
) -> Result<Found, RedisError> {
    let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
    let answer = connection
        .route_command(command, RoutingInfo::SingleNode(route))
        .await?;
    Ok(Found::from_redis_value(answer)?)
}

/// The masters are scanned in the order of their first slots.
async fn next_master(
    connection: &mut ClusterConnection,
    after: u16,
) -> Result<Option<Cursor>, RedisError> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
    let answer = connection.route_command(command, random).await?;
    let Value::Array(ranges) = answer else {
        let error = (ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS: not a list");
        return Err(RedisError::from(error));
    };

    let first = first_slots(&ranges);
    let next = first.into_iter().find(|slot| *slot > after);
    Ok(next.map(|slot| Cursor { slot, cursor: 0 }))
}

/// The first slot of each master.
fn first_slots(ranges: &[Value]) -> Vec<u16> {
    let mut masters: Vec<(&Value, u16)> = Vec::new();
    let mut of_ranges: Vec<(u16, &Value)> = ranges.iter().filter_map(range).collect();
    of_ranges.sort_by_key(|(start, _)| *start);
    for (start, master) in of_ranges {
        if masters.iter().all(|(known, _)| *known != master) {
            masters.push((master, start));
        }
    }
    masters.into_iter().map(|(_, start)| start).collect()
}

/// A range of slots: its first one, and its master.
fn range(value: &Value) -> Option<(u16, &Value)> {
    let Value::Array(parts) = value else {
        return None;
    };
    let Value::Int(start) = parts.first()? else {
        return None;
    };
    Some((u16::try_from(*start).ok()?, parts.get(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_what_is_none_is_refused() {
        let cursor = Cursor {
            slot: 5461,
            cursor: 17_592_186_044_416,
        };
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        for text in ["", "-", "1", "a-1", "1-a", "70000-1", "1--1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_master_of_a_cluster_is_scanned_once_however_many_ranges_it_has() {
        let node = |name: &str| Value::Array(vec![Value::BulkString(name.into()), Value::Int(1)]);
        let range =
            |start, end, name| Value::Array(vec![Value::Int(start), Value::Int(end), node(name)]);
        let ranges = [
            range(8192, 16383, "b"),
            range(0, 100, "a"),
            range(101, 8191, "c"),
            range(200, 300, "a"),
        ];
        assert_eq!(first_slots(&ranges), [0, 101, 8192]);
    }
}
