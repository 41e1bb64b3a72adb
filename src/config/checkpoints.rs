//! `[checkpoints]`: where the checkpoints are, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::table;
use crate::address::{RedisUrl, file_url};
use crate::limits::parse::{between, unless_off};

#[derive(Debug, Clone)]
pub(crate) enum CheckpointsUrl {
    /// In a directory, for one process.
    Embedded(PathBuf),
    /// In Redis, for any number of workers.
    Redis(RedisUrl),
}

impl CheckpointsUrl {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.get(&table::CHECKPOINTS_URL, url)
    }
}

/// How long a finished user's checkpoint is kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointsRetention(pub Option<Duration>);

impl CheckpointsRetention {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        const HUNDRED_YEARS: Duration = Duration::from_hours(100 * 365 * 24);

        let period = unless_off(between(Duration::from_hours(1), HUNDRED_YEARS));
        reader.get(&table::CHECKPOINTS_RETENTION, period).map(Self)
    }
}

fn url(text: &str) -> Result<CheckpointsUrl, String> {
    match file_url(text) {
        Some(path) => path.map(CheckpointsUrl::Embedded),
        None => RedisUrl::parse(text).map(CheckpointsUrl::Redis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_the_embedded_store() {
        assert!(
            matches!(url("file:./d"), Ok(CheckpointsUrl::Embedded(path)) if path.to_str() == Some("./d"))
        );
    }
}
