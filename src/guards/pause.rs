//! The operator's pause: no worker takes users until it is lifted. Objects of the archive store, as holds
//! are, so that it outlives every restart; each act is a new one, and the one with the highest number counts.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::stored;
use crate::acts::{self, Act, By};
use crate::failure::Failure;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// One act: a pause that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseAct {
    /// Whether no users are taken from then on.
    pub paused: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What the keys of all these acts begin with.
const PREFIX: &str = "_pause.";
const MAX_BYTES: usize = 64 * 1024;

/// `_pause.{number}.json`, from 1.
fn pause_key(number: u32) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{number}.json"))
}

/// The number of the act that counts; 0 when there is none.
pub async fn pause_number(store: &dyn ArchiveStore) -> Result<u32, Failure> {
    Ok(latest_pause(&store.keys(PREFIX).await?))
}

/// The act of this number; `None` when there is none, or it cannot be read.
pub async fn read_pause(store: &dyn ArchiveStore, number: u32) -> Result<Option<PauseAct>, Failure> {
    let read = store.read(&pause_key(number), MAX_BYTES).await?;
    Ok(read.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Pauses all workers or lets them go on, on the record.
pub async fn set_pause(store: &dyn ArchiveStore, paused: bool, by: &By) -> Result<PauseAct, Failure> {
    let what = if paused { "pause" } else { "resume" };
    acts::record(store, &Act::new(by, what, 1, Value::Null)).await?;
    let pause = PauseAct { paused, who: by.who.clone(), why: by.why.clone(), at: Timestamp::now() };
    let body = Bytes::from(stored(&pause)?);
    loop {
        let number = pause_number(store).await?.saturating_add(1);
        // Somebody else acted meanwhile: ours comes after theirs.
        if let PutOnce::Stored(_) = store.put_once(&pause_key(number), body.clone(), None).await? {
            return Ok(pause);
        }
    }
}

fn latest_pause(keys: &[ObjectKey]) -> u32 {
    let number = |key: &ObjectKey| {
        let number: u32 = key.as_str().strip_prefix(PREFIX)?.strip_suffix(".json")?.parse().ok()?;
        (pause_key(number) == *key).then_some(number)
    };
    keys.iter().filter_map(number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_counts() {
        let keys = ["2", "10", "011", "x"].map(|number| ObjectKey(format!("_pause.{number}.json")));
        assert_eq!(latest_pause(&keys), 10);
        assert_eq!(latest_pause(&[]), 0);
    }
}
