//! Checks the stored objects of users against each other: manifests against the schema and each other, seals against
//! manifests, archives against both. It finds objects that were changed, removed, hidden or swapped.
//!
//! A fact that is stored only once cannot be checked. In a store without versions, the last manifest of a user is checked
//! against its form, its seal, and the digest in the checkpoint while there is one; nothing confirms the time of sealing.

mod archives;
mod brief;
mod cancelled;
mod check;
mod checkpoint_evidence;
mod documents;
mod erased;
mod finding;
mod folder;
mod holdings;
mod schema;
#[cfg(test)]
mod tests;
mod user;

pub(crate) use brief::Brief;
pub(crate) use check::{Checked, Checker, KnownManifests, Pacing};
pub(crate) use checkpoint_evidence::CheckpointEvidence;
#[cfg(any(test, fuzzing))]
pub(crate) use documents::{faults_of_manifest, faults_of_seal};
pub(crate) use finding::Verdict;
pub(crate) use folder::{folders, no_files};
pub(crate) use holdings::{Holdings, holdings, owned};
pub(crate) use schema::Schema;
pub(crate) use user::Verifier;
