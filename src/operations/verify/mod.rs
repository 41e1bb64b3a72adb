//! Holds what is stored of users against itself: manifests against the schema and each other, seals against
//! manifests, archives against both. What was changed, removed, hidden or exchanged is found and named.
//!
//! What nobody else knows cannot be compared: in a store without versions the last manifest of a user
//! is held by its form, its seal, and the digest in the checkpoint, where that is still known; the time of
//! sealing by nothing.

mod archives;
mod documents;
mod finding;
mod folder;
mod holdings;
mod schema;
#[cfg(test)]
mod tests;
mod user;

#[cfg(any(test, fuzzing))]
pub(crate) use documents::{faults_of_manifest, faults_of_seal};
pub(crate) use finding::Verdict;
pub(crate) use folder::{folders, no_files};
pub(crate) use holdings::{Holdings, holdings};
pub(crate) use schema::Schema;
pub(crate) use user::{CheckpointEvidence, Verifier};
