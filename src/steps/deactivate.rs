//! Ends the user's access: the account is set inactive, and read back.

use jiff::Timestamp;

use super::converge::{Conflicts, ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::machine::{AccessRemoved, Call, Checkpoint, Converging, Event, QueuesCleared, State};
use crate::ports::Write;

/// The note of a read after an accepted write that does not show `active`.
const NOT_SHOWN: &str = "active is not shown any more";

/// `scim_active` is `None` in two cases: no part of the API knows the account any more, or the server shows `active` only
/// while it is true. The calls show which. The conversations are archived in both.
pub(super) async fn deactivate(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    may_touch(services, user_id).await?;

    let queues = queues_of(&checkpoint.state);
    let done = |scim_active| {
        Event::UserDeactivated(AccessRemoved {
            queues: queues.clone(),
            scim_active,
            at: services.clock.now(),
        })
    };
    let since = match &checkpoint.step.converging {
        Some(converging) => converging.since,
        None => match write(services, user_id, calls).await? {
            Written::Now(since) => since,
            Written::NotNeeded { scim_active } => return Ok(done(scim_active)),
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
            return Ok(done(active.flatten()));
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

/// Reads whether the account is active.
pub(crate) async fn is_active(services: &Services, user_id: UserId) -> Result<bool, Stopped> {
    let account = services.tenant.account(user_id).await?.account;
    Ok(account.is_some_and(|account| account.active == Some(true)))
}

enum Written {
    Now(Timestamp),
    /// The account is inactive already, or does not exist.
    NotNeeded {
        scim_active: Option<bool>,
    },
}

async fn write(
    services: &Services,
    user_id: UserId,
    calls: &mut Vec<Call>,
) -> Result<Written, Stopped> {
    const WHAT: &str = "SCIM user";

    let mut conflicts = Conflicts::default();
    loop {
        let read = services.tenant.account(user_id).await?;
        calls.extend(read.calls);
        let Some(account) = read.account else {
            return Ok(Written::NotNeeded { scim_active: None });
        };
        if account.active == Some(false) {
            let scim_active = account.active;
            return Ok(Written::NotNeeded { scim_active });
        }

        let version = account.version.as_deref();
        let if_match = conflicts.if_match(version);
        match keep(calls, services.tenant.deactivate(&account, if_match).await?) {
            Write::Done => return Ok(Written::Now(services.clock.now())),
            Write::Gone => conflicts.vanished(WHAT)?,
            Write::Conflict => conflicts.met(version, WHAT)?,
        }
    }
}

fn still_active() -> Failure {
    Failure::new(
        Class::Transient,
        Code::CxoneNotConverged,
        "the SCIM user was set inactive, and still reads as active",
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
        },
    }
}
