use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use crate::failure::Failure;
use crate::ports::users::UserIndex;

const EVERY: Duration = Duration::from_mins(1);

/// Rebuilds the index of the users who still have access whenever the store lost it, as long as the handle lives. The work
/// does not wait for it: a reader who is faster rebuilds it, too.
pub(crate) fn keep_access_index(users: Arc<dyn UserIndex>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut due = tokio::time::interval(EVERY);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            match rebuild_if_lost(&*users).await {
                Ok(true) => tracing::info!("the index of users who still have access was rebuilt"),
                Ok(false) => {}
                Err(failure) => {
                    tracing::debug!(%failure, "the index of users who still have access cannot be kept");
                }
            }
        }
    }))
}

async fn rebuild_if_lost(users: &dyn UserIndex) -> Result<bool, Failure> {
    if users.with_access(None, 0).await?.complete_since.is_some() {
        return Ok(false);
    }
    users.rebuild().await.map(|()| true)
}
