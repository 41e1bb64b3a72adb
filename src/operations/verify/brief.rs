//! The checks of a user that need no other object than the manifests: archives and versions are not read.

use std::collections::BTreeMap;

use super::checkpoint_evidence::CheckpointEvidence;
use super::documents::needs_seal;
use super::finding::{Kind, Verdict};
use super::holdings::Holdings;
use super::user::Verifier;
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::ManifestRef;
use crate::manifest::{self, Manifest, SealDocument, archive_key, sealed_key};

/// What a store shows of a user, as far as the documents say.
pub(crate) struct Brief {
    pub verdict: Verdict,
    /// The manifests of each archive, by its revision, oldest first.
    pub ended: BTreeMap<u32, Vec<(Manifest, ManifestRef)>>,
    /// Revisions that have an archive or a seal and no manifest; with the seal, if it can be read.
    pub unfinished: BTreeMap<u32, Option<SealDocument>>,
    /// Manifests that say nothing about an archive of this user, or that cannot be read.
    pub unreadable: Vec<ManifestRef>,
}

impl Verifier {
    /// Reads the manifests of a user, and the seals of revisions without one. Of archives and other seals it checks only that
    /// the listing shows them.
    pub(crate) async fn brief(
        &self,
        user_id: UserId,
        holdings: &Holdings,
    ) -> Result<Brief, Failure> {
        let mut verdict = Verdict::of(user_id);
        let nothing = CheckpointEvidence::default();
        let read = self
            .manifests(user_id, holdings, &nothing, &mut verdict)
            .await?;
        let mut digests = read.digests;
        let mut ended = BTreeMap::<u32, Vec<(Manifest, ManifestRef)>>::new();
        for (revision, manifest) in read.manifests {
            let set = self.set(user_id, revision, &manifest, &mut verdict);
            if let Some(set) = set
                && let Some(reference) = digests.remove(&revision)
            {
                ended.entry(set).or_default().push((manifest, reference));
            }
        }
        for (set, manifests) in &ended {
            self.listed(user_id, *set, manifests, holdings, &mut verdict);
        }

        let audited = holdings.revisions(manifest::Kind::Audit);
        let stored = holdings.revisions(manifest::Kind::Archive).into_iter();
        let mut unfinished = BTreeMap::new();
        for set in stored.chain(holdings.revisions(manifest::Kind::Sealed)) {
            if !ended.contains_key(&set) && !audited.contains(&set) {
                unfinished.insert(set, self.seal_of(user_id, set, holdings).await?);
            }
        }
        self.excuse_erased(&mut verdict).await?;
        Ok(Brief {
            verdict,
            ended,
            unfinished,
            unreadable: digests.into_values().collect(),
        })
    }

    /// Whether the listing shows the objects that manifests name.
    fn listed(
        &self,
        user_id: UserId,
        set: u32,
        manifests: &[(Manifest, ManifestRef)],
        holdings: &Holdings,
        verdict: &mut Verdict,
    ) {
        let is_listed = |kind| !holdings.versions(kind, set).live.is_empty();
        if !is_listed(manifest::Kind::Archive) {
            let key = self.store.full_key(&archive_key(user_id, set));
            let text = "it is missing, but a manifest names it";
            verdict.find(Kind::ArchiveMissing, key, text);
        }
        let is_sealed = manifests.iter().any(|(manifest, _)| needs_seal(manifest));
        if is_sealed && !is_listed(manifest::Kind::Sealed) {
            let key = self.store.full_key(&sealed_key(user_id, set));
            let text = "it is missing, but the manifest says that a deletion was tried";
            verdict.find(Kind::SealMissing, key, text);
        }
    }

    async fn seal_of(
        &self,
        user_id: UserId,
        set: u32,
        holdings: &Holdings,
    ) -> Result<Option<SealDocument>, Failure> {
        let versions = holdings.versions(manifest::Kind::Sealed, set);
        let bytes = self
            .document(&sealed_key(user_id, set), &versions)
            .await?
            .unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).ok())
    }
}
