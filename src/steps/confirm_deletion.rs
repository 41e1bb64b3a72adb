//! Waits until reads show a deletion that the API accepted and had not finished.

use jiff::SignedDuration;

use super::converge::ConvergencePoll;
use super::delete::gone;
use super::read_again::{Doubt, confirm_record};
use super::{CheckpointSession, Services, Stopped};
use crate::failure::{Class, Code, Failure};
use crate::machine::{Call, Event, Pause, Sealing, State};

/// The pauses between runs that check whether an accepted deletion shows: as long as it has taken so far, within these
/// bounds. The job waits in the broker.
const CHECK_AGAIN_AFTER: [SignedDuration; 2] =
    [SignedDuration::from_secs(3), SignedDuration::from_secs(60)];
/// After this, an accepted deletion that does not show is a failure.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_hours(2);

/// Reads until the user is gone. A read that times out never counts as "gone".
pub(super) async fn confirm_deletion(
    services: &Services,
    journal: &mut CheckpointSession,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let checkpoint = journal.checkpoint();
    let State::Archived {
        sealing: Sealing::Accepted { deletion, .. },
        ..
    } = &checkpoint.state
    else {
        let state = checkpoint.state.name();
        let text = format!("no deletion was accepted in the state {state}");
        return Err(Failure::new(Class::Defect, Code::IllegalTransition, text).into());
    };

    let mut poll = ConvergencePoll::new();
    loop {
        let shown = services.tenant.shows_deletion(checkpoint.user_id).await?;
        if shown.value {
            let confirmed_at = shown.call.at;
            calls.push(shown.call);
            return Ok(gone(deletion.clone(), confirmed_at));
        }
        if !poll.wait().await {
            break;
        }
    }

    let deletion = deletion.clone();
    if !confirm_record(services, journal, Doubt::Checkpoint, calls).await? {
        return Ok(Event::AccessReturned);
    }

    let now = services.clock.now();
    let accepted_at = deletion.at.unwrap_or(now);
    let taken = now.duration_since(accepted_at);
    if taken > CONFIRM_WITHIN {
        let text = format!("the deletion was accepted at {accepted_at}, and no read shows it");
        return Err(Failure::new(Class::Transient, Code::CxoneNotConverged, text).into());
    }
    let [shortest, longest] = CHECK_AGAIN_AFTER;
    Ok(Event::StepPostponed {
        until: now + taken.clamp(shortest, longest),
        why: Pause::DeletionPending,
    })
}
