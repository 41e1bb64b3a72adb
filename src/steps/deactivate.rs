//! Ends the user's access: the account is set inactive and read back, unless the answer of the write shows it, and its
//! sessions and keys are ended.

use super::approval::note_return;
use super::converge::{ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped};
use crate::failure::{Class, Code, Failure};
use crate::job::{Job, UserId};
use crate::machine::{AccessRemoved, Call, Checkpoint, Converging, Event, QueuesCleared, State};
use crate::ports::Deactivation;

/// The note of a read after an accepted write that does not show `active`.
const NOT_SHOWN: &str = "active is not shown any more";

/// `scim_active` is `None` in two cases: no part of the API knows the account any more, or the server shows `active` only
/// while it is true. The calls show which. The conversations are archived in both.
pub(super) async fn deactivate(
    services: &Services,
    checkpoint: &mut Checkpoint,
    job: &Job,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    may_touch(services, user_id).await?;
    let had_no_access = checkpoint.archived_before && checkpoint.step.converging.is_none();
    if had_no_access && is_active(services, user_id).await? {
        note_return(services, job).await?;
    }

    let queues = queues_of(&checkpoint.state);
    let since = match &checkpoint.step.converging {
        Some(converging) => converging.since,
        None => match services.tenant.deactivate(user_id, calls).await? {
            Deactivation::Written => services.clock.now(),
            Deactivation::Shown => {
                return done(services, queues, Some(false), user_id, calls).await;
            }
            Deactivation::NotNeeded { active } => {
                return done(services, queues, active, user_id, calls).await;
            }
        },
    };

    let mut poll = ConvergencePoll::new();
    loop {
        let read = services.tenant.account(user_id).await?;
        let active = read.account.as_ref().map(|account| account.active);
        if active != Some(Some(true)) {
            calls.extend(read.calls);
            if active == Some(None)
                && let Some(read) = calls.last_mut()
            {
                read.note = Some(NOT_SHOWN.to_owned());
            }
            return done(services, queues, active.flatten(), user_id, calls).await;
        }

        if poll.wait().await {
            continue;
        }
        return if let Some(later) = later(since, services.clock.now()) {
            checkpoint.step.converging = Some(Converging {
                since,
                queues: Vec::new(),
            });
            Ok(later)
        } else {
            // The next attempt writes again.
            checkpoint.step.converging = None;
            Err(still_active().into())
        };
    }
}

/// The account is inactive, as was read. What it still has is ended in each run that gets here, also if another client was
/// faster with the account.
async fn done(
    services: &Services,
    queues: QueuesCleared,
    scim_active: Option<bool>,
    user_id: UserId,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let at = services.clock.now();
    services
        .tenant
        .end_access(user_id, queues.agent, calls)
        .await?;

    let ends_sessions = services.tenant.profile().preset().ends_sessions;
    Ok(Event::UserDeactivated(AccessRemoved {
        queues,
        scim_active,
        at,
        sessions_ended_at: ends_sessions.then(|| services.clock.now()),
    }))
}

/// Reads whether the account is active.
pub(crate) async fn is_active(services: &Services, user_id: UserId) -> Result<bool, Stopped> {
    let account = services.tenant.account(user_id).await?.account;
    Ok(account.is_some_and(|account| account.active == Some(true)))
}

fn still_active() -> Failure {
    Failure::new(
        Class::Transient,
        Code::CxoneNotConverged,
        "the account was set inactive, and still reads as active",
    )
}

/// The machine asks for this step only in `QueuesCleared`; in other states nothing is known about queues.
fn queues_of(state: &State) -> QueuesCleared {
    match state {
        State::QueuesCleared { queues } => queues.clone(),
        State::Received
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => QueuesCleared {
            confirmed: false,
            residual: Vec::new(),
            agent: None,
        },
    }
}
