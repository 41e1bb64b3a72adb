//! Does an operation, from wherever it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::begin::{Place, words};
use super::record::{
    FrozenSet, Operation, OperationEnd, OperationReport, VerifyReport, became, why,
};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::operations::dead_letters::{Discard, Replaying, Skipped};
use crate::operations::tracker::{Granted, Interruption, Item, Tracker};
use crate::operations::verify::{Checked, Checker, KnownManifests, Pacing, Verdict};
use crate::ports::operations::{
    Became, OperationClaim, OperationId, OperationKind, OperationLease, OperationState, Orders,
    StopOrder,
};
use crate::ports::queue::Broker;
use crate::ports::{Checkpoints, PutOnce};
use crate::registers::audit_log::{AuditLog, Change};
use crate::registers::{read_end, read_operation, store_end};

/// What does operations.
#[derive(Clone)]
pub(crate) struct Executor {
    pub place: Place,
    /// `None` if only operations can be done that need no broker.
    pub broker: Option<Arc<dyn Broker>>,
    pub checkpoints: Arc<dyn Checkpoints>,
    /// This process, for people.
    pub by: String,
}

/// What to do with an operation that a fault interrupts, which may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Leave it open: it is tried again.
    Leave,
    /// End it: nobody tries it again.
    End,
}

/// What became of an operation.
pub(crate) enum Executed {
    Ended(Box<OperationEnd>),
    /// The work is done, and its end could not be stored.
    Unrecorded(Box<OperationEnd>, Failure),
    /// Another process works on an operation of the same line.
    Held,
    /// Another process continues.
    Interrupted,
    /// Nothing is stored under this ID (yet).
    Missing,
}

/// How the work on the set ended.
struct Worked {
    report: OperationReport,
    ended: Result<Option<Interruption>, Failure>,
}

impl Executor {
    /// Takes the operation up, and works on it to its end, unless this process has to end or loses it.
    pub(crate) async fn execute(
        &self,
        id: OperationId,
        kind: OperationKind,
        draining: &CancellationToken,
        on_failure: OnFailure,
    ) -> Result<Executed, Failure> {
        let lease = OperationLease::new(id, kind.line(), &self.by);
        let orders = match self.place.operations.claim(&lease, kind).await? {
            OperationClaim::Held { .. } => return Ok(Executed::Held),
            OperationClaim::Granted(orders) => orders,
        };
        let executed = self.under_lease(&lease, orders, draining, on_failure).await;
        let ended = matches!(executed, Ok(Executed::Ended(_)));
        if !ended {
            let trouble = executed.as_ref().err().map(ToString::to_string);
            let operations = &self.place.operations;
            if let Err(failure) = operations.release(&lease, trouble.as_deref()).await {
                tracing::debug!(%failure, "the lease of an operation is left to run out");
            }
        }
        executed
    }

    async fn under_lease(
        &self,
        lease: &OperationLease,
        orders: Orders,
        draining: &CancellationToken,
        on_failure: OnFailure,
    ) -> Result<Executed, Failure> {
        let store = &*self.place.store;
        let Some(operation) = read_operation::<Operation>(store, lease.id).await? else {
            return Ok(Executed::Missing);
        };
        if let Some(end) = read_end::<OperationEnd>(store, lease.id).await? {
            self.finish(&operation, &end).await?;
            return Ok(Executed::Ended(Box::new(end)));
        }
        let granted = Granted {
            lease: lease.clone(),
            orders,
            items: u64::try_from(operation.set.to_do()).unwrap_or(u64::MAX),
            pace: Duration::from_millis(operation.manner.pace_ms),
        };
        let operations = &self.place.operations;
        operations
            .open(operation.id, operation.kind, &operation.head())
            .await?;
        let clock = &self.place.clock;
        let tracker = Tracker::begin(operations, operation.kind, granted, clock, draining);
        let tracker = tracker.await?;

        let worked = tokio::select! {
            worked = self.work(&operation, &tracker) => worked?,
            () = tracker.keep() => return Ok(Executed::Interrupted),
        };
        self.end(&operation, worked, on_failure).await
    }

    async fn work(&self, operation: &Operation, tracker: &Tracker) -> Result<Worked, Failure> {
        let set = &operation.set;
        match operation.kind {
            OperationKind::Replay => {
                let replaying = Replaying {
                    broker: self.broker()?,
                    checkpoints: &*self.checkpoints,
                    begun_at: operation.at,
                    canary: operation.manner.canary(),
                };
                let skipped: Vec<Skipped> = set.skipped.clone();
                let replayed = replaying.run(&set.dead_letters, skipped, tracker).await;
                Ok(Worked {
                    report: OperationReport::Replay(replayed.0),
                    ended: replayed.1,
                })
            }
            OperationKind::Discard => {
                let store = Arc::clone(&self.place.store);
                let audit_log = AuditLog::new(Arc::clone(&store), self.place.clock.clone());
                let recorded = audit_log.recorded(operation.act).await?;
                let discard = Discard {
                    broker: self.broker()?,
                    store: &store,
                    clock: &self.place.clock,
                };
                let discarded = discard.run(&set.dead_letters, &recorded, tracker).await;
                Ok(Worked {
                    report: OperationReport::Discard(discarded.0),
                    ended: discarded.1,
                })
            }
            OperationKind::Verify => self.verify(set, tracker).await,
        }
    }

    fn broker(&self) -> Result<&dyn Broker, Failure> {
        self.broker.as_deref().ok_or_else(|| {
            let text = "this command has no broker, which the operation needs";
            Failure::new(Class::Systemic, Code::QueueUnreachable, text)
        })
    }

    async fn verify(&self, set: &FrozenSet, tracker: &Tracker) -> Result<Worked, Failure> {
        let known = KnownManifests::Live(Arc::clone(&self.checkpoints));
        let checker = Arc::new(Checker::of(Arc::clone(&self.place.store), known));
        let mut verdicts = Vec::new();
        let mut open = Vec::new();
        for (number, user_id) in (0..).zip(&set.users) {
            let known = tracker.result(number);
            match known.and_then(|result| serde_json::from_value(result.detail).ok()) {
                Some(verdict) => verdicts.push(verdict),
                None => open.push(*user_id),
            }
        }
        let paced = Paced {
            numbers: (0..).zip(&set.users).map(|(n, user)| (*user, n)).collect(),
            tracker,
        };
        let found = if open.is_empty() {
            Checked::default()
        } else {
            let wanted = checker.wanted(Some(open)).await?;
            checker.check_all(wanted, &paced).await
        };
        verdicts.extend(found.verdicts);
        verdicts.sort_by_key(|verdict: &Verdict| verdict.user_id);
        Ok(Worked {
            report: OperationReport::Verify(VerifyReport { verdicts }),
            ended: found.stopped_by.map_or(Ok(found.interruption), Err),
        })
    }

    async fn end(
        &self,
        operation: &Operation,
        worked: Worked,
        on_failure: OnFailure,
    ) -> Result<Executed, Failure> {
        let mut stop: Option<StopOrder> = None;
        let mut error = None;
        let state = match worked.ended {
            Ok(None) => OperationState::Done,
            Ok(Some(Interruption::Stopped(order))) => {
                stop = Some(order);
                OperationState::Stopped
            }
            Ok(Some(Interruption::Draining | Interruption::LeaseLost)) => {
                return Ok(Executed::Interrupted);
            }
            Err(failure) if on_failure == OnFailure::Leave && may_pass(&failure) => {
                return Err(failure);
            }
            Err(failure) => {
                error = Some(failure);
                OperationState::Failed
            }
        };
        let end = OperationEnd {
            id: operation.id,
            at: self.place.clock.now(),
            state,
            by: self.by.clone(),
            act: Uuid::now_v7(),
            error,
            stop,
            report: worked.report,
        };
        match self.store_end(operation, &end).await {
            Ok(None) => Ok(Executed::Ended(Box::new(end))),
            Ok(Some(stored)) => Ok(Executed::Ended(Box::new(stored))),
            Err(failure) => Ok(Executed::Unrecorded(Box::new(end), failure)),
        }
    }

    /// The end that counts, if it is another one.
    async fn store_end(
        &self,
        operation: &Operation,
        end: &OperationEnd,
    ) -> Result<Option<OperationEnd>, Failure> {
        let store = &*self.place.store;
        let stored = match store_end(store, operation.id, end).await? {
            PutOnce::Stored(_) => None,
            // Another process was faster, or the answer to our first try was lost.
            PutOnce::AlreadyThere => read_end(store, operation.id).await?,
        };
        self.finish(operation, stored.as_ref().unwrap_or(end))
            .await?;
        Ok(stored)
    }

    /// Writes the entry of the audit log, and closes the operation. A second time changes nothing.
    async fn finish(&self, operation: &Operation, end: &OperationEnd) -> Result<(), Failure> {
        let facts = end.report.for_the_audit_log();
        let mut details = json!({
            "act": operation.act, "operation": operation.id, "error": end.error.as_ref().map(ToString::to_string),
            "stoppedBy": end.stop.as_ref().map(|stop| &stop.who),
        });
        if let (Value::Object(details), Value::Object(more)) = (&mut details, facts.1) {
            details.extend(more);
        }
        let change = Change {
            what: words(operation.kind)[1],
            count: facts.0,
            details,
        };
        let place = &self.place;
        let audit_log = AuditLog::new(Arc::clone(&place.store), place.clock.clone());
        let operator = operation.operator();
        audit_log
            .record_as(end.act, end.at, &operator, change)
            .await?;
        place
            .operations
            .end(operation.id, operation.kind, end.state)
            .await
    }
}

pub(super) const fn may_pass(failure: &Failure) -> bool {
    !matches!(failure.class, Class::Defect | Class::Permanent(_))
}

/// Paces the checks of a verify, and notes their results.
struct Paced<'a> {
    numbers: BTreeMap<UserId, u64>,
    tracker: &'a Tracker,
}

#[async_trait::async_trait]
impl Pacing for Paced<'_> {
    async fn turn(&self) -> Option<Interruption> {
        self.tracker.turn().await
    }

    async fn checked(&self, verdict: &Verdict) -> Result<(), Failure> {
        let Some(number) = self.numbers.get(&verdict.user_id) else {
            return Ok(());
        };
        let item = Item {
            number: *number,
            dead_letter: None,
            user_id: Some(verdict.user_id),
        };
        let became: Became = became(verdict);
        self.tracker
            .note(item, became, why(verdict), json!(verdict))
            .await
    }
}
