//! Whether the order that a message claims names its user.

use super::GivenUp;
use crate::failure::Class;
use crate::job::Job;
use crate::machine::Checkpoint;
use crate::steps::{Interrupt, Services};

/// Why the message is given up, if it claims an order that does not name its user. Nothing is saved: such a message says
/// nothing of the user.
pub(super) async fn false_claim(
    services: &Services,
    checkpoint: &Checkpoint,
    job: &Job,
) -> Result<Option<GivenUp>, Interrupt> {
    let Some(order) = &job.request.order else {
        return Ok(None);
    };
    let store = &*services.archive_store;
    let Err(failure) = services.orders.check(store, order, job.user_id).await else {
        return Ok(None);
    };
    let Class::Permanent(reason) = failure.class else {
        return Err(Interrupt::Systemic(failure));
    };

    tracing::warn!(user_id = %job.user_id, %failure, "the message is given up");
    let state = checkpoint.state.name();
    Ok(Some(GivenUp::new(
        reason,
        &failure,
        state,
        checkpoint.attempts,
    )))
}
