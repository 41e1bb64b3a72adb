//! What an earlier run left in the store, and whether a user who was off-boarded is back.

use sha2::{Digest, Sha256};

use super::before_image::Images;
use super::deactivate::is_active;
use super::documents::MAX_DOCUMENT_BYTES;
use super::fate::reactivated_at;
use super::prior_evidence::{previous, recorded_evidence, sealed_evidence};
use super::{Services, Stopped};
use crate::job::{Job, UserId};
use crate::machine::{Beginning, Checkpoint, Event, ManifestRef, PriorEvidence, StateName};
use crate::manifest::{Kind, Manifest, audit_key, parse_key};
use crate::ports::ArchiveStore;

/// Searches the store for what an earlier run left, when there is no checkpoint: a manifest or a seal replaces the
/// checkpoint that was lost. One listing, which is all that a new user costs.
///
/// This is where the revision of the next manifest is chosen: one more than the newest manifest that is stored. The
/// evidence (archive and seal) has a revision of its own, `evidence_revision`, which is lower when a later revision only
/// tries the deletion once more: see [`crate::machine::Checkpoint`].
///
/// `at_least` is the revision that the checkpoint begins, if there is one. Evidence of a request that was cancelled is not
/// that of a later one: the user may have worked since, so a whole revision follows. Only if the user is gone, the DELETE
/// was sent before the cancellation, and the seal counts.
pub(crate) async fn look_back(
    services: &Services,
    job: &Job,
    at_least: u32,
) -> Result<Event, Stopped> {
    let store = &*services.archive_store;
    let keys = store.keys(&job.user_id.to_string()).await?;
    let latest = |wanted: Kind| {
        let parsed = keys.iter().filter_map(|key| parse_key(job.user_id, key));
        parsed
            .filter(|(kind, _)| *kind == wanted)
            .map(|(_, revision)| revision)
            .max()
            .unwrap_or(0)
    };
    let archived = latest(Kind::Archive);
    let sealed = latest(Kind::Sealed);
    let recorded = latest(Kind::Audit);

    let images = Images::of(job.user_id, &keys);
    let found = |mut evidence: PriorEvidence| {
        evidence.before_image = images.before.contains(&evidence.evidence_revision);
        Ok(Event::PriorEvidenceFound(Box::new(evidence)))
    };

    // A checkpoint may be forged: it skips no revision of which nothing is stored.
    let stored = archived.max(sealed).max(recorded);
    let mut next = at_least.min(stored.max(images.last().unwrap_or(0)) + 1);
    // Nothing of an off-boarding counts whose user was reactivated.
    let reactivated = reactivated(store, job.user_id, &images, next.max(sealed)).await?;
    if let Some(revision) = reactivated {
        next = next.max(revision + 1);
    }

    if sealed > recorded && reactivated < Some(sealed) {
        let evidence = sealed_evidence(store, job.user_id, sealed, recorded).await?;
        services.is_our_profile(evidence.profile)?;
        let is_over = next > sealed
            || services
                .was_cancelled_before(job, &evidence.request)
                .await?;
        if !is_over || !services.tenant.find_user(job.user_id).await?.value {
            return found(evidence);
        }
        next = next.max(sealed + 1);
    }

    // A job names a revision if the user returned after the newest manifest.
    let named = job.revision.filter(|named| *named == recorded + 1);
    let begun = archived.max(named.unwrap_or(0)).max(next);
    if recorded > 0 && begun <= recorded {
        let evidence = recorded_evidence(store, job.user_id, recorded).await?;
        services.is_our_profile(evidence.profile)?;
        return found(evidence);
    }

    let previous = previous(store, job.user_id, recorded).await?;
    let revision = next.max(recorded + 1);
    Ok(Event::NoPriorEvidence(Beginning {
        revision,
        previous,
        archived: archived == revision,
    }))
}

/// The last revision from `since` on whose user is to be reactivated. Only a decision that is stored is read.
async fn reactivated(
    store: &dyn ArchiveStore,
    user_id: UserId,
    images: &Images,
    since: u32,
) -> Result<Option<u32>, Stopped> {
    let last = images.fates.iter().copied().max();
    let Some(last) = last.filter(|last| *last >= since) else {
        return Ok(None);
    };
    let decided = reactivated_at(store, user_id, last).await?;
    Ok(decided.map(|_at| last))
}

/// Reads whether a user who was off-boarded is back: a deleted user exists, or another user is active again. A key that
/// somebody enabled again while the account stays inactive is not seen: a second request writes nothing.
pub(super) async fn look_again(
    services: &Services,
    checkpoint: &Checkpoint,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let is_back = if checkpoint.state.name() == StateName::Deleted {
        services.tenant.find_user(user_id).await?.value
    } else {
        is_active(services, user_id).await?
    };

    Ok(if is_back {
        Event::UserReturned
    } else {
        Event::UserStayedAway
    })
}

/// Whether the manifest of a finished off-boarding is in the store, with this digest and the same end.
pub(crate) async fn is_recorded(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
    manifest: &ManifestRef,
) -> Result<bool, Stopped> {
    let key = audit_key(checkpoint.user_id, checkpoint.revision);
    let Some(stored) = store.read(&key, MAX_DOCUMENT_BYTES).await? else {
        return Ok(false);
    };
    let Ok(read) = serde_json::from_slice::<Manifest>(&stored) else {
        return Ok(false);
    };

    let end = StateName::from(read.status);

    Ok(manifest.key == store.full_key(&key)
        && hex::encode(Sha256::digest(&stored)) == manifest.sha256
        && read.user_id == checkpoint.user_id
        && end == checkpoint.state.name()
        && checkpoint.ended_at() == Some(read.timestamp))
}
