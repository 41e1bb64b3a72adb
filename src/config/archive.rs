use std::path::PathBuf;
use std::time::Duration;

use super::parse::{boolean, file_url, positive_duration, s3_url, unless_off};
use super::reader::Reader;

/// Where archives and manifests are kept, and for how long nobody may delete them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The store.
    pub location: ArchiveLocation,
    /// Object Lock retention.
    pub retention: Option<Retention>,
    /// For S3-compatible stores.
    pub force_path_style: bool,
}

/// A store of archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveLocation {
    /// S3 or its like.
    S3 {
        /// The bucket.
        bucket: String,
        /// Empty, or ends in `/`.
        prefix: String,
    },
    /// A directory of this host.
    Directory(PathBuf),
}

/// Object Lock retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Who may lift it.
    pub mode: RetentionMode,
    /// From the moment of storing.
    pub period: Duration,
}

/// Who may lift a retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// Whoever has the right to bypass it.
    Governance,
    /// Nobody.
    Compliance,
}

impl Archive {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let location = reader.get("archive.url", location);
        let retention = reader.get("archive.retention", unless_off(retention));
        let force_path_style = reader.get("archive.force_path_style", boolean);
        let (location, retention) = (location?, retention?);
        if let (ArchiveLocation::Directory(_), Some(_)) = (&location, retention) {
            reader.refuse(
                "archive.retention",
                "cannot be kept by a directory; \
                 make OFFBOARDER_ARCHIVE_URL an s3:// URL, or set this to off",
            );
        }
        Some(Self { location, retention, force_path_style: force_path_style? })
    }
}

fn location(text: &str) -> Result<ArchiveLocation, String> {
    if let Some(path) = file_url(text) {
        return path.map(ArchiveLocation::Directory);
    }
    let (bucket, mut prefix) = s3_url(text).unwrap_or_else(|| {
        Err("is neither an s3:// nor a file: URL; give one such as s3://bucket/prefix/".to_owned())
    })?;
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    Ok(ArchiveLocation::S3 { bucket, prefix })
}

fn retention(text: &str) -> Result<Retention, String> {
    let (mode, period) = match text.split_once(':') {
        Some(("governance", period)) => (RetentionMode::Governance, period),
        Some(("compliance", period)) => (RetentionMode::Compliance, period),
        _ => {
            return Err("is not governance: or compliance: and a duration; \
                 give one such as compliance:7y, or off"
                .to_owned());
        }
    };
    Ok(Retention { mode, period: positive_duration(period)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> String {
        match location(text) {
            Ok(ArchiveLocation::S3 { prefix, .. }) => prefix,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_prefix_is_empty_or_ends_in_a_slash() {
        assert_eq!(prefix("s3://b/deprovisioning/"), "deprovisioning/");
        assert_eq!(prefix("s3://b/deprovisioning"), "deprovisioning/");
        assert_eq!(prefix("s3://b/"), "");
        assert_eq!(prefix("s3://b"), "");
        assert_eq!(location("file:./a"), Ok(ArchiveLocation::Directory(PathBuf::from("./a"))));
        assert!(location("./a").is_err());
    }

    #[test]
    fn a_retention_has_a_mode_and_a_time() {
        let day = Duration::from_hours(24);
        assert_eq!(
            retention("governance:1d"),
            Ok(Retention { mode: RetentionMode::Governance, period: day })
        );
        assert_eq!(
            retention("compliance:1d"),
            Ok(Retention { mode: RetentionMode::Compliance, period: day })
        );
        for bad in ["compliance", "compliance:", "compliance:0s", "legal:1d", "1d", "on"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
    }
}
