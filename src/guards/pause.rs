//! The operator's pause: no worker takes users until it is lifted. Objects of the archive store, as holds
//! are, so that it outlives every restart; each act is a new one, and the one with the highest number counts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::ObjectKey;

/// One act: a pause that began or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseAct {
    /// Whether no users are taken from then on.
    pub paused: bool,
    /// Who did it.
    pub who: String,
    /// Why, as was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What the keys of all these acts begin with.
pub const PAUSE_PREFIX: &str = "_pause.";

/// `_pause.{number}.json`, from 1.
pub fn pause_key(number: u32) -> ObjectKey {
    ObjectKey(format!("{PAUSE_PREFIX}{number}.json"))
}

/// The number of the act that counts; 0 when there is none.
pub fn latest_pause(keys: &[ObjectKey]) -> u32 {
    let number = |key: &ObjectKey| {
        let number: u32 = key.as_str().strip_prefix(PAUSE_PREFIX)?.strip_suffix(".json")?.parse().ok()?;
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
