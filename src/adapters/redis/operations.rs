//! The progress of operations; see [`super::operation_scripts`] for what is stored.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};
use serde_json::Value;

use super::connection::{RedisConnection, millis};
use super::{keys, operation_scripts as scripts};
use crate::failure::Failure;
use crate::ports::operations::{
    Became, ItemResult, OpenOperations, OperationClaim, OperationId, OperationKind, OperationLease,
    OperationOutcome, OperationProgress, OperationState, Operations, Orders, PROGRESS_KEPT,
    StopRequest, operation_lease,
};

const COMPLETE: &str = "complete";
/// What is read of an operation, before its counters.
const FIELDS: [&str; 10] = [
    "state", "head", "by", "begun", "stop", "pace", "trouble", "vain", "endedAt", "error",
];

pub(crate) struct RedisOperations {
    connection: Arc<RedisConnection>,
    open: Script,
    list_open: Script,
    restore: Script,
    claim: Script,
    renew: Script,
    release: Script,
    note: Script,
    order: Script,
    end: Script,
}

impl RedisOperations {
    pub(crate) fn new(connection: Arc<RedisConnection>) -> Self {
        Self {
            connection,
            open: Script::new(scripts::OPEN),
            list_open: Script::new(scripts::LIST_OPEN),
            restore: Script::new(scripts::RESTORE),
            claim: Script::new(scripts::CLAIM),
            renew: Script::new(scripts::RENEW),
            release: Script::new(scripts::RELEASE),
            note: Script::new(scripts::NOTE),
            order: Script::new(scripts::ORDER),
            end: Script::new(scripts::END),
        }
    }

    async fn run(&self, script: &ScriptInvocation<'_>) -> Result<u64, Failure> {
        self.connection.run(script).await
    }

    async fn order(
        &self,
        id: OperationId,
        field: &str,
        value: &str,
        first_counts: bool,
    ) -> Result<(), Failure> {
        let mut script = self.order.prepare_invoke();
        script
            .key(keys::operation(id))
            .arg(field)
            .arg(value)
            .arg(millis(PROGRESS_KEPT))
            .arg(u8::from(first_counts));
        self.run(&script).await.map(|_done| ())
    }
}

#[async_trait]
impl Operations for RedisOperations {
    async fn open(
        &self,
        id: OperationId,
        kind: OperationKind,
        head: &Value,
    ) -> Result<(), Failure> {
        let mut script = self.open.prepare_invoke();
        script
            .key(keys::OPERATIONS_OPEN)
            .key(keys::operation(id))
            .arg(id.at().as_millisecond())
            .arg(member(id, kind))
            .arg(head.to_string())
            .arg(millis(PROGRESS_KEPT));
        self.run(&script).await.map(|_done| ())
    }

    async fn list_open(&self) -> Result<OpenOperations, Failure> {
        let mut script = self.list_open.prepare_invoke();
        script.key(keys::OPERATIONS_OPEN);
        let members: Vec<String> = self.connection.run(&script).await?;
        let mut open: Vec<_> = members
            .iter()
            .filter_map(|member| parse_member(member))
            .collect();
        open.sort_unstable();
        Ok(OpenOperations {
            open,
            is_complete: members.iter().any(|member| member == COMPLETE),
        })
    }

    async fn restore(&self, open: &[(OperationId, OperationKind)]) -> Result<(), Failure> {
        let mut script = self.restore.prepare_invoke();
        script.key(keys::OPERATIONS_OPEN);
        for (id, kind) in open {
            script.arg(id.at().as_millisecond()).arg(member(*id, *kind));
        }
        self.run(&script).await.map(|_done| ())
    }

    async fn claim(
        &self,
        lease: &OperationLease,
        kind: OperationKind,
    ) -> Result<OperationClaim, Failure> {
        let mut script = self.claim.prepare_invoke();
        script
            .key(keys::operation_lease(lease.line))
            .key(keys::operation(lease.id))
            .key(keys::OPERATIONS_OPEN)
            .arg(&lease.fence)
            .arg(millis(operation_lease()))
            .arg(&lease.by)
            .arg(lease.id.at().as_millisecond())
            .arg(member(lease.id, kind))
            .arg(millis(PROGRESS_KEPT));
        let (granted, left, stop, pace): (u64, u64, String, String) =
            self.connection.run(&script).await?;
        Ok(if granted == 0 {
            OperationClaim::Held {
                for_at_most: Duration::from_millis(left.max(1)),
            }
        } else {
            OperationClaim::Granted(orders(&stop, &pace))
        })
    }

    async fn renew(&self, lease: &OperationLease) -> Result<Option<Orders>, Failure> {
        let mut script = self.renew.prepare_invoke();
        script
            .key(keys::operation_lease(lease.line))
            .key(keys::operation(lease.id))
            .arg(&lease.fence)
            .arg(millis(operation_lease()));
        let (held, stop, pace): (u64, String, String) = self.connection.run(&script).await?;
        Ok((held == 1).then(|| orders(&stop, &pace)))
    }

    async fn release(&self, lease: &OperationLease, trouble: Option<&str>) -> Result<(), Failure> {
        let mut script = self.release.prepare_invoke();
        script
            .key(keys::operation_lease(lease.line))
            .key(keys::operation(lease.id))
            .arg(&lease.fence)
            .arg(trouble.unwrap_or_default());
        self.run(&script).await.map(|_done| ())
    }

    async fn note(&self, lease: &OperationLease, result: &ItemResult) -> Result<bool, Failure> {
        let body = serde_json::to_string(result)
            .map_err(|error| Failure::internal("cannot write a result", error))?;
        let mut script = self.note.prepare_invoke();
        script
            .key(keys::operation_lease(lease.line))
            .key(keys::operation(lease.id))
            .key(keys::operation_results(lease.id))
            .arg(&lease.fence)
            .arg(millis(operation_lease()))
            .arg(result.number)
            .arg(body)
            .arg(counter(result.became))
            .arg(millis(PROGRESS_KEPT));
        Ok(self.run(&script).await? == 1)
    }

    async fn progress(&self, id: OperationId) -> Result<Option<OperationProgress>, Failure> {
        let mut command = redis::cmd("HMGET");
        command.arg(keys::operation(id));
        for field in FIELDS {
            command.arg(field);
        }
        for became in Became::ALL {
            command.arg(counter(became));
        }
        let fields: Vec<Option<String>> = self.connection.ask(&command).await?;
        Ok(progress(&fields))
    }

    async fn results(
        &self,
        id: OperationId,
        from: u64,
        count: u64,
    ) -> Result<Vec<ItemResult>, Failure> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(keys::operation_results(id));
        for number in from..from.saturating_add(count) {
            command.arg(number);
        }
        let found: Vec<Option<Vec<u8>>> = self.connection.ask(&command).await?;
        let found = found.into_iter().flatten();
        Ok(found
            .filter_map(|result| serde_json::from_slice(&result).ok())
            .collect())
    }

    async fn stop(&self, id: OperationId, order: &StopRequest) -> Result<(), Failure> {
        self.order(id, "stop", &stop_text(order)?, true).await
    }

    async fn set_pace(&self, id: OperationId, pace: Duration) -> Result<(), Failure> {
        self.order(id, "pace", &millis(pace).to_string(), false)
            .await
    }

    async fn end(
        &self,
        id: OperationId,
        kind: OperationKind,
        outcome: &OperationOutcome,
    ) -> Result<(), Failure> {
        let mut script = self.end.prepare_invoke();
        script
            .key(keys::operation_lease(kind.line()))
            .key(keys::operation(id))
            .key(keys::OPERATIONS_OPEN)
            .key(keys::operation_results(id))
            .arg(id.to_string())
            .arg(member(id, kind))
            .arg(millis(PROGRESS_KEPT))
            .arg("state")
            .arg(outcome.state.as_str())
            .arg("endedAt")
            .arg(outcome.at.to_string());
        if let Some(error) = &outcome.error {
            script.arg("error").arg(error);
        }
        if let Some(stop) = &outcome.stop {
            script.arg("stop").arg(stop_text(stop)?);
        }
        for (became, count) in &outcome.counts {
            script.arg(counter(*became)).arg(*count);
        }
        self.run(&script).await.map(|_done| ())
    }
}

fn member(id: OperationId, kind: OperationKind) -> String {
    format!("{}:{id}", kind.as_str())
}

/// `None` for the mark, and for an operation of a later release.
fn parse_member(member: &str) -> Option<(OperationId, OperationKind)> {
    let parts = member.split_once(':')?;
    Some((parts.1.parse().ok()?, OperationKind::parse(parts.0)?))
}

fn stop_text(order: &StopRequest) -> Result<String, Failure> {
    serde_json::to_string(order).map_err(|error| Failure::internal("cannot write an order", error))
}

fn counter(became: Became) -> String {
    format!("c:{}", became.as_str())
}

fn orders(stop: &str, pace: &str) -> Orders {
    Orders {
        stop: serde_json::from_str(stop).ok(),
        pace: pace.parse().ok().map(Duration::from_millis),
    }
}

/// From the fields in the order in which they are asked for.
fn progress(fields: &[Option<String>]) -> Option<OperationProgress> {
    let field = |at: usize| fields.get(at).and_then(Option::as_deref);
    let counters = fields.iter().skip(FIELDS.len());
    let counts = Became::ALL.into_iter().zip(counters);
    let number = |text: &Option<String>| text.as_deref()?.parse::<u64>().ok();
    Some(OperationProgress {
        state: OperationState::parse(field(0)?)?,
        head: serde_json::from_str(field(1).unwrap_or_default()).unwrap_or_default(),
        by: field(2).map(str::to_owned),
        begun: field(3).and_then(|begun| begun.parse().ok()).unwrap_or(0),
        counts: counts
            .filter_map(|(became, counted)| Some((became, number(counted)?)))
            .collect(),
        orders: orders(field(4).unwrap_or_default(), field(5).unwrap_or_default()),
        trouble: field(6).map(str::to_owned),
        in_vain: field(7).and_then(|vain| vain.parse().ok()).unwrap_or(0),
        ended_at: field(8).and_then(|at| at.parse().ok()),
        error: field(9).map(str::to_owned),
    })
}
