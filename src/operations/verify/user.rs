//! Checks all objects of one user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};

use super::cancelled::{before, skipped};
use super::checkpoint_evidence::CheckpointEvidence;
use super::documents::{faults_of_manifest, faults_of_seal, needs_seal, set_of};
use super::finding::{Kind, Verdict};
use super::holdings::{Holdings, Versions};
use super::schema::Schema;
use crate::failure::Failure;
use crate::integrity::{Purpose, Untrusted};
use crate::job::UserId;
use crate::machine::ManifestRef;
use crate::manifest::{self, Manifest, SealDocument, archive_key, audit_key, sealed_key};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::steps::MAX_DOCUMENT_BYTES;

/// The manifests of a user, by revision.
pub(super) struct Manifests {
    /// Those that this release can read.
    pub(super) manifests: BTreeMap<u32, Manifest>,
    /// Of all that are stored.
    pub(super) digests: BTreeMap<u32, ManifestRef>,
}

pub(crate) struct Verifier {
    pub store: Arc<dyn ArchiveStore>,
    pub schema: Schema,
    /// The files were downloaded from a bucket: they have no versions, no locks and no prefix.
    pub downloaded: bool,
}

impl Verifier {
    /// Reads all objects of a user. A failure to read is an error; a contradiction is a finding of the verdict.
    pub(crate) async fn check(
        &self,
        user_id: UserId,
        holdings: &Holdings,
        evidence: &CheckpointEvidence,
    ) -> Result<Verdict, Failure> {
        let mut verdict = Verdict::of(user_id);
        if holdings.is_empty() && evidence.manifests.is_empty() {
            let key = self.store.full_key(&audit_key(user_id, 1));
            verdict.find(Kind::NothingStored, key, "no object of this user is stored");
            return Ok(verdict);
        }
        self.find_rewritten(user_id, holdings, &mut verdict);
        let Manifests { manifests, .. } = self
            .manifests(user_id, holdings, evidence, &mut verdict)
            .await?;
        verdict.manifests = manifests.len();
        verdict.state = manifests
            .last_key_value()
            .map(|(_, manifest)| manifest.status.into());

        let mut sets = BTreeMap::<u32, Vec<&Manifest>>::new();
        for (revision, manifest) in &manifests {
            if let Some(set) = self.set(user_id, *revision, manifest, &mut verdict) {
                sets.entry(set).or_default().push(manifest);
            }
        }
        for (set, manifests) in &sets {
            self.archive(user_id, *set, manifests, holdings, &mut verdict)
                .await?;
            self.seal(user_id, *set, manifests, holdings, &mut verdict)
                .await?;
        }
        for skipped in skipped(&*self.store, user_id, holdings).await? {
            sets.insert(skipped, Vec::new());
        }
        let stored = holdings.revisions(manifest::Kind::Archive).into_iter();
        for set in stored.chain(holdings.revisions(manifest::Kind::Sealed)) {
            if !sets.contains_key(&set) && !manifests.contains_key(&set) {
                self.without_manifest(user_id, set, holdings, evidence, &mut verdict);
                // Report the revision only once.
                sets.insert(set, Vec::new());
            }
        }
        Ok(verdict)
    }

    /// The revision of the archive that a manifest names, if it is one of this user.
    pub(super) fn set(
        &self,
        user_id: UserId,
        revision: u32,
        manifest: &Manifest,
        verdict: &mut Verdict,
    ) -> Option<u32> {
        let archive = &manifest.archive.archive;
        let is_of_user =
            |set: &u32| *set <= revision && self.names(&archive.key, &archive_key(user_id, *set));
        let set = set_of(user_id, &archive.key).filter(is_of_user);
        if set.is_none() {
            let key = self.store.full_key(&audit_key(user_id, revision));
            let key_named = &archive.key;
            let text = format!("the archive that it names, {key_named}, belongs to another user");
            verdict.find(Kind::ManifestChanged, key, text);
        }
        set
    }

    /// offboarder writes each object once, so further versions and delete markers come from someone else.
    fn find_rewritten(&self, user_id: UserId, holdings: &Holdings, verdict: &mut Verdict) {
        type Name = fn(UserId, u32) -> ObjectKey;
        let kinds: [(manifest::Kind, Name); 3] = [
            (manifest::Kind::Audit, audit_key),
            (manifest::Kind::Sealed, sealed_key),
            (manifest::Kind::Archive, archive_key),
        ];
        for (kind, name) in kinds {
            for revision in holdings.revisions(kind) {
                let key = self.store.full_key(&name(user_id, revision));
                let Versions { live, markers } = holdings.versions(kind, revision);
                if markers > 0 {
                    let left = if live.is_empty() {
                        "no version is left"
                    } else {
                        "its bytes still exist"
                    };
                    verdict.find(
                        Kind::Deleted,
                        &key,
                        format!("it was deleted (a delete marker); {left}"),
                    );
                }
                if live.len() > 1 {
                    let text = format!(
                        "it was written {} times; offboarder writes each object once",
                        live.len()
                    );
                    verdict.find(Kind::Overwritten, key, text);
                }
            }
        }
    }

    /// Reads the manifests, and checks each against the schema, itself, the one before it, and the checkpoint.
    pub(super) async fn manifests(
        &self,
        user_id: UserId,
        holdings: &Holdings,
        evidence: &CheckpointEvidence,
        verdict: &mut Verdict,
    ) -> Result<Manifests, Failure> {
        let mut manifests = BTreeMap::new();
        let mut digests = BTreeMap::<u32, ManifestRef>::new();
        let skipped = skipped(&*self.store, user_id, holdings).await?;

        for revision in holdings.revisions(manifest::Kind::Audit) {
            let key = audit_key(user_id, revision);
            let full_key = self.store.full_key(&key);
            let versions = holdings.versions(manifest::Kind::Audit, revision);
            let Some(bytes) = self.document(&key, &versions).await? else {
                continue;
            };
            let sha256 = hex::encode(Sha256::digest(&bytes));
            digests.insert(
                revision,
                ManifestRef {
                    key: full_key.clone(),
                    sha256: sha256.clone(),
                },
            );
            if evidence
                .manifests
                .iter()
                .any(|known| known.key == full_key && known.sha256 != sha256)
            {
                let text = format!("its SHA-256 is {sha256}, but the checkpoint has another one");
                verdict.find(Kind::ManifestChanged, &full_key, text);
            }
            let Some(manifest) = self.parse(&bytes, &full_key, verdict) else {
                continue;
            };
            for fault in faults_of_manifest(&manifest, &bytes, user_id, revision) {
                verdict.find(Kind::ManifestChanged, &full_key, fault);
            }
            self.chain(
                &manifest,
                before(revision, &skipped),
                &digests,
                &full_key,
                verdict,
            );
            manifests.insert(revision, manifest);
        }
        self.gaps(user_id, &digests, &skipped, evidence, verdict);

        Ok(Manifests { manifests, digests })
    }

    fn parse(&self, bytes: &[u8], full_key: &str, verdict: &mut Verdict) -> Option<Manifest> {
        match serde_json::from_slice(bytes) {
            Ok(document) => {
                for violation in self.schema.violations(&document) {
                    verdict.find(Kind::ManifestInvalid, full_key, violation);
                }
            }
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                verdict.find(
                    Kind::ManifestInvalid,
                    full_key,
                    format!("it is not a JSON document ({place})"),
                );
                return None;
            }
        }
        let parsed = serde_json::from_slice(bytes);
        if parsed.is_err()
            && verdict
                .findings
                .iter()
                .all(|finding| finding.object != full_key)
        {
            verdict.find(
                Kind::ManifestInvalid,
                full_key,
                "this release cannot read it as a manifest",
            );
        }

        parsed.ok()
    }

    /// Checks that a manifest names the one before it, by key and digest. The first names none.
    fn chain(
        &self,
        manifest: &Manifest,
        before: u32,
        digests: &BTreeMap<u32, ManifestRef>,
        full_key: &str,
        verdict: &mut Verdict,
    ) {
        let key = audit_key(manifest.user_id, before);
        match (&manifest.previous, digests.get(&before)) {
            (None, _) if before == 0 => {}
            (None, _) => verdict.find(
                Kind::ChainBroken,
                full_key,
                "it names no manifest before it",
            ),
            (Some(named), _) if before == 0 || !self.names(&named.key, &key) => {
                let text = format!("it names {} as the manifest before it", named.key);
                verdict.find(Kind::ChainBroken, full_key, text);
            }
            (Some(named), Some(before)) if named.sha256 != before.sha256 => {
                let text = format!(
                    "its SHA-256 is {}, and {full_key} names {}: one of the two was changed",
                    before.sha256, named.sha256
                );
                verdict.find(Kind::ChainBroken, &before.key, text);
            }
            // A missing manifest is a finding of its own.
            (Some(_), Some(_) | None) => {}
        }
    }

    fn gaps(
        &self,
        user_id: UserId,
        digests: &BTreeMap<u32, ManifestRef>,
        skipped: &BTreeSet<u32>,
        evidence: &CheckpointEvidence,
        verdict: &mut Verdict,
    ) {
        let mut expected = 1;
        for revision in digests.keys() {
            while skipped.contains(&expected) {
                expected += 1;
            }
            if *revision > expected {
                let key = self.store.full_key(&audit_key(user_id, expected));
                let last = *revision - 1;
                let text = if last > expected {
                    format!("it is missing, as are all up to revision {last}")
                } else {
                    format!("it is missing, but revision {revision} exists")
                };
                verdict.find(Kind::ManifestMissing, key, text);
            }
            expected = revision.saturating_add(1);
        }
        for known in &evidence.manifests {
            let is_found = |key: &str| {
                verdict
                    .findings
                    .iter()
                    .any(|one| one.kind == Kind::ManifestMissing && one.object == key)
            };
            if digests.values().all(|stored| stored.key != known.key) && !is_found(&known.key) {
                let text = "it is missing, but the checkpoint says that it was stored";
                verdict.find(Kind::ManifestMissing, &known.key, text);
            }
        }
    }

    async fn seal(
        &self,
        user_id: UserId,
        set: u32,
        manifests: &[&Manifest],
        holdings: &Holdings,
        verdict: &mut Verdict,
    ) -> Result<(), Failure> {
        let key = sealed_key(user_id, set);
        let full_key = self.store.full_key(&key);
        let versions = holdings.versions(manifest::Kind::Sealed, set);
        let Some(bytes) = self.document(&key, &versions).await? else {
            if manifests.iter().any(|manifest| needs_seal(manifest)) {
                let text = "it is missing, but the manifest says that a deletion was tried";
                verdict.find(Kind::SealMissing, full_key, text);
            }
            return Ok(());
        };
        let authentic =
            self.store
                .integrity()
                .open::<SealDocument>(Purpose::Seal, key.as_str(), &bytes);

        if authentic == Err(Untrusted::NoValidCode) {
            verdict.find(
                Kind::SealChanged,
                &full_key,
                Untrusted::NoValidCode.to_string(),
            );
        }
        match serde_json::from_slice::<SealDocument>(&bytes) {
            Ok(seal) => {
                for fault in faults_of_seal(&seal, &bytes, user_id, set, manifests) {
                    verdict.find(Kind::SealChanged, &full_key, fault);
                }
            }
            Err(_) => verdict.find(Kind::SealChanged, full_key, "it is not a seal"),
        }

        Ok(())
    }

    fn without_manifest(
        &self,
        user_id: UserId,
        set: u32,
        holdings: &Holdings,
        evidence: &CheckpointEvidence,
        verdict: &mut Verdict,
    ) {
        if evidence.under_way && holdings.revisions(manifest::Kind::Audit).last() < Some(&set) {
            verdict.under_way = true;
        } else if !holdings.revisions(manifest::Kind::Audit).contains(&set) {
            let key = self.store.full_key(&audit_key(user_id, set));
            let text = "it is missing, but an archive or a seal of its revision exists: the off-boarding is \
                        in progress, or the manifest was removed";
            verdict.find(Kind::ManifestMissing, key, text);
        }
    }

    /// Whether a document names this key of the store.
    fn names(&self, named: &str, key: &ObjectKey) -> bool {
        if self.downloaded {
            named
                .strip_suffix(key.as_str())
                .is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('/'))
        } else {
            named == self.store.full_key(key)
        }
    }

    /// The first version of an object; `None` if no version is left.
    pub(super) async fn document(
        &self,
        key: &ObjectKey,
        versions: &Versions,
    ) -> Result<Option<Bytes>, Failure> {
        let Some(version_id) = versions.live.last() else {
            return Ok(None);
        };
        let Some(mut chunks) = self.store.stream(key, version_id.as_deref()).await? else {
            return Ok(None);
        };
        let mut bytes = BytesMut::new();

        while let Some(chunk) = chunks.try_next().await? {
            // offboarder writes no larger documents; the beginning is enough to show what it is.
            let room = MAX_DOCUMENT_BYTES - bytes.len();
            bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if bytes.len() == MAX_DOCUMENT_BYTES {
                break;
            }
        }
        Ok(Some(bytes.freeze()))
    }
}
