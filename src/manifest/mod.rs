//! The manifest, the seal, the before-image, and the names of the objects. Pure.

mod before;
mod document;
mod keys;
mod object_key;
mod seal;

pub(crate) use before::{
    BeforeImage, Fate, FateDocument, NotGivenBack, Possession, ReactivationRecord,
};
#[cfg(test)]
pub(crate) use document::ArchiveMember;
pub(crate) use document::{Actor, Manifest, Status, has_same_evidence};
pub(crate) use keys::{
    Kind, archive_key, audit_key, before_key, fate_key, parse_key, reactivated_key, sealed_key,
};
pub(crate) use object_key::ObjectKey;
pub(crate) use seal::SealDocument;

#[cfg(test)]
mod page_tests;
