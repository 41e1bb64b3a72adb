use jiff::Timestamp;

use super::converge::{MAX_CONFLICTS, Patience, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::adapters::cxone::{QueueId, RoutingProfile, Write};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::machine::{Call, Checkpoint, Converging, Event, QueuesCleared, Residual};

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
    if !keep(calls, cxone.user_exists(user_id).await?) {
        return Ok(Event::UserMissed);
    }
    may_touch(services, user_id).await?;
    if let Some(converging) = checkpoint.step.converging.clone() {
        let released = converging.queues.into_iter().filter_map(|queue| queue.parse().ok()).collect();
        return read_back(services, checkpoint, released, converging.since, calls).await;
    }
    let mut released: Vec<QueueId> = Vec::new();
    let mut tries = 0;
    loop {
        let Some(profile) = keep(calls, cxone.routing_profile(user_id).await?) else {
            return Ok(cleared(Vec::new()));
        };
        if profile.queues().is_empty() {
            break;
        }
        for queue_id in profile.queues() {
            if release(services, user_id, queue_id, calls).await? && !released.contains(queue_id) {
                released.push(queue_id.clone());
            }
        }
        match keep(calls, cxone.clear_routing_profile(user_id, &profile).await?) {
            Write::Done => break,
            Write::Gone => return Ok(cleared(Vec::new())),
            Write::Conflict => {
                tries += 1;
                if tries == MAX_CONFLICTS {
                    return Err(changing("routing profile of the user").into());
                }
            }
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
    for _ in 0..MAX_CONFLICTS {
        let Some(queue) = keep(calls, services.cxone.queue(queue_id).await?) else { return Ok(false) };
        if !queue.names(user_id) {
            return Ok(false);
        }
        match keep(calls, services.cxone.release_queue(&queue, user_id).await?) {
            Write::Done => return Ok(true),
            Write::Gone => return Ok(false),
            Write::Conflict => {}
        }
    }
    Err(changing("queue").into())
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
    let mut patience = Patience::new();
    loop {
        let mut proof = Vec::new();
        let mut residual = Vec::new();
        let profile = keep(&mut proof, services.cxone.routing_profile(user_id).await?);
        for queue_id in profile.iter().flat_map(RoutingProfile::queues) {
            residual.push(left_over("queue_member", queue_id));
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
    Event::QueuesCleared(QueuesCleared { confirmed: residual.is_empty(), residual })
}

fn left_over(kind: &str, queue_id: &QueueId) -> Residual {
    Residual {
        kind: kind.to_owned(),
        reference: queue_id.to_string(),
        note: Some("still there when it was read back; it may derive from a group".to_owned()),
    }
}

fn changing(what: &str) -> Failure {
    Failure::new(
        Class::Transient,
        Code::CxoneVersionConflict,
        format!("the {what} changed under each of {MAX_CONFLICTS} tries to write it"),
    )
}
