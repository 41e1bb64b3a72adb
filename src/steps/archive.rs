//! Archives the user's conversations: continues what a crash interrupted, adopts what is stored already, or begins.

use std::time::Duration;

use jiff::Timestamp;

use super::archive_quiet::quiet;
use super::archive_store::{abort_strays, adopt};
use super::archive_stream::{Streamed, stream};
use super::{CheckpointSession, Services, Stopped};
use crate::archive::{ReservedMemory, begin_of, is_before, may_continue, memory_to_begin};
use crate::failure::{Class, Code, Failure};
use crate::machine::{ArchiveInProgress, Checkpoint, Event, Pause, State};
use crate::manifest::archive_key;
use crate::ports::ObjectKey;

/// How often an archive that waits for memory checks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Streams the user's conversations into one object: a page is fetched while the one before it is hashed and uploaded.
/// A crash loses what came after the last confirmed part.
///
/// An archive that is stored already is adopted, if its interval is what is asked for and the API has no conversation
/// since: a run that lost its checkpoint stored it, and the conversations of a user who is gone are gone too. That one is
/// stored, the refused write says (`If-None-Match`); it is looked for only before an upload, and when a page cannot be had.
pub(super) async fn archive(
    services: &Services,
    journal: &mut CheckpointSession,
) -> Result<Event, Stopped> {
    let key = archive_key(journal.user_id(), journal.checkpoint().evidence_revision);
    let access_at = access_at(journal.checkpoint())?;
    if let Some(settled_at) = settling(services, journal.checkpoint(), access_at) {
        return Ok(Event::StepPostponed {
            until: settled_at,
            why: Pause::Settling,
        });
    }
    if !is_believable(services, journal.checkpoint(), access_at).await? {
        discard(services, journal, &key).await?;
    }

    let known = journal.checkpoint().step.archive.clone();
    let mut progress = known.unwrap_or_else(|| begin(services, access_at));
    if progress.upload.is_none() {
        // Nothing is stored yet that was asked for in other windows.
        progress.window_days = services.window_days;
    }

    // The dates are kept from the first page on, so that every later attempt asks for the same.
    journal.checkpoint_mut().step.archive = Some(progress.clone());
    let result = within_memory(services, journal, access_at, &key, progress).await;
    let Err(Stopped::Failed(failure)) = &result else {
        return result;
    };
    if is_nothing_uploaded(journal.checkpoint())
        && let Some(found) = services.archive_store.find(&key, None).await?
    {
        return adopt(services, journal.checkpoint(), access_at, &key, found).await;
    }
    if matches!(
        failure.code,
        Code::CxoneCursorLost | Code::ArchiveUploadLost
    ) {
        begin_again(services, journal, &key).await?;
    }
    result
}

fn is_nothing_uploaded(checkpoint: &Checkpoint) -> bool {
    let progress = checkpoint.step.archive.as_ref();
    progress.is_none_or(|progress| progress.upload.is_none())
}

/// Streams the archive once there is memory for it; again, from its checkpoint, when it turns out to need more.
async fn within_memory(
    services: &Services,
    journal: &mut CheckpointSession,
    access_at: Timestamp,
    key: &ObjectKey,
    mut progress: ArchiveInProgress,
) -> Result<Event, Stopped> {
    let mut bytes = memory_to_begin(progress.upload.as_ref());
    loop {
        let memory = reserve(services, journal, bytes).await?;
        let streaming = stream(services, journal, access_at, key, &progress, memory);
        match Box::pin(streaming).await? {
            Streamed::Stored(event) => return Ok(*event),
            Streamed::Outgrown(needed) => bytes = needed,
        }
        if let Some(saved) = &journal.checkpoint().step.archive {
            progress = saved.clone();
        }
    }
}

/// Waits for memory, as long as the run is wanted.
async fn reserve(
    services: &Services,
    journal: &CheckpointSession,
    bytes: usize,
) -> Result<ReservedMemory, Stopped> {
    // The place in the queue is kept.
    let mut reserving = std::pin::pin!(services.memory.reserve(bytes));
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut reserving).await {
            Ok(Some(reserved)) => return Ok(reserved),
            Ok(None) => {
                let text = "the memory of archives is closed";
                return Err(Failure::new(Class::Defect, Code::Internal, text).into());
            }
            Err(_no_room_yet) => journal.still_wanted().map_err(Stopped::Interrupted)?,
        }
    }
}

/// When the archive may begin, if that is still to come: the API shows a conversation some time after its end.
fn settling(
    services: &Services,
    checkpoint: &Checkpoint,
    access_at: Timestamp,
) -> Option<Timestamp> {
    if services.settle.is_zero() {
        // Another worker's clock may have put `access_at` ahead of ours.
        return None;
    }
    let settled_at = access_at.checked_add(services.settle).ok()?;
    let is_early = checkpoint.step.archive.is_none() && services.clock.now() < settled_at;
    is_early.then_some(settled_at)
}

/// The archive reaches up to now, and to `access_at`, which another worker's clock may put a little later.
pub(crate) fn begin(services: &Services, access_at: Timestamp) -> ArchiveInProgress {
    let now = services.clock.now();
    let gone = if is_before(now, access_at) {
        now
    } else {
        access_at
    };

    // Milliseconds: some APIs read no more digits.
    let milliseconds = gone
        .as_millisecond()
        .saturating_add(1)
        .max(now.as_millisecond());
    let date_to = Timestamp::from_millisecond(milliseconds).unwrap_or(now);
    ArchiveInProgress {
        date_from: begin_of(date_to, services.history),
        date_to,
        window_days: services.window_days,
        upload: None,
    }
}

/// When the user's access was seen to be gone. The machine asks for this step only in `Deactivated`.
fn access_at(checkpoint: &Checkpoint) -> Result<Timestamp, Failure> {
    match &checkpoint.state {
        State::Deactivated { access } => Ok(access.at),
        State::Received
        | State::QueuesCleared { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => {
            let state = checkpoint.state.name();
            let text = format!("an archive was asked for in the state {state}");
            Err(Failure::new(Class::Defect, Code::IllegalTransition, text))
        }
    }
}

/// Whether the progress in the checkpoint is that of the archive which is asked for now. A checkpoint is only a hint:
/// its dates and the time when access was gone may all be forged. So an archive that ended a while ago counts only if
/// the API has no conversation since.
async fn is_believable(
    services: &Services,
    checkpoint: &Checkpoint,
    access_at: Timestamp,
) -> Result<bool, Stopped> {
    let Some(progress) = &checkpoint.step.archive else {
        return Ok(true);
    };

    let now = services.clock.now();
    let continues = may_continue(
        progress,
        access_at,
        services.history,
        services.window_days,
        now,
    );
    if !continues {
        return Ok(false);
    }

    let is_recent = !is_before(progress.date_to, now);
    Ok(is_recent || quiet(services, checkpoint, progress.date_to, now).await?)
}

/// Drops the progress in the checkpoint: it is not that of the archive which is asked for.
async fn discard(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
) -> Result<(), Stopped> {
    let Some(progress) = journal.checkpoint_mut().step.archive.take() else {
        return Ok(());
    };

    tracing::warn!(
        from = %progress.date_from, to = %progress.date_to,
        "the archive under way in the checkpoint is not what the settings ask for; it begins again"
    );
    if progress.upload.is_some() {
        // The upload's ID in the checkpoint may be forged, too.
        abort_strays(services, key).await?;
    }
    Ok(())
}

/// Gives up an upload that cannot be continued; the next attempt begins again with the same dates.
async fn begin_again(
    services: &Services,
    journal: &mut CheckpointSession,
    key: &ObjectKey,
) -> Result<(), Stopped> {
    let Some(mut progress) = journal.checkpoint().step.archive.clone() else {
        return Ok(());
    };

    if let Some(upload) = progress.upload.take() {
        services.archive_store.abort(key, &upload.id).await?;
        let now = services.clock.now();
        journal
            .save_archive(progress, now)
            .await
            .map_err(Stopped::Interrupted)?;
    }
    Ok(())
}
