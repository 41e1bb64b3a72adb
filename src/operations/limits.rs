//! What limits the work now: quotas, the deletion rate limit, faults that stop workers, and slots.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::part::{Part, WhyUnknown, within};
use super::runbook::code_of;
use super::series::{ClassRates, QuotaUse, quotas};
use crate::failure::{Code, Failure};
use crate::limits::RateLimit;
use crate::ports::usage::Usage;
use crate::ports::{Lanes, LiveWorker, SharedStores};

/// The time limit of each part.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// What limits the work now
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LimitsNow {
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// The quotas that all workers share.
    pub quotas: Part<LastMinute>,
    /// The deletion rate limit.
    pub deletion_rate_limit: DeletionsNow,
    /// The workers, sorted by name.
    pub workers: Part<Vec<WorkerLimits>>,
}

/// The use of the quotas in the last minute that is over
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct LastMinute {
    /// When the minute began.
    #[schema(value_type = String, format = DateTime)]
    pub minute: Timestamp,
    /// The quota of each class of calls.
    pub classes: Vec<QuotaUse>,
}

/// The deletion rate limit, and how much of it is used
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletionsNow {
    /// How many deletions the limit allows in its period; null if it is off.
    pub allowed: Option<u32>,
    /// The period; null if the limit is off.
    pub per_seconds: Option<u64>,
    /// How many were sent in the period until now; null if the limit is off.
    pub used: Option<Part<u64>>,
    /// How many users wait for it, as far as the workers say; null if that is unknown.
    pub users_waiting: Option<u64>,
}

/// The limits of one worker
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkerLimits {
    /// The worker's name.
    pub name: String,
    /// When its last heartbeat arrived.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    /// Whether it takes users.
    pub ready: bool,
    /// The fault that stops it: an open circuit breaker, or a service that it waits for; null if no fault does.
    pub stopped_by: Option<StoppedBy>,
    /// How many users it works on at once, at most.
    pub concurrency: usize,
    /// How many users it is working on.
    pub in_flight: usize,
    /// The slots of its lanes; null if an earlier release runs there.
    pub lanes: Option<Lanes>,
}

/// A fault that stops a worker
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StoppedBy {
    /// The heading of the runbook.
    pub code: Code,
    /// For people.
    pub text: String,
    /// Since when the worker takes no users.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// Reads what limits the work. What cannot be read is a part that says so.
pub(crate) async fn limits(
    stores: &SharedStores,
    rates: &ClassRates,
    deletions: Option<RateLimit>,
    now: Timestamp,
) -> LimitsNow {
    let counting = async {
        match deletions {
            Some(limit) => {
                let used = within(READ_WITHIN, used(&*stores.usage, limit)).await;
                Some(Part::of(used, None, now))
            }
            None => None,
        }
    };
    let (minute, workers, used) = tokio::join!(
        within(READ_WITHIN, last_minute(&*stores.usage, rates, now)),
        within(READ_WITHIN, stores.workers.workers()),
        counting,
    );
    let waiting = |workers: &Vec<LiveWorker>| {
        let waiting = workers.iter();
        waiting
            .map(|live| live.worker.waiting_for_deletion_rate_limit)
            .sum()
    };
    LimitsNow {
        as_of: now,
        quotas: Part::of(minute, None, now),
        deletion_rate_limit: DeletionsNow {
            allowed: deletions.map(|limit| limit.count),
            per_seconds: deletions.map(|limit| limit.per.as_secs()),
            used,
            users_waiting: workers.as_ref().ok().map(waiting),
        },
        workers: Part::of(
            workers.map(|workers| workers.into_iter().map(WorkerLimits::of).collect()),
            None,
            now,
        ),
    }
}

async fn used(usage: &dyn Usage, limit: RateLimit) -> Result<u64, WhyUnknown> {
    let used = usage.deletions(limit.per).await?;
    used.ok_or_else(|| {
        let text = "Redis lost the count of deletions; a worker rebuilds it before the next one";
        WhyUnknown::new("not_counted", text)
    })
}

async fn last_minute(
    usage: &dyn Usage,
    rates: &ClassRates,
    now: Timestamp,
) -> Result<LastMinute, WhyUnknown> {
    let minute = now.as_second().div_euclid(60) - 1;
    let counts = usage.minutes(minute, 1).await?.pop().flatten();
    let counts = counts.ok_or_else(|| {
        let text = "no worker wrote its counts in the last minute, or Redis lost them";
        WhyUnknown::new("not_counted", text)
    })?;
    let begun = Timestamp::from_second(minute * 60);
    Ok(LastMinute {
        minute: begun.map_err(|error| Failure::internal("the time is out of range", error))?,
        classes: quotas(&counts, rates, Duration::from_mins(1)),
    })
}

impl WorkerLimits {
    fn of(live: LiveWorker) -> Self {
        let worker = live.worker;
        let fault = worker.causes.iter();
        let fault = fault.filter_map(|cause| code_of(cause).map(|code| (code, cause)));
        Self {
            stopped_by: fault
                .map(|(code, text)| StoppedBy {
                    code,
                    text: text.clone(),
                    since: worker.not_ready_since,
                })
                .next(),
            name: worker.name,
            seen_at: live.seen_at,
            ready: worker.ready,
            concurrency: worker.concurrency,
            in_flight: worker.in_flight,
            lanes: worker.lanes,
        }
    }
}
