//! What the archive store holds of one user: manifests with their digests, archives, seals.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::machine::{Archive, Deletion, ManifestRef, StateName};
use crate::manifest::{Kind, Manifest, SealDocument, parse_key};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::steps::MAX_DOCUMENT_BYTES;

/// How many documents of each kind are read: the newest ones.
const READ: usize = 50;

/// The evidence of a user
///
/// It is what the documents say. `GET /users/{userId}/verify` checks them against each other and against the archives.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub user_id: UserId,
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Bucket URL or directory.
    pub location: String,
    /// The manifests, newest first.
    pub manifests: Vec<ManifestEvidence>,
    /// The seals, newest first.
    pub seals: Vec<SealEvidence>,
    /// Archives that no manifest above names, since the off-boarding is in progress or the manifest is missing: their keys.
    pub other_archives: Vec<String>,
    /// How many older documents were not read.
    pub not_read: usize,
}

/// A manifest
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestEvidence {
    /// The number of the manifest of this user, from 1.
    pub revision: u32,
    /// The full key.
    pub key: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// What it says; null if this release cannot read it.
    pub says: Option<ManifestSays>,
}

/// What a manifest says
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManifestSays {
    /// How the user ended.
    pub state: StateName,
    /// When that was.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The release and the worker that wrote it.
    pub worker: String,
    pub release: String,
    /// The archive: key, size, and SHA-256.
    pub archive: Archive,
    /// How the deletion ended.
    pub deletion: Deletion,
    /// The manifest before it, with its digest.
    pub previous: Option<ManifestRef>,
}

/// A seal: the evidence that was stored before the DELETE
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SealEvidence {
    pub revision: u32,
    /// The full key.
    pub key: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// When it was sealed; null if it is not one of ours, or has no valid integrity code.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sealed_at: Option<Timestamp>,
    /// The SHA-256 of the archive that it names; null as above.
    pub archive_sha256: Option<String>,
}

/// Reads the evidence of a user; `None` if the store has no object of this user.
pub(crate) async fn evidence(
    store: &dyn ArchiveStore,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<Evidence>, Failure> {
    let keys = store.keys(&user_id.to_string()).await?;
    let of_kind = |wanted: Kind| {
        let parsed = keys.iter().filter_map(|key| {
            let (kind, revision) = parse_key(user_id, key)?;
            (kind == wanted).then(|| (revision, key.clone()))
        });
        let mut found: Vec<(u32, ObjectKey)> = parsed.collect();
        found.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
        found
    };
    let [manifests, seals, archives] = [Kind::Audit, Kind::Sealed, Kind::Archive].map(of_kind);
    if manifests.is_empty() && seals.is_empty() && archives.is_empty() {
        return Ok(None);
    }

    let mut evidence = Evidence {
        user_id,
        as_of: now,
        location: store.location(),
        manifests: Vec::new(),
        seals: Vec::new(),
        other_archives: Vec::new(),
        not_read: manifests.len().saturating_sub(READ) + seals.len().saturating_sub(READ),
    };
    for (revision, key) in manifests.into_iter().take(READ) {
        if let Some(bytes) = store.read(&key, MAX_DOCUMENT_BYTES).await? {
            let key = store.full_key(&key);
            let manifest = ManifestEvidence::of(revision, key, &bytes);
            evidence.manifests.push(manifest);
        }
    }
    for (revision, key) in seals.into_iter().take(READ) {
        if let Some(bytes) = store.read(&key, MAX_DOCUMENT_BYTES).await? {
            let seal = SealEvidence::of(store, revision, &key, &bytes);
            evidence.seals.push(seal);
        }
    }
    let archives = archives.into_iter().map(|(_, key)| store.full_key(&key));
    evidence.other_archives = archives.filter(|key| !evidence.names(key)).collect();
    Ok(Some(evidence))
}

impl Evidence {
    fn names(&self, archive: &str) -> bool {
        let said = self.manifests.iter().filter_map(|one| one.says.as_ref());
        said.into_iter().any(|says| says.archive.key == archive)
    }

    /// The size of all archives that manifests name. Several manifests may name the same one.
    pub(crate) fn archive_bytes(&self) -> u64 {
        let said = self.manifests.iter().filter_map(|one| one.says.as_ref());
        let mut by_key: BTreeMap<&str, u64> = BTreeMap::new();
        for ManifestSays { archive, .. } in said {
            let bytes = by_key.entry(&archive.key).or_default();
            *bytes = archive.bytes.max(*bytes);
        }
        by_key.into_values().fold(0, u64::saturating_add)
    }
}

impl ManifestEvidence {
    fn of(revision: u32, key: String, bytes: &[u8]) -> Self {
        let manifest = serde_json::from_slice::<Manifest>(bytes).ok();
        Self {
            revision,
            key,
            sha256: hex::encode(Sha256::digest(bytes)),
            says: manifest.map(|manifest| ManifestSays {
                state: manifest.status.into(),
                at: manifest.timestamp,
                worker: manifest.actor.worker,
                release: manifest.actor.version,
                archive: manifest.archive.archive,
                deletion: manifest.deletion,
                previous: manifest.previous,
            }),
        }
    }
}

impl SealEvidence {
    fn of(store: &dyn ArchiveStore, revision: u32, key: &ObjectKey, bytes: &[u8]) -> Self {
        let opened = store.integrity();
        let opened = opened.open::<SealDocument>(Purpose::Seal, key.as_str(), bytes);
        let seal = opened.ok();
        Self {
            revision,
            key: store.full_key(key),
            sha256: hex::encode(Sha256::digest(bytes)),
            sealed_at: seal.as_ref().map(|seal| seal.sealed_at),
            archive_sha256: seal.map(|seal| seal.archive.sha256),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::DeletionOutcome;
    use crate::machine::samples::empty_archive;

    #[test]
    fn an_archive_that_several_manifests_name_is_counted_once() {
        let named = |key: &str, bytes| ManifestEvidence {
            revision: 1,
            key: "m".to_owned(),
            sha256: String::new(),
            says: Some(ManifestSays {
                state: StateName::Deleted,
                at: Timestamp::UNIX_EPOCH,
                worker: String::new(),
                release: String::new(),
                archive: Archive {
                    key: key.to_owned(),
                    bytes,
                    ..empty_archive(Timestamp::UNIX_EPOCH)
                },
                deletion: Deletion::without_call(DeletionOutcome::Deleted),
                previous: None,
            }),
        };
        let evidence = Evidence {
            user_id: "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap(),
            as_of: Timestamp::UNIX_EPOCH,
            location: String::new(),
            manifests: vec![named("a", 5), named("a", 5), named("b", 2)],
            seals: Vec::new(),
            other_archives: Vec::new(),
            not_read: 0,
        };
        assert_eq!(evidence.archive_bytes(), 7);
    }
}
