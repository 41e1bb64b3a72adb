//! Takes the user out of everything that routes work to it. Proof is a read after the writes, or the answer of the last
//! write where that is the new state.

use jiff::Timestamp;

use super::before_image::keep_before_image;
use super::converge::{ConvergencePoll, later};
use super::guard::may_touch;
use super::{Services, Stopped, keep};
use crate::machine::{Call, Checkpoint, Converging, Event, QueuesCleared, Residual};
use crate::ports::RoutingWrites;

/// Checks that the user exists, takes it out of routing, and reads back that it is.
pub(super) async fn clear_queues(
    services: &Services,
    checkpoint: &mut Checkpoint,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let converging = checkpoint.step.converging.clone();
    if (converging.is_some() || !services.tenant.clearing_shows_missing())
        && !keep(calls, services.tenant.find_user(user_id).await?)
    {
        return Ok(Event::UserNotFound);
    }
    may_touch(services, user_id).await?;

    if let Some(Converging { since, queues }) = converging {
        return read_back(services, checkpoint, queues, since, calls).await;
    }

    keep_before_image(services, checkpoint).await?;
    match services.tenant.clear_routing(user_id, calls).await? {
        RoutingWrites::Accepted { released } => {
            let since = services.clock.now();
            read_back(services, checkpoint, released, since, calls).await
        }
        RoutingWrites::Shown => {
            let agent = services.tenant.agent_of(user_id, calls).await?;
            Ok(cleared(Vec::new(), agent))
        }
        RoutingWrites::NotFound => Ok(Event::UserNotFound),
        RoutingWrites::UserGone => Ok(cleared(Vec::new(), None)),
        // Access is removed all the same. The residual stops the deletion until a person has looked into it.
        RoutingWrites::Unknown(residual) => Ok(cleared(vec![residual], None)),
    }
}

/// Reads until no queue names the user any more. What remains past the deadline (it may derive from groups) is listed
/// for a person, and later stops the deletion.
async fn read_back(
    services: &Services,
    checkpoint: &mut Checkpoint,
    released: Vec<String>,
    since: Timestamp,
    calls: &mut Vec<Call>,
) -> Result<Event, Stopped> {
    let user_id = checkpoint.user_id;
    let mut poll = ConvergencePoll::new();

    loop {
        let mut proof = Vec::new();
        let residual = services
            .tenant
            .left_over(user_id, &released, &mut proof)
            .await?;
        if residual.is_empty() {
            calls.extend(proof);
            let agent = services.tenant.agent_of(user_id, calls).await?;
            return Ok(cleared(residual, agent));
        }

        if poll.wait().await {
            continue;
        }
        if let Some(later) = later(since, services.clock.now()) {
            checkpoint.step.converging = Some(Converging {
                since,
                queues: released,
            });
            return Ok(later);
        }
        calls.extend(proof);
        let agent = services.tenant.agent_of(user_id, calls).await?;
        return Ok(cleared(residual, agent));
    }
}

fn cleared(residual: Vec<Residual>, agent: Option<u64>) -> Event {
    Event::QueuesCleared(QueuesCleared {
        confirmed: residual.is_empty(),
        residual,
        agent,
    })
}
