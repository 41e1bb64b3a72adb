//! What can go wrong with the database file. Every user would meet it.

use std::path::PathBuf;

use crate::failure::{Class, Classify, Code};

#[derive(Debug, thiserror::Error)]
pub(crate) enum EmbeddedError {
    /// Another process has the file open.
    #[error(
        "{path} is in use by another offboarder; wait for it to end, or name another OFFBOARDER_CHECKPOINTS_URL"
    )]
    InUse { path: PathBuf },
    /// The file system or the database refused.
    #[error("{path}: {why}; check that the directory can be written and has space")]
    Failed { path: PathBuf, why: String },
}

impl Classify for EmbeddedError {
    fn classify(&self) -> (Class, Code) {
        match self {
            Self::InUse { .. } | Self::Failed { .. } => {
                (Class::Systemic, Code::CheckpointsUnreachable)
            }
        }
    }
}
