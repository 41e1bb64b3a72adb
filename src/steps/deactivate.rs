use jiff::Timestamp;

use super::converge::{Conflicts, ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::adapters::cxone::{ScimUser, Write};
use crate::failure::{Class, Code, Failure};
use crate::machine::{AccessRemoved, Call, Checkpoint, Converging, Event, QueuesCleared, State};

/// Said of the read after an accepted write in which `active` is missing.
const NOT_SHOWN: &str = "active is not shown any more";

/// Sets SCIM `active` to false and reads it back. `scim_active` is `None` where that was not shown: the account is gone,
/// by SCIM and by the IAM API, or the server shows `active` only while it is true. The calls say which. The
/// conversations are archived all the same.
pub(super) async fn deactivate(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let (user_id, cxone) = (checkpoint.user_id, &services.cxone);
    may_touch(services, user_id).await?;
    let queues = queues_of(&checkpoint.state);
    let done = |scim_active| {
        Event::UserDeactivated(AccessRemoved {
            queues: queues.clone(),
            scim_active,
            at: Timestamp::now(),
        })
    };
    let mut written = checkpoint
        .step
        .converging
        .as_ref()
        .map(|converging| converging.since);
    let mut conflicts = Conflicts::default();
    while written.is_none() {
        let account = cxone.account(user_id).await?;
        calls.extend(account.calls);
        let Some(user) = account.user else {
            return Ok(done(None));
        };
        if user.active() == Some(false) {
            return Ok(done(Some(false)));
        }
        let if_match = conflicts.if_match(user.version());
        match keep(calls, cxone.deactivate(&user, if_match).await?) {
            Write::Done => written = Some(Timestamp::now()),
            Write::Gone => conflicts.vanished("SCIM user")?,
            Write::Conflict => conflicts.met(user.version(), "SCIM user")?,
        }
    }
    let since = written.unwrap_or_else(Timestamp::now);
    let mut patience = ConvergencePoll::new();
    loop {
        let account = cxone.account(user_id).await?;
        let active = account.user.as_ref().map(ScimUser::active);
        if active != Some(Some(true)) {
            calls.extend(account.calls);
            if active == Some(None)
                && let Some(read) = calls.last_mut()
            {
                read.note = Some(NOT_SHOWN.to_owned());
            }
            return Ok(done(active.flatten()));
        }
        if patience.wait().await {
            continue;
        }
        return if let Some(later) = later(since) {
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
        | State::DeactivatedOnly { .. } => QueuesCleared {
            confirmed: false,
            residual: Vec::new(),
        },
    }
}
