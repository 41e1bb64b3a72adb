//! Keeps the lease of a user while a run lasts.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::{Checkpoints, Lease};

/// Renews the lease until the handle is dropped, and cancels `lost` when the lease is lost: another
/// worker has it, or no renewal succeeded for as long as the lease lasts.
pub(super) fn keep_renewing(
    checkpoints: Arc<dyn Checkpoints>,
    lease: Lease,
    lost: CancellationToken,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let ttl = checkpoints.lease_ttl();
        let mut ticks = tokio::time::interval(ttl / 3);
        let mut renewed = Instant::now();
        ticks.tick().await;

        loop {
            ticks.tick().await;
            match checkpoints.renew(&lease).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => break,
                Err(failure) => {
                    tracing::warn!(user_id = %lease.user_id, %failure, "the lease was not renewed");
                    if renewed.elapsed() >= ttl {
                        break;
                    }
                }
            }
        }

        tracing::warn!(user_id = %lease.user_id,
            "the lease is lost; this worker does nothing more to the user");
        lost.cancel();
    }))
}
