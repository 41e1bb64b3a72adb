//! The manifest, the seal, and the names of the objects. Pure.

mod document;
mod keys;
mod object_key;
mod seal;

#[cfg(test)]
pub(crate) use document::ArchiveMember;
pub(crate) use document::{Actor, Manifest, Status, has_same_evidence};
pub(crate) use keys::{Kind, archive_key, audit_key, parse_key, sealed_key};
pub(crate) use object_key::ObjectKey;
pub(crate) use seal::SealDocument;
