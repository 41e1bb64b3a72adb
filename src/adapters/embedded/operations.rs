//! The progress of operations in the database file. Leases are kept in memory, since the file belongs to one process.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redb::{ReadableDatabase as _, ReadableTable as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checkpoints::EmbeddedCheckpoints;
use super::database::{OPERATION_RESULTS, OPERATIONS};
use crate::failure::Failure;
use crate::ports::operations::{
    Became, ItemResult, OpenOperations, OperationClaim, OperationId, OperationKind, OperationLease,
    OperationLine, OperationOutcome, OperationProgress, OperationState, Operations, Orders,
    StopRequest,
};

/// The row of one operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    kind: OperationKind,
    #[serde(default)]
    head: Value,
    state: OperationState,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    begun: u64,
    #[serde(default)]
    stop: Option<StopRequest>,
    #[serde(default)]
    pace_ms: Option<u64>,
    #[serde(default)]
    trouble: Option<String>,
    #[serde(default)]
    in_vain: u64,
    #[serde(default)]
    ended_at: Option<Timestamp>,
    #[serde(default)]
    error: Option<String>,
    /// Once it has ended: until then the results count.
    #[serde(default)]
    counts: BTreeMap<Became, u64>,
}

impl Row {
    const fn new(kind: OperationKind) -> Self {
        Self {
            kind,
            head: Value::Null,
            state: OperationState::Frozen,
            by: None,
            begun: 0,
            stop: None,
            pace_ms: None,
            trouble: None,
            in_vain: 0,
            ended_at: None,
            error: None,
            counts: BTreeMap::new(),
        }
    }

    fn orders(&self) -> Orders {
        Orders {
            stop: self.stop.clone(),
            pace: self.pace_ms.map(Duration::from_millis),
        }
    }
}

fn ms(pace: Duration) -> u64 {
    u64::try_from(pace.as_millis()).unwrap_or(u64::MAX)
}

/// So that the results of one operation are a range in their order.
fn result_key(id: OperationId, number: u64) -> String {
    format!("{id}:{number:020}")
}

impl EmbeddedCheckpoints {
    /// Changes the row of an operation; one that is missing is made, if its kind is known.
    async fn change(
        &self,
        id: OperationId,
        kind: Option<OperationKind>,
        change: impl FnOnce(&mut Row) + Send + 'static,
    ) -> Result<(), Failure> {
        let changing = self.file().blocking(move |database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(OPERATIONS)?;
                let key = id.to_string();
                let stored = table.get(key.as_str())?;
                let stored = stored.and_then(|row| serde_json::from_slice(row.value()).ok());
                let Some(mut row) = stored.or_else(|| kind.map(Row::new)) else {
                    return Ok(());
                };
                change(&mut row);
                let row = serde_json::to_vec(&row).unwrap_or_default();
                table.insert(key.as_str(), row.as_slice())?;
            }
            Ok(writing.commit()?)
        });
        Ok(changing.await?)
    }

    async fn operation_row(&self, id: OperationId) -> Result<Option<Row>, Failure> {
        let bytes = self.file().bytes(OPERATIONS, id.to_string()).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn has_operation_lease(&self, lease: &OperationLease) -> bool {
        self.operation_leases.lock().get(&lease.line) == Some(&lease.fence)
    }

    fn free(&self, line: OperationLine, of: impl Fn(&str) -> bool) {
        let mut leases = self.operation_leases.lock();
        if leases.get(&line).is_some_and(|fence| of(fence)) {
            leases.remove(&line);
        }
    }

    /// As when the process that has them dies.
    #[cfg(test)]
    pub(crate) fn forget_operation_leases(&self) {
        self.operation_leases.lock().clear();
    }

    async fn drop_results(&self, id: OperationId) -> Result<(), Failure> {
        let dropping = self.file().blocking(move |database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(OPERATION_RESULTS)?;
                let first = result_key(id, 0);
                let last = result_key(id, u64::MAX);
                table.retain_in(first.as_str()..last.as_str(), |_, _| false)?;
            }
            Ok(writing.commit()?)
        });
        Ok(dropping.await?)
    }

    async fn result_range(
        &self,
        id: OperationId,
        from: u64,
        until: u64,
    ) -> Result<Vec<ItemResult>, Failure> {
        let reading = self.file().blocking(move |database| {
            let table = match database.begin_read()?.open_table(OPERATION_RESULTS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let first = result_key(id, from);
            let last = result_key(id, until);
            let mut found = Vec::new();
            for row in table.range(first.as_str()..last.as_str())? {
                found.extend(serde_json::from_slice(row?.1.value()).ok());
            }
            Ok(found)
        });
        Ok(reading.await?)
    }
}

#[async_trait]
impl Operations for EmbeddedCheckpoints {
    async fn open(
        &self,
        id: OperationId,
        kind: OperationKind,
        head: &Value,
    ) -> Result<(), Failure> {
        let head = head.clone();
        self.change(id, Some(kind), |row| row.head = head).await
    }

    async fn list_open(&self) -> Result<OpenOperations, Failure> {
        let reading = self.file().blocking(|database| {
            let table = match database.begin_read()?.open_table(OPERATIONS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut open = Vec::new();
            for stored in table.iter()? {
                let stored = stored?;
                let row: Option<Row> = serde_json::from_slice(stored.1.value()).ok();
                let id = stored.0.value().parse().ok();
                if let Some((id, row)) = id.zip(row)
                    && !row.state.is_ended()
                {
                    open.push((id, row.kind));
                }
            }
            Ok(open)
        });
        let open = reading.await?;
        // The file loses nothing while it is there, and it is there from the first call on.
        Ok(OpenOperations {
            open,
            is_complete: true,
        })
    }

    async fn restore(&self, open: &[(OperationId, OperationKind)]) -> Result<(), Failure> {
        for (id, kind) in open {
            self.change(*id, Some(*kind), |_as_it_is| {}).await?;
        }
        Ok(())
    }

    async fn claim(
        &self,
        lease: &OperationLease,
        kind: OperationKind,
    ) -> Result<OperationClaim, Failure> {
        let is_new = {
            let mut leases = self.operation_leases.lock();
            let holder = leases.entry(lease.line).or_default();
            if !holder.is_empty() && *holder != lease.fence {
                return Ok(OperationClaim::Held {
                    for_at_most: Duration::from_mins(1),
                });
            }
            let is_new = holder.is_empty();
            holder.clone_from(&lease.fence);
            is_new
        };
        let by = lease.by.clone();
        self.change(lease.id, Some(kind), move |row| {
            if is_new {
                row.begun += 1;
                row.in_vain += 1;
                row.state = OperationState::Running;
                row.by = Some(by);
                row.trouble = None;
            }
        })
        .await?;
        let row = self.operation_row(lease.id).await?;
        let orders = row.map(|row| row.orders()).unwrap_or_default();
        Ok(OperationClaim::Granted(orders))
    }

    async fn renew(&self, lease: &OperationLease) -> Result<Option<Orders>, Failure> {
        if !self.has_operation_lease(lease) {
            return Ok(None);
        }
        let row = self.operation_row(lease.id).await?;
        Ok(Some(row.map(|row| row.orders()).unwrap_or_default()))
    }

    async fn release(&self, lease: &OperationLease, trouble: Option<&str>) -> Result<(), Failure> {
        if !self.has_operation_lease(lease) {
            return Ok(());
        }
        let trouble = trouble.map(str::to_owned);
        self.change(lease.id, None, |row| {
            row.trouble = trouble;
            row.in_vain = 0;
        })
        .await?;
        self.free(lease.line, |fence| fence == lease.fence);
        Ok(())
    }

    async fn note(&self, lease: &OperationLease, result: &ItemResult) -> Result<bool, Failure> {
        if !self.has_operation_lease(lease) {
            return Ok(false);
        }
        let key = result_key(lease.id, result.number);
        let body = serde_json::to_vec(result)
            .map_err(|error| Failure::internal("cannot write a result", error))?;
        let noting = self.file().blocking(move |database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(OPERATION_RESULTS)?;
                if table.get(key.as_str())?.is_none() {
                    table.insert(key.as_str(), body.as_slice())?;
                }
            }
            Ok(writing.commit()?)
        });
        noting.await?;
        let row = self.operation_row(lease.id).await?;
        if row.is_some_and(|row| row.in_vain > 0) {
            self.change(lease.id, None, |row| row.in_vain = 0).await?;
        }
        Ok(true)
    }

    async fn progress(&self, id: OperationId) -> Result<Option<OperationProgress>, Failure> {
        let Some(row) = self.operation_row(id).await? else {
            return Ok(None);
        };
        let mut counts = row.counts.clone();
        let results = if counts.is_empty() {
            self.result_range(id, 0, u64::MAX).await?
        } else {
            Vec::new()
        };
        for result in results {
            *counts.entry(result.became).or_default() += 1;
        }
        Ok(Some(OperationProgress {
            state: row.state,
            orders: row.orders(),
            head: row.head,
            by: row.by,
            begun: row.begun,
            counts,
            trouble: row.trouble,
            in_vain: row.in_vain,
            ended_at: row.ended_at,
            error: row.error,
        }))
    }

    async fn results(
        &self,
        id: OperationId,
        from: u64,
        count: u64,
    ) -> Result<Vec<ItemResult>, Failure> {
        self.result_range(id, from, from.saturating_add(count))
            .await
    }

    async fn stop(&self, id: OperationId, order: &StopRequest) -> Result<(), Failure> {
        let order = order.clone();
        self.change(id, None, |row| {
            row.stop.get_or_insert(order);
        })
        .await
    }

    async fn set_pace(&self, id: OperationId, pace: Duration) -> Result<(), Failure> {
        self.change(id, None, move |row| row.pace_ms = Some(ms(pace)))
            .await
    }

    async fn end(
        &self,
        id: OperationId,
        kind: OperationKind,
        outcome: &OperationOutcome,
    ) -> Result<(), Failure> {
        let ended = outcome.clone();
        let noted = match self.progress(id).await? {
            Some(progress) if ended.counts.is_empty() => progress.counts,
            Some(_) | None => ended.counts.clone(),
        };
        self.change(id, Some(kind), move |row| {
            row.state = ended.state;
            row.ended_at = Some(ended.at);
            row.error = ended.error;
            row.stop = ended.stop.or_else(|| row.stop.take());
            row.counts = noted;
            row.trouble = None;
            row.in_vain = 0;
        })
        .await?;
        self.drop_results(id).await?;
        self.free(kind.line(), |fence| fence.starts_with(&id.to_string()));
        Ok(())
    }
}
