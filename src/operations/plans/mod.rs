//! Plans that are stored, so that a second person can approve their deletions: making one, listing them, comparing two,
//! and deciding about one.

mod decide;
mod difference;
mod save;
mod view;
mod waiting;

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

pub(crate) use decide::{Decision, Signatory};
pub(crate) use difference::{Difference, differences};
pub(crate) use save::{Saving, plan_users, planned, rows};
pub(crate) use view::{PlanState, Said, StoredPlan};
pub(crate) use waiting::WaitingPlans;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::guards::approval::{PlanDocument, PlanKind, PlannedUser};
use crate::job::PlanName;
use crate::limits::ApprovalRule;
use crate::people::People;
use crate::ports::ArchiveStore;
use crate::registers::plan::{PlanNow, read_now, read_users, stored_plans};

/// How many plans are read at the same time.
const AT_ONCE: usize = 8;
/// A digest may be cut to as many characters, as long as it names one plan.
const SHORTEST: usize = 8;

/// What a plan is judged by, and where it is.
pub(crate) struct PlanDesk<'a> {
    pub store: &'a Arc<dyn ArchiveStore>,
    pub people: &'a People,
    /// The rule in force.
    pub rule: ApprovalRule,
    pub clock: &'a Clock,
}

/// Why nothing was done.
#[derive(Debug)]
pub(crate) enum PlanError {
    Failed(Failure),
    /// No stored plan has this name.
    NoSuchPlan(String),
    /// A rule refuses it: a stable word, and a text for people.
    Refused(&'static str, String),
}

impl From<Failure> for PlanError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => f.write_str(&failure.text),
            Self::NoSuchPlan(text) | Self::Refused(_, text) => f.write_str(text),
        }
    }
}

impl PlanDesk<'_> {
    /// The newest plans, and whether there are more.
    pub(crate) async fn list(
        &self,
        limit: usize,
        wanted: impl Fn(&StoredPlan) -> bool,
    ) -> Result<(Vec<StoredPlan>, bool), PlanError> {
        let names = stored_plans(&**self.store).await?;
        let read = stream::iter(names)
            .map(|stored| async move { self.show(&stored.value).await })
            .buffered(AT_ONCE);
        let mut plans: Vec<StoredPlan> = read
            .try_filter(|plan| std::future::ready(wanted(plan)))
            .take(limit.saturating_add(1))
            .try_collect()
            .await?;
        let more = plans.len() > limit;
        plans.truncate(limit);
        Ok((plans, more))
    }

    /// A plan, and how far it is.
    pub(crate) async fn show(&self, name: &PlanName) -> Result<StoredPlan, PlanError> {
        Ok(match read_now(&**self.store, name).await? {
            Ok(plan) => self.view(&plan),
            Err(why) => StoredPlan::unreadable(name.clone(), why),
        })
    }

    /// A plan that counts.
    pub(crate) async fn open(&self, name: &PlanName) -> Result<PlanNow, PlanError> {
        match read_now(&**self.store, name).await? {
            Ok(plan) => Ok(plan),
            Err(why) => {
                let stored = stored_plans(&**self.store).await?;
                if stored.iter().any(|stored| stored.value == *name) {
                    return Err(PlanError::Refused("plan_altered", why));
                }
                Err(PlanError::NoSuchPlan(format!("no stored plan is {name}")))
            }
        }
    }

    /// A plan whose users may be submitted. It need not be approved yet: access ends without an approval.
    pub(crate) async fn applicable(&self, name: &PlanName) -> Result<PlanNow, PlanError> {
        let now = self.open(name).await?;
        let view = self.view(&now);
        let why_not = view.why_not.unwrap_or_default();
        match view.state {
            _ if now.plan.kind == PlanKind::Settings => Err(PlanError::Refused(
                "plan_ended",
                "this plan is of a rule of approvals, and names no users".to_owned(),
            )),
            PlanState::Waiting | PlanState::Approved => Ok(now),
            PlanState::Expired => Err(PlanError::Refused("plan_expired", why_not)),
            PlanState::Rejected
            | PlanState::Revoked
            | PlanState::Withdrawn
            | PlanState::Stale
            | PlanState::Altered => Err(PlanError::Refused("plan_ended", why_not)),
        }
    }

    /// The plan whose digest begins so.
    pub(crate) async fn find(&self, text: &str) -> Result<PlanName, PlanError> {
        let text = text.to_ascii_lowercase();
        if let Ok(name) = text.parse::<PlanName>() {
            return Ok(name);
        }
        if text.len() < SHORTEST {
            return Err(PlanError::NoSuchPlan(format!(
                "{text} is too short for the digest of a plan: give at least {SHORTEST} of its 64 characters"
            )));
        }
        let stored = stored_plans(&**self.store).await?.into_iter();
        let mut named = stored
            .map(|stored| stored.value)
            .filter(|name| name.to_string().starts_with(&text));
        match (named.next(), named.next()) {
            (Some(name), None) => Ok(name),
            (None, _) => Err(PlanError::NoSuchPlan(format!(
                "no stored plan has a digest that begins with {text}: `offboarder plan list`"
            ))),
            (Some(_), Some(_)) => Err(PlanError::NoSuchPlan(format!(
                "several plans have a digest that begins with {text}: give more of it"
            ))),
        }
    }

    /// All users of a plan, in the order of their IDs.
    pub(crate) async fn users(&self, plan: &PlanDocument) -> Result<Vec<PlannedUser>, PlanError> {
        let names: Vec<PlanName> = plan.parts.iter().map(|part| part.name.clone()).collect();
        let read = names.into_iter().map(|name| {
            let store = Arc::clone(self.store);
            async move { read_users(&*store, &name).await }
        });
        let users: Vec<Vec<PlannedUser>> =
            stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        Ok(users.into_iter().flatten().collect())
    }
}
