//! Seals the evidence before the DELETE, so that a run that lost everything else can still finish the manifest.

use bytes::Bytes;

use super::approval::{Look, Permit, permit};
use super::archived::archived;
use super::documents::{conflict, to_bytes};
use super::guard::{access_first, on_sealing};
use super::prior_evidence::{recorded_evidence, sealed_evidence};
use super::read_again::{Doubt, confirm_record};
use super::{CheckpointSession, Services, Stopped};
use crate::guards::{Hold, Verdict};
use crate::integrity::Purpose;
use crate::job::Job;
use crate::machine::{Archive, Call, Checkpoint, Deletion, Event, Seal, Sealing, State};
use crate::manifest::{SealDocument, audit_key, sealed_key};
use crate::ports::{ArchiveStore, PutOnce};

/// Stores the evidence so far. If the checkpoint may be forged, or an earlier revision removed the access, account and
/// routing are read again first. A crash afterwards leaves a seal that the next run recognises as its own.
///
/// A seal that is already stored is this off-boarding's own, from a run that lost its checkpoint or crashed before it
/// saved one: then the DELETE may have been sent, and the seal's content counts. Or it is the seal of the revision
/// before, whose deletion was refused and is tried again.
pub(super) async fn seal(
    services: &Services,
    journal: &mut CheckpointSession,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();
    let (access, _archive) = archived(&checkpoint.state)?;
    if let Verdict::Postpone { until, why } = access_first(services, access.at) {
        return Ok(Event::StepPostponed { until, why });
    }

    let now = services.clock.now();
    match on_sealing(services, checkpoint.user_id, &checkpoint.request, access.at).await? {
        Verdict::Proceed => {}
        Verdict::Postpone { until, why } => return Ok(Event::StepPostponed { until, why }),
        Verdict::Held(hold) => return Ok(held(hold)),
    }
    // Before access that came back is removed again: a user who was hired again is another one than the plan saw.
    match permit(services, job, checkpoint, access.at, Look::AtUser).await? {
        Permit::NotNeeded => {}
        Permit::Approved(permitted) => permitted.note(journal.checkpoint_mut()),
        Permit::Wait { until, why } => return Ok(Event::StepPostponed { until, why }),
    }

    let checkpoint = journal.checkpoint();
    // An earlier revision may have removed the access long ago.
    let doubt = if checkpoint.evidence_revision < checkpoint.revision {
        Doubt::Intent
    } else {
        Doubt::Checkpoint
    };
    if !confirm_record(services, journal, doubt, calls).await? {
        return Ok(Event::AccessReturned);
    }

    let checkpoint = journal.checkpoint();
    let (access, archive) = archived(&checkpoint.state)?;
    let document = SealDocument {
        schema_version: 1,
        user_id: checkpoint.user_id,
        profile: checkpoint.profile,
        revision: checkpoint.evidence_revision,
        sealed_at: now,
        request: checkpoint.request.clone(),
        steps: checkpoint.steps.clone(),
        access: access.clone(),
        archive: archive.clone(),
        workers: checkpoint.workers.clone(),
    };
    let store = &*services.archive_store;
    let key = sealed_key(checkpoint.user_id, checkpoint.evidence_revision);
    let signed = store
        .integrity()
        .sign(Purpose::Seal, key.as_str(), to_bytes(&document)?);

    match store.put_once(&key, Bytes::from(signed), None).await? {
        PutOnce::Stored(_) => Ok(Event::EvidenceSealed(Seal {
            key: store.full_key(&key),
            at: now,
        })),
        PutOnce::AlreadyThere => adopt(store, checkpoint, archive).await,
    }
}

/// Takes over the seal that is stored already, if it is of this very archive.
async fn adopt(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
    archive: &Archive,
) -> Result<Event, Stopped> {
    if let Some(recorded) = recorded(store, checkpoint).await? {
        return Ok(recorded);
    }

    let user_id = checkpoint.user_id;
    let full_key = store.full_key(&sealed_key(user_id, checkpoint.evidence_revision));
    let last_recorded = checkpoint.revision.saturating_sub(1);
    let evidence =
        sealed_evidence(store, user_id, checkpoint.evidence_revision, last_recorded).await?;
    let State::Archived {
        archive: sealed,
        sealing: Sealing::Sealed { seal },
        ..
    } = &evidence.state
    else {
        return Err(conflict(&full_key, "another seal is stored there").into());
    };
    if sealed.sha256 != archive.sha256 || sealed.bytes != archive.bytes {
        return Err(conflict(&full_key, "it seals another archive").into());
    }

    Ok(if checkpoint.evidence_revision < checkpoint.revision {
        Event::EvidenceSealed(seal.clone())
    } else {
        Event::PriorEvidenceFound(Box::new(evidence))
    })
}

/// A hold ends the off-boarding before the deletion.
pub(super) fn held(hold: Hold) -> Event {
    Event::DeletionWithheld(Deletion::held(hold.into()))
}

/// The manifest of this very revision, if it is stored already: the checkpoint is older than it.
pub(super) async fn recorded(
    store: &dyn ArchiveStore,
    checkpoint: &Checkpoint,
) -> Result<Option<Event>, Stopped> {
    let user_id = checkpoint.user_id;
    let revision = checkpoint.revision;
    let key = audit_key(user_id, revision);
    if store.find(&key, None).await?.is_none() {
        return Ok(None);
    }

    let evidence = recorded_evidence(store, user_id, revision).await?;
    Ok(Some(Event::PriorEvidenceFound(Box::new(evidence))))
}
