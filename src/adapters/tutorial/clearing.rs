//! Takes the user out of routing: which writes, in which order.

use super::client::Client;
use super::types::{Queue, QueueId, RoutingProfile};
use crate::adapters::http::{Conflicts, Write};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Call, Residual};
use crate::ports::{Answered, RoutingWrites, UNKNOWN_ROUTING, keep};

const PROFILE: &str = "routing profile of the user";
/// Queues that are read at the same time. Their writes follow one by one.
const READS_AT_ONCE: usize = 4;

/// What the API says of a user's queues.
enum Profile {
    Read(RoutingProfile),
    /// The user does not exist any more, and neither does the profile.
    UserGone,
    /// The user exists and has no profile: the user's queues cannot be found out.
    Missing,
}

impl Client {
    /// Removes the user as owner and supervisor of the queues in its routing profile, and then empties the profile: in this
    /// order, because the profile is the only list of those queues, and a crash in between must not lose it.
    pub(super) async fn clear_profile(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        let mut released: Vec<QueueId> = Vec::new();
        let mut conflicts = Conflicts::default();
        let mut wrote = false;

        loop {
            let profile = match self.profile_of(user_id, calls).await? {
                Profile::Read(profile) => profile,
                Profile::UserGone if !wrote => return Ok(RoutingWrites::NotFound),
                Profile::UserGone => return Ok(RoutingWrites::UserGone),
                Profile::Missing => return Ok(RoutingWrites::Unknown(no_profile(user_id))),
            };
            if profile.queues.is_empty() {
                return Ok(shown(&released));
            }

            for some in profile.queues.chunks(READS_AT_ONCE) {
                let reads = some.iter().map(|id| self.read_queue(id, user_id));
                let reads = futures_util::future::try_join_all(reads).await?;
                for (queue_id, read) in some.iter().zip(reads) {
                    if self.release(user_id, queue_id, read, calls).await?
                        && !released.contains(queue_id)
                    {
                        released.push(queue_id.clone());
                    }
                }
            }

            let version = profile.version.as_deref();
            let if_match = conflicts.if_match(version);
            wrote = true;
            let written = self.write_profile_without_queues(user_id, &profile, if_match);
            match keep(calls, written.await?) {
                Write::Done => return Ok(accepted(&released)),
                Write::Shown => return Ok(shown(&released)),
                Write::Gone => conflicts.vanished(PROFILE)?,
                Write::Conflict => conflicts.met(version, PROFILE)?,
            }
        }
    }

    /// Removes the user as owner and supervisor of one queue, as it was read; `true` when that took a write.
    async fn release(
        &self,
        user_id: UserId,
        queue_id: &QueueId,
        read: Answered<Option<Queue>>,
        calls: &mut Vec<Call>,
    ) -> Result<bool, Failure> {
        let mut conflicts = Conflicts::default();
        let mut read = read;

        loop {
            let Some(queue) = keep(calls, read) else {
                return Ok(false);
            };
            if !queue.names_user {
                return Ok(false);
            }

            let version = queue.version.as_deref();
            let if_match = conflicts.if_match(version);
            let written = self.write_queue_without_user(&queue, user_id, if_match);
            match keep(calls, written.await?) {
                Write::Done | Write::Shown => return Ok(true),
                Write::Gone => conflicts.vanished("queue")?,
                Write::Conflict => conflicts.met(version, "queue")?,
            }
            read = self.read_queue(queue_id, user_id).await?;
        }
    }

    async fn profile_of(&self, user_id: UserId, calls: &mut Vec<Call>) -> Result<Profile, Failure> {
        if let Some(profile) = keep(calls, self.read_profile(user_id).await?) {
            return Ok(Profile::Read(profile));
        }

        let exists = keep(calls, self.find_in_iam(user_id).await?);
        Ok(if exists {
            Profile::Missing
        } else {
            Profile::UserGone
        })
    }

    /// What still names the user: the profile's queues, and those that it owned or supervised.
    pub(super) async fn still_routing(
        &self,
        user_id: UserId,
        released: &[String],
        proof: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        let mut residual = match self.profile_of(user_id, proof).await? {
            Profile::Read(profile) => profile
                .queues
                .iter()
                .map(|queue_id| still_there("queue_member", queue_id))
                .collect(),
            Profile::UserGone => Vec::new(),
            Profile::Missing => vec![no_profile(user_id)],
        };

        // Checkpoints hold IDs as text, and may be forged.
        for queue_id in released.iter().filter_map(|queue| queue.parse().ok()) {
            let queue = keep(proof, self.read_queue(&queue_id, user_id).await?);
            if queue.is_some_and(|queue| queue.names_user) {
                residual.push(still_there("queue_owner_or_supervisor", &queue_id));
            }
        }
        Ok(residual)
    }
}

/// The profile was shown without queues. What the user owned or supervised has to be read back.
fn shown(released: &[QueueId]) -> RoutingWrites {
    if released.is_empty() {
        RoutingWrites::Shown
    } else {
        accepted(released)
    }
}

fn accepted(released: &[QueueId]) -> RoutingWrites {
    RoutingWrites::Accepted {
        released: released.iter().map(ToString::to_string).collect(),
    }
}

fn still_there(kind: &str, queue_id: &QueueId) -> Residual {
    Residual {
        kind: kind.to_owned(),
        reference: queue_id.to_string(),
        note: Some("still there when it was read back; it may derive from a group".to_owned()),
    }
}

fn no_profile(user_id: UserId) -> Residual {
    Residual {
        kind: UNKNOWN_ROUTING.to_owned(),
        reference: user_id.to_string(),
        note: Some(
            "it answers 404 though the user exists, so that no queue of the user is known"
                .to_owned(),
        ),
    }
}
