//! Takes the user out of everything that routes work to it. Proof is a read after the writes.

use jiff::Timestamp;

use super::converge::{Conflicts, ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::job::UserId;
use crate::machine::{Call, Checkpoint, Converging, Event, QueuesCleared, Residual};
use crate::ports::{QueueId, RoutingProfile, Write};

const PROFILE: &str = "routing profile of the user";

/// Checks that the user exists, removes it as owner and supervisor of the queues in its routing profile, and then
/// empties the profile: in this order, because the profile is the only list of those queues, and a crash in between
/// must not lose it.
pub(super) async fn clear_queues(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    if !keep(calls, services.tenant.find_user(user_id).await?) {
        return Ok(Event::UserNotFound);
    }
    may_touch(services, user_id).await?;

    if let Some(converging) = checkpoint.step.converging.clone() {
        let released = converging
            .queues
            .into_iter()
            .filter_map(|queue| queue.parse().ok())
            .collect();
        return read_back(services, checkpoint, released, converging.since, calls).await;
    }

    match write(services, user_id, calls).await? {
        Written::Released(released) => {
            let since = services.clock.now();
            read_back(services, checkpoint, released, since, calls).await
        }
        Written::UserGone => Ok(cleared(Vec::new())),
        Written::NoProfile => Ok(cleared(vec![no_profile(user_id)])),
    }
}

enum Written {
    /// The profile is empty; these queues named the user before.
    Released(Vec<QueueId>),
    UserGone,
    NoProfile,
}

async fn write(
    services: &Services,
    user_id: UserId,
    calls: &mut Vec<Call>,
) -> Result<Written, Stopped> {
    let mut released: Vec<QueueId> = Vec::new();
    let mut conflicts = Conflicts::default();

    loop {
        let profile = match profile_of(services, user_id, calls).await? {
            Profile::Read(profile) => profile,
            Profile::UserGone => return Ok(Written::UserGone),
            Profile::Missing => return Ok(Written::NoProfile),
        };
        if profile.queues.is_empty() {
            return Ok(Written::Released(released));
        }

        for queue_id in &profile.queues {
            if release(services, user_id, queue_id, calls).await? && !released.contains(queue_id) {
                released.push(queue_id.clone());
            }
        }

        let version = profile.version.as_deref();
        let if_match = conflicts.if_match(version);
        let written = services
            .tenant
            .clear_routing_profile(user_id, &profile, if_match);
        match keep(calls, written.await?) {
            Write::Done => return Ok(Written::Released(released)),
            Write::Gone => conflicts.vanished(PROFILE)?,
            Write::Conflict => conflicts.met(version, PROFILE)?,
        }
    }
}

/// Removes the user as owner and supervisor of one queue; `true` when that took a write.
async fn release(
    services: &Services,
    user_id: UserId,
    queue_id: &QueueId,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    let mut conflicts = Conflicts::default();

    loop {
        let Some(queue) = keep(calls, services.tenant.queue(queue_id, user_id).await?) else {
            return Ok(false);
        };
        if !queue.names_user {
            return Ok(false);
        }

        let version = queue.version.as_deref();
        let if_match = conflicts.if_match(version);
        let written = services.tenant.release_queue(&queue, user_id, if_match);
        match keep(calls, written.await?) {
            Write::Done => return Ok(true),
            Write::Gone => conflicts.vanished("queue")?,
            Write::Conflict => conflicts.met(version, "queue")?,
        }
    }
}

/// What the API says of a user's queues.
enum Profile {
    Read(RoutingProfile),
    /// The user does not exist any more, and neither does the profile.
    UserGone,
    /// The user exists and has no profile: the user's queues cannot be found out.
    Missing,
}

async fn profile_of(
    services: &Services,
    user_id: UserId,
    calls: &mut Vec<Call>,
) -> Result<Profile, Stopped> {
    if let Some(profile) = keep(calls, services.tenant.routing_profile(user_id).await?) {
        return Ok(Profile::Read(profile));
    }

    let exists = keep(calls, services.tenant.find_user(user_id).await?);
    Ok(if exists {
        Profile::Missing
    } else {
        Profile::UserGone
    })
}

/// Reads until no queue names the user any more. What remains past the deadline (it may derive from groups) is listed
/// for a person, and later stops the deletion.
async fn read_back(
    services: &Services,
    checkpoint: &mut Checkpoint,
    released: Vec<QueueId>,
    since: Timestamp,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let mut poll = ConvergencePoll::new();

    loop {
        let mut proof = Vec::new();
        let residual = left_over(services, user_id, &released, &mut proof).await?;
        if residual.is_empty() {
            calls.extend(proof);
            return Ok(cleared(residual));
        }

        if poll.wait().await {
            continue;
        }
        if let Some(later) = later(since, services.clock.now()) {
            let queues = released.iter().map(ToString::to_string).collect();
            checkpoint.step.converging = Some(Converging { since, queues });
            return Ok(later);
        }
        calls.extend(proof);
        return Ok(cleared(residual));
    }
}

async fn left_over(
    services: &Services,
    user_id: UserId,
    released: &[QueueId],
    proof: &mut Vec<Call>,
) -> Result<Vec<Residual>, Stopped> {
    let mut residual = match profile_of(services, user_id, proof).await? {
        Profile::Read(profile) => profile
            .queues
            .iter()
            .map(|queue_id| still_there("queue_member", queue_id))
            .collect(),
        Profile::UserGone => Vec::new(),
        Profile::Missing => vec![no_profile(user_id)],
    };

    for queue_id in released {
        let queue = keep(proof, services.tenant.queue(queue_id, user_id).await?);
        if queue.is_some_and(|queue| queue.names_user) {
            residual.push(still_there("queue_owner_or_supervisor", queue_id));
        }
    }
    Ok(residual)
}

fn cleared(residual: Vec<Residual>) -> Event {
    Event::QueuesCleared(QueuesCleared {
        confirmed: residual.is_empty(),
        residual,
    })
}

fn still_there(kind: &str, queue_id: &QueueId) -> Residual {
    Residual {
        kind: kind.to_owned(),
        reference: queue_id.to_string(),
        note: Some("still there when it was read back; it may derive from a group".to_owned()),
    }
}

/// Access is removed all the same. The residual stops the deletion until a person has looked into it.
fn no_profile(user_id: UserId) -> Residual {
    Residual {
        kind: "routing_profile".to_owned(),
        reference: user_id.to_string(),
        note: Some(
            "it answers 404 though the user exists, so that no queue of the user is known"
                .to_owned(),
        ),
    }
}
