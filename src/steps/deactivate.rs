use jiff::Timestamp;

use super::converge::{MAX_CONFLICTS, Patience, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::adapters::cxone::Write;
use crate::failure::{Class, Code, Failure};
use crate::machine::{AccessRemoved, Call, Checkpoint, Converging, Event, QueuesCleared, State};

/// Sets SCIM `active` to false and reads it back. A user that vanished meanwhile has no access
/// either: `scim_active` is `None` then, and the conversations are archived all the same.
pub(super) async fn deactivate(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let (user_id, cxone) = (checkpoint.user_id, &services.cxone);
    may_touch(services, user_id).await?;
    let queues = queues_of(&checkpoint.state);
    let done = |scim_active| {
        Event::UserDeactivated(AccessRemoved { queues: queues.clone(), scim_active, at: Timestamp::now() })
    };
    let mut written = checkpoint.step.converging.as_ref().map(|converging| converging.since);
    let mut tries = 0;
    while written.is_none() {
        let Some(user) = keep(calls, cxone.scim_user(user_id).await?) else { return Ok(done(None)) };
        if !user.active() {
            return Ok(done(Some(false)));
        }
        match keep(calls, cxone.deactivate(&user).await?) {
            Write::Done => written = Some(Timestamp::now()),
            Write::Gone => return Ok(done(None)),
            Write::Conflict => {
                tries += 1;
                if tries == MAX_CONFLICTS {
                    return Err(changing().into());
                }
            }
        }
    }
    let since = written.unwrap_or_else(Timestamp::now);
    let mut patience = Patience::new();
    loop {
        let answered = cxone.scim_user(user_id).await?;
        let active = answered.value.map(|user| user.active());
        if active != Some(true) {
            calls.push(answered.call);
            return Ok(done(active));
        }
        if patience.wait().await {
            continue;
        }
        return if let Some(later) = later(since) {
            checkpoint.step.converging = Some(Converging { since, queues: Vec::new() });
            Ok(later)
        } else {
            // The next attempt writes again.
            checkpoint.step.converging = None;
            Err(still_active().into())
        };
    }
}

fn changing() -> Failure {
    Failure::new(
        Class::Transient,
        Code::CxoneVersionConflict,
        format!("the SCIM user changed under each of {MAX_CONFLICTS} tries to deactivate it"),
    )
}

fn still_active() -> Failure {
    Failure::new(
        Class::Transient,
        Code::CxoneNotConverged,
        "the SCIM user was set inactive, and still reads as active",
    )
}

/// The machine asks for this step in `QueuesCleared` alone; elsewhere nothing is known of queues.
fn queues_of(state: &State) -> QueuesCleared {
    match state {
        State::QueuesCleared { queues } => queues.clone(),
        State::Received
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::Deleted { .. }
        | State::DeactivatedOnly { .. } => QueuesCleared { confirmed: false, residual: Vec::new() },
    }
}
