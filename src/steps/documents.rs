//! What the steps that store seals and manifests share.

use serde::Serialize;

use crate::failure::{Class, Code, Failure, Reason};

/// The largest seal or manifest that is read back.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// A document of ours, as it is stored.
pub(super) fn to_bytes(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(document)
        .map_err(|error| Failure::internal("cannot write a document", error))
}

/// What is stored contradicts this run.
pub(super) fn conflict(full_key: &str, what: &str) -> Failure {
    Failure::new(
        Class::Permanent(Reason::ArchiveConflict),
        Code::ArchiveConflict,
        format!("{full_key}: {what}; nothing was overwritten, a person has to compare"),
    )
}
