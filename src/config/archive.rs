//! `[archive]`: where archives and manifests are kept, and for how long no one may delete them.

use std::path::PathBuf;

use super::reader::Reader;
use super::table;
use super::tls::TlsSettings;
use crate::address::{PemFile, file_url, kms_key, s3_url};
use crate::limits::parse::{boolean, positive_duration, unless_off};
use crate::limits::{Retention, RetentionMode};

const TLS: TlsSettings = TlsSettings {
    ca: &table::ARCHIVE_CA_FILE,
    client: None,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    pub location: ArchiveLocation,
    pub retention: Option<Retention>,
    pub force_path_style: bool,
    /// Of a private CA.
    pub ca: Option<PemFile>,
    /// The KMS key that S3 encrypts with.
    pub kms_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArchiveLocation {
    S3 {
        bucket: String,
        /// Empty, or ends in `/`.
        prefix: String,
    },
    /// A directory of this host.
    Directory(PathBuf),
}

impl Archive {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let location = reader.get(&table::ARCHIVE_URL, location);
        let retention = reader.get(&table::ARCHIVE_RETENTION, unless_off(retention));
        let force_path_style = reader.get(&table::ARCHIVE_FORCE_PATH_STYLE, boolean);
        let kms_key = reader.get(&table::ARCHIVE_KMS_KEY, kms_key);
        let in_directory = matches!(location, Some(ArchiveLocation::Directory(_)));
        let tls_by = in_directory.then_some("make OFFBOARDER_ARCHIVE_URL an s3:// URL");
        let ca = TLS.read(reader, tls_by).ca;
        if in_directory {
            reader.refuse(
                &table::ARCHIVE_KMS_KEY,
                "is for S3, and a directory encrypts nothing; make OFFBOARDER_ARCHIVE_URL an s3:// \
                 URL, or remove this",
            );
        }

        let location = location?;
        let retention = retention?;
        if let (ArchiveLocation::Directory(_), Some(_)) = (&location, retention) {
            reader.refuse(
                &table::ARCHIVE_RETENTION,
                "cannot be kept by a directory; \
                 make OFFBOARDER_ARCHIVE_URL an s3:// URL, or set this to off",
            );
        }
        Some(Self {
            location,
            retention,
            force_path_style: force_path_style?,
            ca,
            kms_key,
        })
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
    check_prefix(&prefix)?;
    Ok(ArchiveLocation::S3 { bucket, prefix })
}

/// A key in S3 has at most 1024 bytes, and our own names need some of them.
const MAX_PREFIX_BYTES: usize = 800;

/// Refuses an empty segment, `.` and `..`, since stores treat them differently: some join slashes
/// when they write but not when they list, so that a legal hold would be written and never found.
fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > MAX_PREFIX_BYTES {
        return Err(format!(
            "has a prefix of {} bytes; give one of at most {MAX_PREFIX_BYTES}",
            prefix.len()
        ));
    }
    if let Some(odd) = prefix
        .chars()
        .find(|c| c.is_control() || c.is_whitespace() || *c == '\\')
    {
        let odd = odd.escape_debug();
        return Err(format!(
            "has the character '{odd}' in its prefix; use letters, digits, '-', '_', '.' and '/'"
        ));
    }
    for segment in prefix
        .strip_suffix('/')
        .into_iter()
        .flat_map(|prefix| prefix.split('/'))
    {
        match segment {
            "" => {
                return Err(
                    "has an empty segment in its prefix; write one slash, not two".to_owned(),
                );
            }
            "." | ".." => {
                return Err(format!(
                    "has the segment '{segment}' in its prefix; write the prefix without it"
                ));
            }
            _ => {}
        }
    }

    Ok(())
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
    Ok(Retention {
        mode,
        period: positive_duration(period)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert_eq!(
            location("file:./a"),
            Ok(ArchiveLocation::Directory(PathBuf::from("./a")))
        );
        assert!(location("./a").is_err());
    }

    #[test]
    fn a_prefix_that_stores_read_in_two_ways_is_refused() {
        for (text, says) in [
            ("s3://b/audit//hold/", "empty segment"),
            ("s3://b//", "empty segment"),
            ("s3://b//hold", "empty segment"),
            ("s3://b/hold//", "empty segment"),
            ("s3://b/./", "'.'"),
            ("s3://b/a/../c", "'..'"),
            ("s3://b/a\nb/", "'\\n'"),
            ("s3://b/a b/", "' '"),
            ("s3://b/a\\b/", "character"),
            ("s3://b/a/?versions", "query"),
            ("s3://b/a/#x", "fragment"),
        ] {
            let refused = location(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
        }
        assert!(location(&format!("s3://b/{}/", "x".repeat(900))).is_err());
        assert_eq!(prefix("s3://b/a.b/.c/..d/"), "a.b/.c/..d/");
    }

    #[test]
    fn a_retention_has_a_mode_and_a_time() {
        let day = Duration::from_hours(24);
        assert_eq!(
            retention("governance:1d"),
            Ok(Retention {
                mode: RetentionMode::Governance,
                period: day
            })
        );
        assert_eq!(
            retention("compliance:1d"),
            Ok(Retention {
                mode: RetentionMode::Compliance,
                period: day
            })
        );
        for bad in [
            "compliance",
            "compliance:",
            "compliance:0s",
            "legal:1d",
            "1d",
            "on",
        ] {
            assert!(retention(bad).is_err(), "{bad}");
        }
    }
}
