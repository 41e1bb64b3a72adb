//! Operations as people and programs see them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::begin::Place;
use super::record::{Manner, Operation, OperationEnd, OperationReport};
use crate::failure::Failure;
use crate::operations::dead_letters::GroupReport;
use crate::ports::operations::{
    Became, ItemResult, OperationId, OperationKind, OperationProgress, OperationState, StopRequest,
};
use crate::registers::{read_end, read_operation, stored_operations};

/// An operation: what was asked for, and how far it is
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperationView {
    /// The ID.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// How far it is.
    pub state: OperationState,
    /// When the set was frozen.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The operator.
    pub who: String,
    /// The reason, in the words of that operator.
    pub why: Option<String>,
    /// Which dead letters or users were asked for.
    #[schema(value_type = Object)]
    pub of: Value,
    /// How many items it works on.
    pub items: u64,
    /// How many were left out when the set was frozen, because they are not safe to replay.
    pub left_out: u64,
    /// How many items became what, so far.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub counts: BTreeMap<&'static str, u64>,
    /// How many items have a result.
    pub done: u64,
    /// The highest rate, e.g. `5/s`; null without one.
    pub rate: Option<String>,
    /// Whether a canary comes first.
    pub canary: bool,
    /// Whether dead letters are replayed that are not safe to replay yet, too.
    pub anyway: bool,
    /// The process that works on it, or did so last.
    pub by: Option<String>,
    /// How often a process took it up: more than once if one died or ended.
    pub taken_up: u64,
    /// The order to stop, if there is one.
    pub stop: Option<StopRequest>,
    /// Why it does not get on now.
    pub trouble: Option<String>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The fault that ended it.
    pub error: Option<String>,
}

/// An operation with what became of its items, page by page
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownOperation {
    /// The operation.
    #[serde(flatten)]
    pub operation: OperationView,
    /// What became of each group of dead letters, once a replay has ended.
    pub groups: Vec<GroupReport>,
    /// What became of items, in the order of the set.
    pub results: Vec<ItemResult>,
    /// Where the next page of results begins; null after the last one.
    pub next_cursor: Option<String>,
}

/// A page of operations, the newest first
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedOperations {
    /// The operations.
    pub operations: Vec<OperationView>,
    /// Where the next page begins; null after the last one.
    pub next_cursor: Option<String>,
}

/// The head of an operation, as lists keep it.
#[derive(Debug, Clone, Deserialize)]
struct Head {
    kind: OperationKind,
    at: Timestamp,
    who: String,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    manner: Manner,
    #[serde(default)]
    of: Value,
    #[serde(default)]
    items: u64,
    #[serde(default)]
    skipped: u64,
}

/// How many results are read at once.
const RESULTS: u64 = 500;

impl OperationView {
    fn new(id: OperationId, head: Head) -> Self {
        Self {
            id,
            kind: head.kind,
            state: OperationState::Frozen,
            at: head.at,
            who: head.who,
            why: head.why,
            of: head.of,
            items: head.items,
            left_out: head.skipped,
            counts: BTreeMap::new(),
            done: 0,
            rate: rate(Duration::from_millis(head.manner.pace_ms)),
            canary: head.manner.canary_ms.is_some(),
            anyway: head.manner.anyway,
            by: None,
            taken_up: 0,
            stop: None,
            trouble: None,
            ended_at: None,
            error: None,
        }
    }

    fn with_progress(mut self, progress: OperationProgress) -> Self {
        self.state = progress.state;
        self.done = progress.counts.values().sum();
        self.counts = words(progress.counts);
        self.rate = progress.orders.pace.map_or(self.rate, rate);
        self.by = progress.by;
        self.taken_up = progress.begun;
        self.stop = progress.orders.stop;
        self.trouble = progress.trouble;
        self.ended_at = progress.ended_at;
        self.error = progress.error;
        self
    }

    fn with_end(mut self, end: &OperationEnd) -> Self {
        self.state = end.state;
        self.by = Some(end.by.clone());
        self.stop = self.stop.or_else(|| end.stop.clone());
        self.trouble = None;
        self.ended_at = Some(end.at);
        self.error = end.error.as_ref().map(ToString::to_string);
        if !end.counts.is_empty() {
            self.done = end.counts.values().sum();
            self.counts = words(end.counts.clone());
        } else if self.done == 0 {
            let mut counts = BTreeMap::new();
            for item in end.report.items(end.at) {
                *counts.entry(item.became).or_default() += 1;
            }
            self.done = counts.values().sum::<u64>().saturating_sub(self.left_out);
            self.counts = words(counts);
        }
        self
    }
}

fn words(counts: BTreeMap<Became, u64>) -> BTreeMap<&'static str, u64> {
    let counts = counts.into_iter();
    counts
        .map(|(became, count)| (became.as_str(), count))
        .collect()
}

/// For people; `None` without a pace.
fn rate(pace: Duration) -> Option<String> {
    let seconds = pace.as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let per_second = 1.0 / seconds;
    Some(if per_second >= 1.0 {
        format!("{per_second:.0}/s")
    } else {
        format!("{:.0}/m", per_second * 60.0)
    })
}

impl Place {
    /// One page of all operations, the newest first. `before` is the cursor of the page before.
    pub(crate) async fn list(
        &self,
        before: Option<OperationId>,
        limit: usize,
    ) -> Result<ListedOperations, Failure> {
        let stored = stored_operations(&*self.store).await?;
        let ids = stored.all.iter().rev();
        let mut ids = ids.filter(|id| before.is_none_or(|before| **id < before));
        let mut operations = Vec::new();
        for id in ids.by_ref().take(limit) {
            let progress = self.operations.progress(*id).await?;
            let is_ended = stored.ended.contains(id);
            let is_known = progress
                .as_ref()
                .is_some_and(|kept| kept.ended_at.is_some());
            let end = if is_ended && !is_known {
                self.end_of(*id).await?
            } else {
                None
            };
            operations.extend(self.view(*id, progress, end.as_ref()).await?);
        }
        let more = ids.next().is_some();
        let last = operations.last().filter(|_| more);
        Ok(ListedOperations {
            next_cursor: last.map(|last| last.id.to_string()),
            operations,
        })
    }

    /// Without its results: what a follower asks again and again. `None` if there is no such operation.
    pub(crate) async fn glance(&self, id: OperationId) -> Result<Option<OperationView>, Failure> {
        let progress = self.operations.progress(id).await?;
        let is_open = progress
            .as_ref()
            .is_some_and(|kept| !kept.state.is_ended() || kept.ended_at.is_some());
        let end = if is_open {
            None
        } else {
            self.end_of(id).await?
        };
        self.view(id, progress, end.as_ref()).await
    }

    /// With a page of its results, from this position on.
    pub(crate) async fn show(
        &self,
        id: OperationId,
        from: u64,
        limit: u64,
    ) -> Result<Option<ShownOperation>, Failure> {
        let progress = self.operations.progress(id).await?;
        let is_open = progress.as_ref().is_some_and(|kept| !kept.state.is_ended());
        let end = if is_open {
            None
        } else {
            self.end_of(id).await?
        };
        let Some(operation) = self.view(id, progress, end.as_ref()).await? else {
            return Ok(None);
        };
        let items = operation.items.saturating_add(operation.left_out);
        let mut until = from.saturating_add(limit).min(operation.items);
        let mut results = Vec::new();
        if let Some(end) = &end {
            let all = end.report.items(end.at);
            let skip = usize::try_from(from).unwrap_or(usize::MAX);
            let take = usize::try_from(limit).unwrap_or(usize::MAX);
            let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
            results = all.into_iter().skip(skip).take(take).collect();
            until = from.saturating_add(limit);
            if until >= count {
                until = items;
            }
        } else {
            let mut at = from;
            while at < until {
                let count = RESULTS.min(until - at);
                results.extend(self.operations.results(id, at, count).await?);
                at += count;
            }
        }
        // It is for the process that continues, and may be large.
        for result in &mut results {
            result.detail = Value::Null;
        }
        let groups = match end.map(|end| end.report) {
            Some(OperationReport::Replay(report)) => report.groups,
            Some(OperationReport::Discard(_) | OperationReport::Verify(_)) | None => Vec::new(),
        };
        Ok(Some(ShownOperation {
            next_cursor: (until < items).then(|| until.to_string()),
            operation,
            groups,
            results,
        }))
    }

    /// How it ended; `None` while it is open.
    pub(crate) async fn end_of(&self, id: OperationId) -> Result<Option<OperationEnd>, Failure> {
        read_end(&*self.store, id).await
    }

    async fn view(
        &self,
        id: OperationId,
        progress: Option<OperationProgress>,
        end: Option<&OperationEnd>,
    ) -> Result<Option<OperationView>, Failure> {
        let kept = progress.as_ref().map(|progress| progress.head.clone());
        let kept: Option<Head> = kept.and_then(|head| serde_json::from_value(head).ok());
        let head = match kept {
            Some(head) => head,
            None => match read_operation::<Operation>(&*self.store, id).await? {
                Some(operation) => match serde_json::from_value(operation.head()) {
                    Ok(head) => head,
                    Err(error) => {
                        return Err(Failure::internal("cannot read an operation", error));
                    }
                },
                None => return Ok(None),
            },
        };
        let mut view = OperationView::new(id, head);
        if let Some(progress) = progress {
            view = view.with_progress(progress);
        }
        if let Some(end) = end {
            view = view.with_end(end);
        }
        Ok(Some(view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_shown_by_the_second_or_the_minute() {
        assert_eq!(rate(Duration::ZERO), None);
        assert_eq!(rate(Duration::from_millis(200)).as_deref(), Some("5/s"));
        assert_eq!(rate(Duration::from_secs(2)).as_deref(), Some("30/m"));
    }
}
