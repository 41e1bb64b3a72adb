use super::converge::Patience;
use super::{Services, Stopped};
use crate::adapters::cxone::RoutingProfile;
use crate::job::UserId;
use crate::machine::{AccessRemoved, Call};

/// Reads account and routing again. `false`: the user has more access than was recorded, and still does after a
/// moment, since reads may lag. What is written in Redis or in the store deletes nobody by itself.
pub(super) async fn access_is_gone(
    services: &Services,
    user_id: UserId,
    access: &AccessRemoved,
    calls: &mut Vec<Call>,
) -> Result<bool, Stopped> {
    let mut patience = Patience::new();
    loop {
        let (user, profile) = futures_util::try_join!(
            services.cxone.scim_user(user_id),
            services.cxone.routing_profile(user_id)
        )?;
        let active = user.value.is_some_and(|user| user.active());
        let known = |queue: &str| access.queues.residual.iter().any(|left| left.reference == queue);
        let queues = profile.value.iter().flat_map(RoutingProfile::queues);
        let only_known = queues.into_iter().all(|queue| known(&queue.to_string()));
        if !active && only_known {
            calls.extend([user.call, profile.call]);
            return Ok(true);
        }
        if !patience.wait().await {
            tracing::warn!(%user_id, active, "the user has more access than was recorded; it is removed again");
            return Ok(false);
        }
    }
}
