//! The one decision about a user of whom a before-image is stored: deletion, or reactivation. It is an object that is
//! stored once, so that a worker that was suspended right before its DELETE and a person who gives everything back cannot
//! both have their way.

use bytes::Bytes;
use jiff::Timestamp;

use super::documents::{MAX_DOCUMENT_BYTES, conflict, to_bytes};
use super::{Services, Stopped};
use crate::failpoint::effect;
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::machine::{Cancelled, Checkpoint, Event};
use crate::manifest::{Fate, FateDocument, fate_key};
use crate::ports::{ArchiveStore, PutOnce};

/// Decides for the deletion, immediately before the DELETE. `Some`: it is decided for the reactivation.
pub(super) async fn decide_deletion(
    services: &Services,
    checkpoint: &Checkpoint,
) -> Result<Option<Event>, Stopped> {
    let now = services.clock.now();
    if !checkpoint.before_image && !services.guards.leaves_time(&checkpoint.request, now) {
        return Ok(None);
    }
    let wanted = FateDocument {
        schema_version: 1,
        user_id: checkpoint.user_id,
        revision: checkpoint.evidence_revision,
        fate: Fate::Delete,
        who: format!("worker {}", services.actor.worker),
        why: None,
        at: now,
    };
    let decided = decide(&*services.archive_store, wanted).await?;
    match decided.fate {
        Fate::Delete => Ok(None),
        Fate::Reactivate => stopped(services, checkpoint, decided).map(Some),
    }
}

fn stopped(
    services: &Services,
    checkpoint: &Checkpoint,
    decided: FateDocument,
) -> Result<Event, Stopped> {
    let cancelled = Cancelled {
        at: decided.at,
        who: decided.who,
        why: decided.why,
        batch_id: None,
        message_due: None,
        reactivation: None,
    };
    if cancelled.covers(&checkpoint.request, services.clock.now()) {
        return Ok(Event::Cancelled(cancelled));
    }
    // A crash left the reactivation half done, and the user was asked for again.
    let store = &services.archive_store;
    let key = store.full_key(&fate_key(checkpoint.user_id, checkpoint.evidence_revision));
    let what = "the user is to be reactivated, and was asked for again before that was done; finish it with \
                `offboarder reactivate`, then submit the user again";
    Err(conflict(&key, what).into())
}

/// Stores the decision, unless there is one; the decision that counts.
pub(crate) async fn decide(
    store: &dyn ArchiveStore,
    wanted: FateDocument,
) -> Result<FateDocument, Failure> {
    let key = fate_key(wanted.user_id, wanted.revision);
    let body = store
        .integrity()
        .sign(Purpose::Fate, key.as_str(), to_bytes(&wanted)?);
    let put = effect("the fate", store.put_once(&key, Bytes::from(body), None)).await?;
    match put {
        PutOnce::Stored(_) => Ok(wanted),
        PutOnce::AlreadyThere => read_fate(store, wanted.user_id, wanted.revision)
            .await?
            .ok_or_else(|| conflict(&store.full_key(&key), "it was there, and is gone")),
    }
}

pub(crate) async fn read_fate(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
) -> Result<Option<FateDocument>, Failure> {
    let key = fate_key(user_id, revision);
    let full_key = store.full_key(&key);
    let Some(stored) = store.read(&key, MAX_DOCUMENT_BYTES).await? else {
        return Ok(None);
    };
    let document: FateDocument = store
        .integrity()
        .open(Purpose::Fate, key.as_str(), &stored)
        .map_err(|untrusted| conflict(&full_key, &untrusted.to_string()))?;
    Some(document)
        .filter(|document| document.user_id == user_id && document.revision == revision)
        .map(Some)
        .ok_or_else(|| conflict(&full_key, "the decision about another user is stored there"))
}

/// When it was decided that the user of this revision is reactivated.
pub(super) async fn reactivated_at(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
) -> Result<Option<Timestamp>, Failure> {
    let fate = read_fate(store, user_id, revision).await?;
    let fate = fate.filter(|fate| fate.fate == Fate::Reactivate);
    Ok(fate.map(|fate| fate.at))
}
