//! What can go wrong with the file system. Every user would meet it.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use crate::failure::{Class, Classify, Code};

#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("{path} does not exist; create it, or set OFFBOARDER_ARCHIVE_URL to another directory")]
    Missing { path: PathBuf },
    #[error("{path}: permission denied; give this user the right to write there")]
    Denied { path: PathBuf },
    /// No space, or a quota.
    #[error("{path}: no space is left; free some, the work then continues by itself")]
    Full { path: PathBuf },
    #[error("{path}: {why}")]
    Failed { path: PathBuf, why: String },
    /// The object should be small.
    #[error("{path} has {bytes} bytes, over {max_bytes}")]
    TooLarge {
        path: PathBuf,
        bytes: u64,
        max_bytes: usize,
    },
    /// The temporary file of an upload is gone or shorter than it was.
    #[error("{path}: the upload in progress is gone or cut short; the archive begins again")]
    UploadLost { path: PathBuf },
}

impl DirectoryError {
    pub(super) fn of(error: &Error, path: &Path) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing { path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full { path }
            }
            _ => Self::Failed {
                path,
                why: error.to_string(),
            },
        }
    }
}

impl Classify for DirectoryError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::Missing { .. } => (Class::Systemic, Code::ArchiveMissing),
            Self::Denied { .. } => (Class::Systemic, Code::ArchiveDenied),
            Self::Full { .. } => (Class::Systemic, Code::ArchiveFull),
            Self::Failed { .. } => (Class::Systemic, Code::ArchiveUnreachable),
            Self::TooLarge { .. } => (Class::Defect, Code::ArchiveRejected),
            Self::UploadLost { .. } => (Class::Transient, Code::ArchiveUploadLost),
        }
    }
}
