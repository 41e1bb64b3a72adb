//! `[checkpoints]`: where the checkpoints are, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::table;
use super::tls::TlsSettings;
use crate::address::{BesideUrl, RedisKind, RedisUrl, file_url};
use crate::limits::parse::{between, unless_off};
use crate::secret::Secret;

#[derive(Debug, Clone)]
pub(crate) enum CheckpointsUrl {
    /// In a directory, for one process.
    Embedded(PathBuf),
    /// In Redis, for any number of workers.
    Redis(Box<RedisUrl>),
}

impl CheckpointsUrl {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.get(&table::CHECKPOINTS_URL, url);
        let redis = match &url {
            Some(Self::Redis(redis)) => Some(redis),
            Some(Self::Embedded(_)) | None => None,
        };

        let in_clear = url.is_some() && !redis.is_some_and(|redis| redis.tls);
        let tls_by = in_clear.then_some(
            "make OFFBOARDER_CHECKPOINTS_URL a rediss://, rediss+sentinel:// or rediss+cluster:// URL",
        );
        let tls = TLS.read(reader, tls_by);
        let sentinel_password = reader.get(&table::CHECKPOINTS_SENTINEL_PASSWORD, |text| {
            Ok(Secret::new(text))
        });
        let has_sentinels =
            redis.is_some_and(|redis| matches!(redis.kind, RedisKind::Sentinel { .. }));
        if url.is_some() && !has_sentinels {
            reader.refuse(
                &table::CHECKPOINTS_SENTINEL_PASSWORD,
                "is of no use without sentinels; the password of Redis itself belongs into \
                 OFFBOARDER_CHECKPOINTS_URL",
            );
        }

        let beside = BesideUrl {
            tls,
            sentinel_password,
        };
        Some(match url? {
            Self::Redis(mut redis) => {
                redis.beside = beside;
                Self::Redis(redis)
            }
            embedded @ Self::Embedded(_) => embedded,
        })
    }
}

const TLS: TlsSettings = TlsSettings {
    ca: &table::CHECKPOINTS_CA_FILE,
    client: Some((
        &table::CHECKPOINTS_CLIENT_CERT_FILE,
        &table::CHECKPOINTS_CLIENT_KEY_FILE,
    )),
};

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
        None => RedisUrl::parse(text).map(|url| CheckpointsUrl::Redis(Box::new(url))),
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
