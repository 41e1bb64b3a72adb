//! Takes open operations up, again and again: the part of a worker.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::execute::{Executed, Executor, OnFailure, may_pass};
use super::record::Brief;
use crate::failpoint::time_scaled;
use crate::failure::Failure;
use crate::ports::operations::{
    OperationId, OperationKind, OperationLine, OperationOutcome, OperationState,
};
use crate::registers::{read_operation, stored_operations};

/// How often open operations are listed: one cheap read.
const LOOKED_EVERY: Duration = Duration::from_secs(2);
/// How soon an operation is tried again that a fault interrupted.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Longer than the store takes from the listing of an operation to its set.
const WITHOUT_SET: SignedDuration = SignedDuration::from_mins(10);

/// How often the archive store is asked for open operations that the list of the progress lost.
const COMPARED_EVERY: Duration = Duration::from_mins(3);

/// What a worker knows of a line.
#[derive(Default)]
struct Seen {
    /// Those that cannot be done.
    left_out: HashSet<OperationId>,
    compared: Option<Instant>,
}

/// Works on the operations of this line, one at a time and the oldest first, until `draining`.
pub(crate) async fn work(executor: Executor, line: OperationLine, draining: CancellationToken) {
    let mut seen = Seen::default();
    while !draining.is_cancelled() {
        let pause = match executor.round(line, &draining, &mut seen).await {
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
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let mut listed = self.place.operations.list_open().await?;
        let is_due = seen
            .compared
            .is_none_or(|at| at.elapsed() >= time_scaled(COMPARED_EVERY));
        if !listed.is_complete || is_due {
            let missing = self.find_missing(&listed.open).await?;
            listed.open.extend(missing);
            listed.open.sort_unstable();
            seen.compared = Some(Instant::now());
        }
        let of_line = listed.open.iter().filter(|(_, kind)| kind.line() == line);
        for (id, kind) in of_line {
            if seen.left_out.contains(id) {
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
                    seen.left_out.insert(*id);
                }
                // Its work is done, and it must not block those behind it, either. The next process tries it again.
                Ok(Executed::Unrecorded(_, failure)) if !may_pass(&failure) => {
                    tracing::error!(operation = %id, %failure, "the end of an operation cannot be stored");
                    seen.left_out.insert(*id);
                }
                Ok(Executed::Unrecorded(_, failure)) | Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Those that are open according to the archive store, and not listed: the list is lost, or its last seconds are.
    async fn find_missing(
        &self,
        listed: &[(OperationId, OperationKind)],
    ) -> Result<Vec<(OperationId, OperationKind)>, Failure> {
        let store = &*self.place.store;
        let stored = stored_operations(store).await?;
        let listed: HashSet<OperationId> = listed.iter().map(|(id, _)| *id).collect();
        let mut missing = Vec::new();
        for id in stored.all.difference(&stored.ended) {
            if listed.contains(id) {
                continue;
            }
            match read_operation::<Brief>(store, *id).await {
                Ok(Some(operation)) => missing.push((*id, operation.kind)),
                Ok(None) => {}
                Err(failure) if !may_pass(&failure) => {
                    tracing::error!(operation = %id, %failure, "an operation is left out");
                }
                Err(failure) => return Err(failure),
            }
        }
        self.place.operations.restore(&missing).await?;
        Ok(missing)
    }

    /// The process that was to store the set died.
    async fn drop_without_set(&self, id: OperationId, kind: OperationKind) -> Result<(), Failure> {
        let age = self.place.clock.now().duration_since(id.at());
        if age < WITHOUT_SET {
            return Ok(());
        }
        let outcome = OperationOutcome {
            state: OperationState::Failed,
            at: self.place.clock.now(),
            error: Some("its set was never stored".to_owned()),
            stop: None,
            counts: BTreeMap::new(),
        };
        self.place.operations.end(id, kind, &outcome).await
    }
}
