//! Begins operations, and gives orders to those that are open.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::record::{FrozenSet, Manner, Operation, OperationEnd};
use crate::clock::Clock;
use crate::failure::{Class, Code, Failure};
use crate::ports::ArchiveStore;
use crate::ports::operations::{OperationId, OperationKind, Operations, StopRequest};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{read_end, read_operation, read_stop, store_operation, store_stop};

/// Where operations are.
#[derive(Clone)]
pub(crate) struct Place {
    pub store: Arc<dyn ArchiveStore>,
    pub operations: Arc<dyn Operations>,
    pub clock: Clock,
}

/// What is asked for.
pub(crate) struct Order {
    pub kind: OperationKind,
    /// Which dead letters or users, in the words of the request.
    pub of: Value,
    pub manner: Manner,
    pub set: FrozenSet,
}

/// A process that continues an operation holds its set, and Redis what became of each item.
pub(crate) const MAX_ITEMS: usize = 20_000;

impl Order {
    /// Why it cannot be begun, if it is too large.
    pub(crate) fn too_large(&self) -> Option<String> {
        let items = self.set.to_do();
        let remedy = match self.kind {
            OperationKind::Replay | OperationKind::Discard => {
                "choose fewer with --limit (`limit`), several times"
            }
            OperationKind::Verify => "name fewer users, several times",
        };
        (items > MAX_ITEMS).then(|| {
            format!("{items} items are too many for one operation, which works on {MAX_ITEMS} at most; {remedy}")
        })
    }
}

/// Why an order to an operation was not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    #[error("there is no operation {0}; `offboarder operations list` shows all")]
    NoSuchOperation(OperationId),
    #[error("operation {id} has ended: {state}")]
    Ended {
        id: OperationId,
        state: &'static str,
    },
    #[error("{0}")]
    Failed(Failure),
}

impl From<Failure> for StopError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The words of the audit log for the beginning and the end.
pub(super) const fn words(kind: OperationKind) -> [&'static str; 2] {
    match kind {
        OperationKind::Replay => ["dead-letters replay", "dead-letters replay ended"],
        OperationKind::Discard => ["dead-letters discard", "dead-letters discard ended"],
        OperationKind::Verify => ["verify", "verify ended"],
    }
}

impl Place {
    /// Freezes the set. The audit log has the entry first, then the operation is listed as open, and then it is stored: a
    /// process that dies in between leaves an entry, or a listed operation without a set, which is dropped later.
    pub(crate) async fn begin(
        &self,
        order: Order,
        operator: &Operator,
    ) -> Result<Operation, Failure> {
        if let Some(text) = order.too_large() {
            return Err(Failure::new(Class::Defect, Code::ArchiveRejected, text));
        }
        let Order {
            kind,
            of,
            manner,
            mut set,
        } = order;
        let mut seen = HashSet::new();
        set.dead_letters.retain(|one| seen.insert(one.id.clone()));
        let id = OperationId::new();

        let details = match kind {
            OperationKind::Replay => json!({
                "of": of, "operation": id, "canary": manner.canary_ms.is_some(), "anyway": manner.anyway,
            }),
            OperationKind::Discard | OperationKind::Verify => json!({ "of": of, "operation": id }),
        };
        let change = Change {
            what: words(kind)[0],
            count: set.to_do(),
            details,
        };
        let audit_log = AuditLog::new(Arc::clone(&self.store), self.clock.clone());
        let recorded = audit_log.record(operator, change).await?;

        let operation = Operation {
            id,
            kind,
            at: self.clock.now(),
            who: operator.who.clone(),
            why: operator.why.clone(),
            act: recorded.id(),
            manner,
            of,
            set,
        };
        self.operations.open(id, kind, &operation.head()).await?;
        store_operation(&*self.store, id, &operation).await?;
        Ok(operation)
    }

    /// Asks for a stop. What is in flight is done to its end; the rest of the set is unchanged. The archive store has the
    /// order first: a Redis that lost it would let a stopped operation continue.
    pub(crate) async fn stop(
        &self,
        id: OperationId,
        operator: &Operator,
    ) -> Result<OperationKind, StopError> {
        let kind = self.demand_open(id).await?;
        let order = StopRequest {
            who: operator.who.clone(),
            why: operator.why.clone(),
            at: self.clock.now(),
        };
        let details = json!({ "operation": id });
        self.record(operator, "operations stop", details).await?;
        store_stop(&*self.store, id, &order).await?;
        let first = read_stop(&*self.store, id).await?.unwrap_or(order);
        self.operations.stop(id, &first).await?;
        Ok(kind)
    }

    /// Changes the rate.
    pub(crate) async fn set_pace(
        &self,
        id: OperationId,
        pace: Duration,
        operator: &Operator,
    ) -> Result<OperationKind, StopError> {
        let kind = self.demand_open(id).await?;
        let ms = u64::try_from(pace.as_millis()).unwrap_or(u64::MAX);
        let details = json!({ "operation": id, "paceMs": ms });
        self.record(operator, "operations rate", details).await?;
        self.operations.set_pace(id, pace).await?;
        Ok(kind)
    }

    async fn record(
        &self,
        operator: &Operator,
        what: &'static str,
        details: Value,
    ) -> Result<(), Failure> {
        let change = Change {
            what,
            count: 1,
            details,
        };
        let audit_log = AuditLog::new(Arc::clone(&self.store), self.clock.clone());
        audit_log.record(operator, change).await.map(|_recorded| ())
    }

    async fn demand_open(&self, id: OperationId) -> Result<OperationKind, StopError> {
        let end = read_end::<OperationEnd>(&*self.store, id).await?;
        if let Some(end) = end {
            let state = end.state.as_str();
            return Err(StopError::Ended { id, state });
        }
        let listed = self.operations.list_open().await?.open;
        if let Some((_, kind)) = listed.into_iter().find(|(open, _)| *open == id) {
            return Ok(kind);
        }
        let stored = read_operation::<Operation>(&*self.store, id).await?;
        let operation = stored.ok_or(StopError::NoSuchOperation(id))?;
        let head = operation.head();
        self.operations.open(id, operation.kind, &head).await?;
        Ok(operation.kind)
    }
}
