//! What the manifest and the seal say, and the names of the objects. Pure.

mod document;
mod keys;
mod seal;

pub use document::{Actor, ArchiveMember, Manifest, Status, tells_the_same};
pub use keys::{Kind, archive_key, audit_key, parse_key, sealed_key};
pub use seal::SealDocument;
