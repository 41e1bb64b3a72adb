//! Does an operation, from wherever it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::begin::{Place, words};
use super::paced::Paced;
use super::record::{Brief, FrozenSet, Operation, OperationEnd, OperationReport, VerifyReport};
use crate::failure::{Class, Code, Failure};
use crate::operations::dead_letters::{Discard, Replaying, Skipped};
use crate::operations::tracker::{Interruption, Tracker};
use crate::operations::verify::{Checked, Checker, KnownManifests, Verdict};
use crate::ports::operations::{
    Became, OperationClaim, OperationId, OperationKind, OperationLease, OperationState, StopRequest,
};
use crate::ports::queue::Broker;
use crate::ports::{Checkpoints, PutOnce};
use crate::registers::audit_log::{AuditLog, Change};
use crate::registers::{read_end, read_operation, read_stop, store_end};

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

/// After as many processes in a row that died on an operation, the next one ends it: it would die as well.
const DIED: u64 = 5;

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
        let tracker = Tracker::new(
            &self.place.operations,
            kind,
            (lease.clone(), orders),
            &self.place.clock,
            draining,
        );
        let executed = tokio::select! {
            executed = self.under_lease(&lease, &tracker, on_failure) => executed,
            never = tracker.keep() => match never {},
        };
        let executed = match executed {
            // Not while the lease is kept: it would be taken again.
            Ok(Executed::Ended(end)) => {
                let operations = &self.place.operations;
                let closed = operations.end(id, kind, &end.outcome()).await;
                closed.map(|()| Executed::Ended(end))
            }
            other => other,
        };
        if !matches!(executed, Ok(Executed::Ended(_))) {
            let trouble = match &executed {
                Ok(Executed::Unrecorded(_, failure)) | Err(failure) => Some(failure.to_string()),
                Ok(_) => None,
            };
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
        tracker: &Tracker,
        on_failure: OnFailure,
    ) -> Result<Executed, Failure> {
        let store = &*self.place.store;
        if let Some(end) = read_end::<OperationEnd>(store, lease.id).await? {
            let brief = read_operation::<Brief>(store, lease.id).await?;
            if let Some(brief) = brief {
                self.write_entry(&brief, &end).await?;
            }
            return Ok(Executed::Ended(Box::new(end)));
        }
        if let Some(stop) = read_stop(store, lease.id).await? {
            tracker.obey(stop).await?;
        }
        if let Some(ended) = self.without_set(lease.id, tracker).await? {
            return Ok(ended);
        }
        let Some(operation) = read_operation::<Operation>(store, lease.id).await? else {
            return Ok(Executed::Missing);
        };
        let items = u64::try_from(operation.set.to_do()).unwrap_or(u64::MAX);
        let pace = Duration::from_millis(operation.manner.pace_ms);
        tracker.load(operation.head(), items, pace).await?;

        let worked = self.work(&operation, tracker).await?;
        self.end(&operation, worked, tracker, on_failure).await
    }

    /// Ends an operation that processes died on, without the set that may be too large for them.
    async fn without_set(
        &self,
        id: OperationId,
        tracker: &Tracker,
    ) -> Result<Option<Executed>, Failure> {
        let progress = self.place.operations.progress(id).await?;
        // This process counts, too.
        let died = progress.map_or(0, |progress| progress.in_vain.saturating_sub(1));
        let stop = match tracker.interruption() {
            Some(Interruption::Stopped(order)) => Some(order),
            Some(Interruption::Draining | Interruption::LeaseLost) | None => None,
        };
        if died == 0 || (died <= DIED && stop.is_none()) {
            return Ok(None);
        }
        let Some(brief) = read_operation::<Brief>(&*self.place.store, id).await? else {
            return Ok(Some(Executed::Missing));
        };
        let fault = format!(
            "{died} processes in a row died while they worked on it, without a result; begin it again with fewer items (--limit)"
        );
        let stopped = stop
            .as_ref()
            .map(|order| format!("{} stopped the operation", order.who));
        let report =
            OperationReport::without_set(brief.kind, stopped.unwrap_or_else(|| fault.clone()));
        let state = if stop.is_some() {
            OperationState::Stopped
        } else {
            OperationState::Failed
        };
        let error = stop
            .is_none()
            .then(|| Failure::new(Class::Defect, Code::Internal, fault));
        let end = OperationEnd {
            id,
            at: self.place.clock.now(),
            state,
            by: self.by.clone(),
            act: Uuid::now_v7(),
            error,
            stop,
            counts: BTreeMap::new(),
            report,
        };
        self.record_end(&brief, end).await.map(Some)
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
        tracker: &Tracker,
        on_failure: OnFailure,
    ) -> Result<Executed, Failure> {
        let mut stop: Option<StopRequest> = None;
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
        let mut counts = tracker.counts();
        if let OperationReport::Replay(_) = &worked.report
            && state == OperationState::Stopped
        {
            let noted: u64 = counts.values().sum();
            let items = u64::try_from(operation.set.to_do()).unwrap_or(u64::MAX);
            *counts.entry(Became::Skipped).or_default() += items.saturating_sub(noted);
        }
        let end = OperationEnd {
            id: operation.id,
            at: self.place.clock.now(),
            state,
            by: self.by.clone(),
            act: Uuid::now_v7(),
            error,
            stop,
            counts,
            report: worked.report,
        };
        self.record_end(&operation.brief(), end).await
    }

    async fn record_end(&self, brief: &Brief, mut end: OperationEnd) -> Result<Executed, Failure> {
        let mut stored = self.store_end(brief, &end).await;
        if let Err(failure) = &stored
            && !may_pass(failure)
        {
            tracing::warn!(operation = %brief.id, %failure, "the end of an operation is stored without most of its items");
            end.shorten();
            stored = self.store_end(brief, &end).await;
        }
        match stored {
            Ok(None) => Ok(Executed::Ended(Box::new(end))),
            Ok(Some(stored)) => Ok(Executed::Ended(Box::new(stored))),
            Err(failure) => Ok(Executed::Unrecorded(Box::new(end), failure)),
        }
    }

    /// The end that counts, if it is another one.
    async fn store_end(
        &self,
        brief: &Brief,
        end: &OperationEnd,
    ) -> Result<Option<OperationEnd>, Failure> {
        let store = &*self.place.store;
        let stored = match store_end(store, brief.id, end).await? {
            PutOnce::Stored(_) => None,
            // Another process was faster, or the answer to our first try was lost.
            PutOnce::AlreadyThere => read_end(store, brief.id).await?,
        };
        self.write_entry(brief, stored.as_ref().unwrap_or(end))
            .await?;
        Ok(stored)
    }

    /// Writes the entry of the audit log. A second time changes nothing.
    async fn write_entry(&self, brief: &Brief, end: &OperationEnd) -> Result<(), Failure> {
        let facts = end.report.for_the_audit_log();
        let mut details = json!({
            "act": brief.act, "operation": brief.id, "error": end.error.as_ref().map(ToString::to_string),
            "stoppedBy": end.stop.as_ref().map(|stop| &stop.who),
        });
        if let (Value::Object(details), Value::Object(more)) = (&mut details, facts.1) {
            details.extend(more);
        }
        let change = Change {
            what: words(brief.kind)[1],
            count: facts.0,
            details,
        };
        let place = &self.place;
        let audit_log = AuditLog::new(Arc::clone(&place.store), place.clock.clone());
        let operator = brief.operator();
        audit_log
            .record_as(end.act, end.at, &operator, change)
            .await
            .map(|_recorded| ())
    }
}

pub(super) const fn may_pass(failure: &Failure) -> bool {
    !matches!(failure.class, Class::Defect | Class::Permanent(_))
}
