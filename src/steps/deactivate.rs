use jiff::Timestamp;

use super::converge::{MAX_CONFLICTS, Patience};
use super::{Services, Stopped, keep};
use crate::adapters::cxone::Write;
use crate::failure::{Class, Code, Failure};
use crate::machine::{AccessRemoved, Call, Checkpoint, Event, QueuesCleared, State};

/// Sets SCIM `active` to false and reads it back. A user that vanished meanwhile has no access
/// either: `scim_active` is `None` then, and the conversations are archived all the same.
pub(super) async fn deactivate(
    services: &Services,
    checkpoint: &Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let queues = queues_of(&checkpoint.state);
    let done = |scim_active| {
        let access = AccessRemoved { queues: queues.clone(), scim_active, at: Timestamp::now() };
        Ok(Event::UserDeactivated(access))
    };
    for _ in 0..MAX_CONFLICTS {
        let Some(user) = keep(calls, services.cxone.scim_user(user_id).await?) else { return done(None) };
        if !user.active() {
            return done(Some(false));
        }
        match keep(calls, services.cxone.deactivate(&user).await?) {
            Write::Done => {
                let mut patience = Patience::new();
                loop {
                    let answered = services.cxone.scim_user(user_id).await?;
                    match answered.value {
                        None => return calls_and(calls, answered.call, done(None)),
                        Some(user) if !user.active() => {
                            return calls_and(calls, answered.call, done(Some(false)));
                        }
                        Some(_) if patience.wait().await => {}
                        Some(_) => return Err(still_active().into()),
                    }
                }
            }
            Write::Gone => return done(None),
            Write::Conflict => {}
        }
    }
    Err(Failure::new(
        Class::Transient,
        Code::CxoneVersionConflict,
        format!("the SCIM user changed under each of {MAX_CONFLICTS} tries to deactivate it"),
    )
    .into())
}

fn calls_and<T>(calls: &mut Vec<Call>, call: Call, result: T) -> T {
    calls.push(call);
    result
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
