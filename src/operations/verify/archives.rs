//! Checks archives against their manifests.

use super::documents::differences;
use super::finding::{Kind, Verdict};
use super::holdings::Holdings;
use super::user::Verifier;
use crate::archive::read_back;
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Archive, RetentionMark};
use crate::manifest::{self, Manifest, archive_key, audit_key};
use crate::ports::{Found, ObjectKey};
use crate::progress::Progress;

impl Verifier {
    /// Reads the archive that these manifests name, in the version that they name, whole.
    pub(super) async fn archive(
        &self,
        user_id: UserId,
        set: u32,
        manifests: &[&Manifest],
        holdings: &Holdings,
        verdict: &mut Verdict,
    ) -> Result<(), Failure> {
        let Some((first, later)) = manifests.split_first() else {
            return Ok(());
        };
        let archive = &first.archive.archive;

        for manifest in later {
            if let Some(members) = differences(archive, &manifest.archive.archive) {
                let key = self.store.full_key(&audit_key(user_id, manifest.revision));
                let text = format!(
                    "it describes the same archive differently than the manifest before it ({members})"
                );
                verdict.find(Kind::ManifestChanged, key, text);
            }
        }
        let key = archive_key(user_id, set);
        let full_key = self.store.full_key(&key);
        let live = holdings.versions(manifest::Kind::Archive, set).live;
        let version_id = archive
            .version_id
            .as_deref()
            .filter(|_| !self.downloaded && holdings.older_known() == Some(true));
        if live.is_empty() {
            verdict.find(
                Kind::ArchiveMissing,
                full_key,
                "it is missing, but a manifest names it",
            );
            return Ok(());
        }
        if version_id.is_some_and(|wanted| live.iter().all(|id| id.as_deref() != Some(wanted))) {
            let text = format!(
                "its version {}, which the manifest names, is missing",
                version_id.unwrap_or_default()
            );
            verdict.find(Kind::ArchiveMissing, full_key, text);
            return Ok(());
        }
        let Some(found) = self.store.find(&key, version_id).await? else {
            // A delete marker hides the archive, and the manifest names no version.
            verdict.find(
                Kind::ArchiveMissing,
                full_key,
                "it cannot be read, but a manifest names it",
            );
            return Ok(());
        };
        if version_id.is_none() && !self.downloaded {
            is_named_version(archive, &found, &full_key, verdict);
        }
        self.attributes(archive, &found, &full_key, verdict);

        self.contents(user_id, first, (&key, version_id), &found, verdict)
            .await
    }

    /// Reads the archive, and checks its bytes against the manifest.
    async fn contents(
        &self,
        user_id: UserId,
        manifest: &Manifest,
        (key, version_id): (&ObjectKey, Option<&str>),
        found: &Found,
        verdict: &mut Verdict,
    ) -> Result<(), Failure> {
        let archive = &manifest.archive.archive;
        let full_key = self.store.full_key(key);

        if found.bytes != archive.bytes {
            let text = format!(
                "it has {} bytes, but the manifest says {}",
                found.bytes, archive.bytes
            );
            verdict.find(Kind::ArchiveChanged, full_key, text);
            return Ok(());
        }
        let Some(contents) = read_back(&*self.store, key, version_id, &Progress::default()).await?
        else {
            verdict.find(
                Kind::ArchiveMissing,
                full_key,
                "it was removed during the check",
            );
            return Ok(());
        };
        verdict.archives += 1;
        verdict.bytes += contents.bytes;
        if contents.sha256 != archive.sha256 {
            let text = format!(
                "its SHA-256 is {}, but the manifest says {}",
                contents.sha256, archive.sha256
            );
            verdict.find(Kind::ArchiveChanged, full_key, text);
        } else if !contents.whole {
            verdict.find(
                Kind::ArchiveChanged,
                full_key,
                "it is not one complete array of conversations",
            );
        } else if (contents.conversations, contents.pages) != (archive.conversations, archive.pages)
        {
            let text = format!(
                "it says {} conversations in {} pages, but the archive has {} in {}",
                archive.conversations, archive.pages, contents.conversations, contents.pages
            );
            let key = self.store.full_key(&audit_key(user_id, manifest.revision));
            verdict.find(Kind::ManifestChanged, key, text);
        }

        Ok(())
    }

    /// Checks what the store says about the archive besides its bytes.
    fn attributes(&self, archive: &Archive, found: &Found, full_key: &str, verdict: &mut Verdict) {
        if let Some(span) = found.dates
            && (span.from, span.to) != (archive.date_from, archive.date_to)
        {
            let text = format!(
                "it covers {} to {}, but the manifest says otherwise",
                span.from, span.to
            );
            verdict.find(Kind::ArchiveChanged, full_key, text);
        }
        if let Some(promised) = archive.retention.as_ref().filter(|_| !self.downloaded) {
            let locked = found
                .retention
                .as_ref()
                .is_some_and(|lock| is_as_strong(lock, promised));
            if !locked {
                let lock = found.retention.as_ref().map_or_else(
                    || "not at all, or s3:GetObjectRetention is not granted".to_owned(),
                    |lock| format!("{} until {}", lock.mode, lock.retain_until),
                );
                let RetentionMark { mode, retain_until } = promised;
                let text =
                    format!("it is locked {lock}; the manifest says {mode} until {retain_until}");
                verdict.find(Kind::ArchiveUnlocked, full_key, text);
            }
        }
    }
}

/// From a store that lists no versions, the newest one is read: it should be the one that was written.
fn is_named_version(archive: &Archive, found: &Found, full_key: &str, verdict: &mut Verdict) {
    if let (Some(named), Some(newest)) = (&archive.version_id, &found.version_id)
        && named != newest
    {
        let text = format!(
            "it was written again: the manifest names the version {named}, and the store returns {newest}"
        );
        verdict.find(Kind::Overwritten, full_key, text);
    }
}

/// Whether a lock is at least as strong as promised: a lock may be extended and made stricter.
fn is_as_strong(lock: &RetentionMark, promised: &RetentionMark) -> bool {
    (lock.mode == promised.mode || lock.mode == "COMPLIANCE")
        && lock.retain_until >= promised.retain_until
}
