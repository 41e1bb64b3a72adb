use jiff::Timestamp;

use super::converge::{Conflicts, ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::adapters::cxone::{QueueId, RoutingProfile, Write};
use crate::job::UserId;
use crate::machine::{Call, Checkpoint, Converging, Event, QueuesCleared, Residual};

const PROFILE: &str = "routing profile of the user";

/// Checks that the user exists, takes it out of owner and supervisors of the queues in its routing
/// profile, and then empties the profile: in this order, because the profile is the only list of
/// those queues, and a crash between must not lose it.
pub(super) async fn clear_queues(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let cxone = &services.cxone;
    if !keep(calls, cxone.find_user(user_id).await?) {
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
    let mut released: Vec<QueueId> = Vec::new();
    let mut conflicts = Conflicts::default();
    loop {
        let profile = match profile_of(services, user_id, calls).await? {
            Profile::Read(profile) => profile,
            Profile::UserGone => return Ok(cleared(Vec::new())),
            Profile::Missing => return Ok(cleared(vec![no_profile(user_id)])),
        };
        if profile.queues().is_empty() {
            break;
        }
        for queue_id in profile.queues() {
            if release(services, user_id, queue_id, calls).await? && !released.contains(queue_id) {
                released.push(queue_id.clone());
            }
        }
        let if_match = conflicts.if_match(profile.version());
        match keep(
            calls,
            cxone
                .clear_routing_profile(user_id, &profile, if_match)
                .await?,
        ) {
            Write::Done => break,
            Write::Gone => conflicts.vanished(PROFILE)?,
            Write::Conflict => conflicts.met(profile.version(), PROFILE)?,
        }
    }
    read_back(services, checkpoint, released, Timestamp::now(), calls).await
}

/// Takes the user out of owner and supervisors of one queue; `true` when that took a write.
async fn release(
    services: &Services,
    user_id: UserId,
    queue_id: &QueueId,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    let mut conflicts = Conflicts::default();
    loop {
        let Some(queue) = keep(calls, services.cxone.queue(queue_id).await?) else {
            return Ok(false);
        };
        if !queue.names(user_id) {
            return Ok(false);
        }
        let if_match = conflicts.if_match(queue.version());
        match keep(
            calls,
            services
                .cxone
                .release_queue(&queue, user_id, if_match)
                .await?,
        ) {
            Write::Done => return Ok(true),
            Write::Gone => conflicts.vanished("queue")?,
            Write::Conflict => conflicts.met(queue.version(), "queue")?,
        }
    }
}

/// What the API says of a user's queues.
enum Profile {
    Read(RoutingProfile),
    /// The user is gone, and the profile with it.
    UserGone,
    /// There is none, though the user is there: nobody can say which queues the user is in.
    Missing,
}

async fn profile_of(
    services: &Services,
    user_id: UserId,
    calls: &mut Vec<Call>,
) -> Result<Profile, Stopped> {
    if let Some(profile) = keep(calls, services.cxone.routing_profile(user_id).await?) {
        return Ok(Profile::Read(profile));
    }
    let exists = keep(calls, services.cxone.find_user(user_id).await?);
    Ok(if exists {
        Profile::Missing
    } else {
        Profile::UserGone
    })
}

/// Reads until nothing names the user any more. What stays past the deadline (it may derive from
/// groups) is listed for a person, and later stops the deletion.
async fn read_back(
    services: &Services,
    checkpoint: &mut Checkpoint,
    released: Vec<QueueId>,
    since: Timestamp,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let mut patience = ConvergencePoll::new();
    loop {
        let mut proof = Vec::new();
        let mut residual = Vec::new();
        match profile_of(services, user_id, &mut proof).await? {
            Profile::Read(profile) => {
                residual.extend(
                    profile
                        .queues()
                        .iter()
                        .map(|queue_id| left_over("queue_member", queue_id)),
                );
            }
            Profile::UserGone => {}
            Profile::Missing => residual.push(no_profile(user_id)),
        }
        for queue_id in &released {
            let queue = keep(&mut proof, services.cxone.queue(queue_id).await?);
            if queue.is_some_and(|queue| queue.names(user_id)) {
                residual.push(left_over("queue_owner_or_supervisor", queue_id));
            }
        }
        if residual.is_empty() {
            calls.extend(proof);
            return Ok(cleared(residual));
        }
        if patience.wait().await {
            continue;
        }
        if let Some(later) = later(since) {
            let queues = released.iter().map(ToString::to_string).collect();
            checkpoint.step.converging = Some(Converging { since, queues });
            return Ok(later);
        }
        calls.extend(proof);
        return Ok(cleared(residual));
    }
}

fn cleared(residual: Vec<Residual>) -> Event {
    Event::QueuesCleared(QueuesCleared {
        confirmed: residual.is_empty(),
        residual,
    })
}

fn left_over(kind: &str, queue_id: &QueueId) -> Residual {
    Residual {
        kind: kind.to_owned(),
        reference: queue_id.to_string(),
        note: Some("still there when it was read back; it may derive from a group".to_owned()),
    }
}

/// It stops the deletion: access goes first, and a person looks.
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
