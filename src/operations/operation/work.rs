//! Takes open operations up, again and again: the part of a worker.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::execute::{Executed, Executor, OnFailure, may_pass};
use super::record::Operation;
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::ports::operations::{OperationId, OperationKind, OperationLine, OperationState};
use crate::registers::{read_operation, stored_operations};

/// How often open operations are listed: one cheap read.
const LOOKED_EVERY: Duration = Duration::from_secs(2);
/// How soon an operation is tried again that a fault interrupted.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Longer than the store takes from the listing of an operation to its set.
const WITHOUT_SET: SignedDuration = SignedDuration::from_mins(10);

/// Works on the operations of this line, one at a time and the oldest first, until `draining`.
pub(crate) async fn work(executor: Executor, line: OperationLine, draining: CancellationToken) {
    let mut left_out = HashSet::new();
    while !draining.is_cancelled() {
        let pause = match executor.round(line, &draining, &mut left_out).await {
            Ok(()) => time_scaled(LOOKED_EVERY),
            Err(failure) => {
                tracing::warn!(%failure, line = line.as_str(), "an operation does not get on; it is tried again");
                AGAIN_AFTER
            }
        };
        tokio::select! {
            () = draining.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Executor {
    /// Works on what is open now.
    async fn round(
        &self,
        line: OperationLine,
        draining: &CancellationToken,
        left_out: &mut HashSet<OperationId>,
    ) -> Result<(), Failure> {
        let mut listed = self.place.operations.list_open().await?;
        if !listed.is_complete {
            listed.open = self.rebuild().await?;
        }
        let of_line = listed.open.iter().filter(|(_, kind)| kind.line() == line);
        for (id, kind) in of_line {
            if left_out.contains(id) {
                continue;
            }
            let executed = self.execute(*id, *kind, draining, OnFailure::Leave).await;
            match executed {
                Ok(Executed::Ended(end)) => {
                    tracing::info!(operation = %id, kind = kind.as_str(), state = end.state.as_str(), "an operation ended");
                }
                Ok(Executed::Held | Executed::Interrupted) => return Ok(()),
                Ok(Executed::Missing) => self.drop_without_set(*id, *kind).await?,
                // It is forged, or of a later release: it must not block those behind it.
                Err(failure) if !may_pass(&failure) => {
                    tracing::error!(operation = %id, %failure, "an operation is left out");
                    left_out.insert(*id);
                }
                Ok(Executed::Unrecorded(_, failure)) | Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The list of open operations is lost: the archive store has all of them.
    async fn rebuild(&self) -> Result<Vec<(OperationId, OperationKind)>, Failure> {
        let store = &*self.place.store;
        let stored = stored_operations(store).await?;
        let mut open = Vec::new();
        for id in stored.all.difference(&stored.ended) {
            match read_operation::<Operation>(store, *id).await {
                Ok(Some(operation)) => open.push((*id, operation.kind)),
                Ok(None) => {}
                Err(failure) if !may_pass(&failure) => {
                    tracing::error!(operation = %id, %failure, "an operation is left out");
                }
                Err(failure) => return Err(failure),
            }
        }
        self.place.operations.restore(&open).await?;
        Ok(open)
    }

    /// The process that was to store the set died.
    async fn drop_without_set(&self, id: OperationId, kind: OperationKind) -> Result<(), Failure> {
        let age = self.place.clock.now().duration_since(id.at());
        if age < WITHOUT_SET {
            return Ok(());
        }
        let operations = &self.place.operations;
        operations.end(id, kind, OperationState::Failed).await
    }
}
