use std::path::PathBuf;
use std::time::Duration;

use super::parse::{duration, file_url, positive_duration, s3_url, unless_off};
use super::reader::Reader;
use crate::limits::DeletionRateLimit;

/// What holds a deletion back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guard {
    pub protected: Option<ProtectedSource>,
    pub max_deletions: Option<DeletionRateLimit>,
    /// Time between Deactivated and the deletion.
    pub delete_grace: Duration,
    /// Whether this tenant deletes at all.
    pub delete: DeletePolicy,
}

/// Where the list of protected users is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProtectedSource {
    File(PathBuf),
    S3 { bucket: String, key: String },
}

/// Whether this tenant deletes at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletePolicy {
    /// Every user who may be deleted is.
    Attempt,
    /// Every user ends at `DeactivatedOnly`.
    Never,
}

impl Guard {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let protected = reader.get("guard.protected", protected);
        let max_deletions = reader.get("guard.max_deletions", unless_off(brake));
        let delete_grace = reader.get("guard.delete_grace", duration);
        let delete = reader.get("guard.delete", delete);
        Some(Self {
            protected,
            max_deletions: max_deletions?,
            delete_grace: delete_grace?,
            delete: delete?,
        })
    }
}

fn protected(text: &str) -> Result<ProtectedSource, String> {
    if let Some(path) = file_url(text) {
        return path.map(ProtectedSource::File);
    }
    match s3_url(text) {
        Some(Ok((_, key))) if key.is_empty() || key.ends_with('/') => {
            Err("names no object; give s3://bucket/key".to_owned())
        }
        Some(Ok((bucket, key))) => Ok(ProtectedSource::S3 { bucket, key }),
        Some(Err(problem)) => Err(problem),
        None if text.contains("://") => {
            Err("is neither a file nor an s3:// object; give one of them".to_owned())
        }
        None => Ok(ProtectedSource::File(PathBuf::from(text))),
    }
}

fn brake(text: &str) -> Result<DeletionRateLimit, String> {
    let example = "give a count and a time such as 200/1h, or off";
    let (count, per) = text
        .split_once('/')
        .ok_or_else(|| format!("is no brake; {example}"))?;
    match count.parse() {
        Ok(count @ 1..) => Ok(DeletionRateLimit {
            count,
            per: positive_duration(per)?,
        }),
        Ok(0) | Err(_) => Err(format!("has no count above 0; {example}")),
    }
}

fn delete(text: &str) -> Result<DeletePolicy, String> {
    match text {
        "attempt" => Ok(DeletePolicy::Attempt),
        "never" => Ok(DeletePolicy::Never),
        _ => Err("is neither attempt nor never; give one of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protected_list_is_a_file_or_an_object() {
        assert_eq!(
            protected("a/b.txt"),
            Ok(ProtectedSource::File(PathBuf::from("a/b.txt")))
        );
        assert_eq!(
            protected("file:./b"),
            Ok(ProtectedSource::File(PathBuf::from("./b")))
        );
        let object = ProtectedSource::S3 {
            bucket: "b".to_owned(),
            key: "k/l".to_owned(),
        };
        assert_eq!(protected("s3://b/k/l"), Ok(object));
        for bad in ["s3://b", "s3://b/k/", "https://h/list"] {
            assert!(protected(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_brake_is_a_count_in_a_time() {
        assert_eq!(
            brake("200/1h"),
            Ok(DeletionRateLimit {
                count: 200,
                per: Duration::from_hours(1)
            })
        );
        for bad in ["200", "0/1h", "200/0s", "x/1h", "200/h"] {
            assert!(brake(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_policy_never_deletes() {
        assert_eq!(delete("never"), Ok(DeletePolicy::Never));
        for bad in ["Never", "nevr", "false", "off"] {
            assert!(delete(bad).is_err(), "{bad}");
        }
    }
}
