//! How many plans wait for an approval.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AT_ONCE, PlanDesk, PlanError, PlanState, StoredPlan};
use crate::registers::plan::stored_plans;

/// More plans at a time are not read.
const READ: usize = 50;

/// Plans that wait for an approval
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitingPlans {
    pub waiting: u64,
    /// The deletions in them.
    pub deletions: u64,
    /// Plans that may wait, too, and were not read, because there are too many.
    pub not_read: u64,
}

impl PlanDesk<'_> {
    /// Counts the plans that wait. Those for which the time of an approval is over are not read.
    pub(crate) async fn waiting(&self) -> Result<WaitingPlans, PlanError> {
        let now = self.clock.now();
        let expiry = SignedDuration::try_from(self.rule.approval_expiry).ok();
        let mut names = stored_plans(&**self.store).await?;
        names.retain(|stored| expiry.is_none_or(|expiry| now.duration_since(stored.at) <= expiry));
        let not_read = names.len().saturating_sub(READ);
        names.truncate(READ);

        let read = stream::iter(names)
            .map(|stored| async move { self.show(&stored.value).await })
            .buffered(AT_ONCE);
        let plans: Vec<StoredPlan> = read.try_collect().await?;
        let waiting = plans.iter().filter(|plan| plan.state == PlanState::Waiting);
        let mut counted = WaitingPlans {
            not_read: u64::try_from(not_read).unwrap_or(u64::MAX),
            ..WaitingPlans::default()
        };
        for plan in waiting {
            counted.waiting += 1;
            counted.deletions += plan.said.as_ref().map_or(0, |said| said.totals.delete);
        }
        Ok(counted)
    }
}
