//! Everything that an operator wants to know first, as one document.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::batches::{BatchSource, Readings, UnderWayBatches, under_way};
use super::dead_letters::{DeadLetterError, GroupCounts, count_groups};
use super::fleet::{Fleet, FleetSources, fleet};
use super::part::{Part, WhyUnknown, within};
use super::plans::{PlanDesk, PlanError, WaitingPlans};
use super::series::{ClassRates, LastHour, last_hour};
use super::shared_answers::PATIENCE;
use super::stops::{Stops, stops};
use super::users::{AccessTotal, access_total};
use crate::ports::SharedStores;
use crate::ports::queue::Broker;
use crate::registers::audit_log::{AuditEntry, AuditLog};
use crate::steps::Services;

/// The time limit of each part: the others must not wait for a service that hangs.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// A scan of the dead-letter queue takes longer.
const SCANNED_WITHIN: Duration = Duration::from_secs(15);
/// A scan hides the dead letters from others for a moment, and plans are many objects, so neither is read for each overview.
const COSTLY_PARTS_LAST_SECONDS: i64 = 15;
const AUDIT_ENTRIES: usize = 5;

/// The deployment now
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentOverview {
    /// The environment's name in the settings; null if it has none.
    pub environment: Option<String>,
    /// When the parts were read. Each has a time of its own, too.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// What keeps users waiting.
    pub fleet: Fleet,
    /// The users who still have access.
    pub access: Part<AccessTotal>,
    /// The groups of dead letters; up to 15 seconds older than the rest.
    pub dead_letter_groups: Part<GroupCounts>,
    /// The plans that wait for an approval; up to 15 seconds older than the rest.
    pub plans: Part<WaitingPlans>,
    /// The batches that are not finished.
    pub batches: Part<UnderWayBatches>,
    /// What the workers did in the last hour.
    pub last_hour: Part<LastHour>,
    /// The newest 5 entries of the audit log, newest first.
    pub audit_log: Part<Vec<AuditEntry>>,
}

/// What is around every page of the console, without the batches, which take longest to read.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// When the parts were read. Each has a time of its own, too.
    pub as_of: Timestamp,
    pub fleet: Fleet,
    pub stops: Stops,
    pub access: Part<AccessTotal>,
    pub dead_letter_groups: Part<GroupCounts>,
    pub plans: Part<WaitingPlans>,
}

/// Where an overview is read.
pub(crate) struct OverviewSources<'a> {
    pub environment: Option<&'a str>,
    pub fleet: &'a FleetSources,
    pub stores: &'a SharedStores,
    pub services: &'a Services,
    pub broker: &'a dyn Broker,
    /// What was read of batches.
    pub readings: &'a Readings,
    pub rates: &'a ClassRates,
}

/// Reads what is around every page. What cannot be read is a part that says so, with what it was `before`.
pub(crate) async fn surroundings(
    sources: &OverviewSources<'_>,
    before: Option<&Surroundings>,
) -> Surroundings {
    let now = sources.services.clock.now();
    let groups_before = before.map(|before| &before.dead_letter_groups);
    let plans_before = before.map(|before| &before.plans);
    let (fleet, stops, access, dead_letter_groups, plans) = tokio::join!(
        fleet(sources.fleet, now),
        stops(sources.fleet, now),
        within(READ_WITHIN, access_total(&*sources.stores.users)),
        groups(sources, groups_before, now),
        plans(sources.services, plans_before, now),
    );
    Surroundings {
        as_of: now,
        fleet,
        stops,
        access: Part::of(access, before.map(|before| &before.access), now),
        dead_letter_groups,
        plans,
    }
}

/// Reads the rest of the overview. What cannot be read is a part that says so, with what it was in the overview `before`.
pub(crate) async fn overview(
    sources: &OverviewSources<'_>,
    around: &Surroundings,
    before: Option<&DeploymentOverview>,
) -> DeploymentOverview {
    let services = sources.services;
    let now = services.clock.now();
    let stores = sources.stores;
    let log = AuditLog::new(Arc::clone(&services.archive_store), services.clock.clone());
    let source = BatchSource {
        store: &stores.batches,
        readings: sources.readings,
        until: Some(Instant::now() + PATIENCE),
    };
    let batches = under_way(&source, &around.stops, now);

    let (batches, hour, entries) = tokio::join!(
        within(READ_WITHIN, batches),
        within(READ_WITHIN, counted(sources, now)),
        within(READ_WITHIN, log.list(None, AUDIT_ENTRIES)),
    );
    let mut batches = Part::of(batches, before.map(|before| &before.batches), now);
    if around.fleet.stopped {
        let known = batches.known.iter_mut();
        for batch in known.flat_map(|known| &mut known.batches) {
            batch.time_left_seconds = None;
        }
    }
    DeploymentOverview {
        environment: sources.environment.map(str::to_owned),
        as_of: around.as_of,
        fleet: around.fleet.clone(),
        access: around.access.clone(),
        dead_letter_groups: around.dead_letter_groups.clone(),
        plans: around.plans.clone(),
        batches,
        last_hour: Part::of(hour, before.map(|before| &before.last_hour), now),
        audit_log: Part::of(entries, before.map(|before| &before.audit_log), now),
    }
}

async fn groups(
    sources: &OverviewSources<'_>,
    before: Option<&Part<GroupCounts>>,
    now: Timestamp,
) -> Part<GroupCounts> {
    if let Some(fresh) = before.filter(|part| is_fresh(part, now)) {
        return fresh.clone();
    }
    let checkpoints = &*sources.stores.checkpoints;
    let store = &*sources.services.archive_store;
    let counting = count_groups(sources.broker, checkpoints, store, now);
    Part::of(within(SCANNED_WITHIN, counting).await, before, now)
}

fn is_fresh<T>(part: &Part<T>, now: Timestamp) -> bool {
    let age = part.as_of.map(|as_of| now.duration_since(as_of).as_secs());
    part.unknown.is_none() && age.is_some_and(|age| age < COSTLY_PARTS_LAST_SECONDS)
}

async fn plans(
    services: &Services,
    before: Option<&Part<WaitingPlans>>,
    now: Timestamp,
) -> Part<WaitingPlans> {
    if let Some(fresh) = before.filter(|part| is_fresh(part, now)) {
        return fresh.clone();
    }
    let counting = async {
        let people = match services.approval.people() {
            Some(people) => people.now()?,
            None => Arc::default(),
        };
        let desk = PlanDesk {
            store: &services.archive_store,
            people: &people,
            rule: services.approval_rule().await?,
            clock: &services.clock,
        };
        desk.waiting().await
    };
    Part::of(within(READ_WITHIN, counting).await, before, now)
}

impl From<PlanError> for WhyUnknown {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Failed(failure) => failure.into(),
            other @ (PlanError::NoSuchPlan(_) | PlanError::Refused(..)) => {
                Self::new("internal", other.to_string())
            }
        }
    }
}

async fn counted(sources: &OverviewSources<'_>, now: Timestamp) -> Result<LastHour, WhyUnknown> {
    let hour = last_hour(&*sources.stores.usage, sources.rates, now).await?;
    hour.ok_or_else(|| {
        let text = "no worker wrote its counts in the last hour, or Redis lost them";
        WhyUnknown::new("not_counted", text)
    })
}

impl From<DeadLetterError> for WhyUnknown {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Failed(failure) => failure.into(),
            other => Self::new("internal", other.to_string()),
        }
    }
}
