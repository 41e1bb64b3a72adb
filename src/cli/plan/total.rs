//! What a plan comes to.

use super::cost::at_rate;
use crate::cli::output::Shown;
use crate::config::Cxone;
use crate::guards::approval::Totals;
use crate::limits::RateLimit;
use crate::operations::plan::{Conversations, Plan};
use crate::operations::times;
use crate::ports::CallCounts;

/// The sums over all users.
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Total {
    #[serde(flatten)]
    pub(super) counts: Totals,
    delete_later: u64,
    conversations: Conversations,
    calls: CallCounts,
    /// Under the quotas and the deletion rate limit, if nothing else uses them.
    seconds: f64,
    hours: f64,
}

impl Total {
    pub(super) fn add(&mut self, plan: &Plan) {
        self.counts.add(plan.end);
        self.delete_later += u64::from(plan.delete_not_before.is_some());
        self.conversations.count += plan.conversations.count;
        self.conversations.pages += plan.conversations.pages;
        self.conversations.at_least |= plan.conversations.at_least;
        self.calls.routing += plan.calls.routing;
        self.calls.scim += plan.calls.scim;
        self.calls.analytics += plan.calls.analytics;
    }

    /// How long the users take that were added.
    pub(super) fn estimate(&mut self, cxone: &Cxone, rate_limit: Option<RateLimit>) {
        let seconds = [
            at_rate(self.calls.routing, cxone.rate_routing),
            at_rate(self.calls.scim, cxone.rate_scim),
            at_rate(self.calls.analytics, cxone.rate_analytics),
            rate_limit.map_or(0.0, |limit| at_deletion_rate(self.counts.delete, limit)),
        ];
        self.seconds = seconds.into_iter().fold(0.0, f64::max).round();
        self.hours = (self.seconds / 36.0).round() / 100.0;
    }

    pub(super) fn text(&self) -> Shown {
        let Totals {
            users,
            delete,
            deactivate_only,
            held,
            protected,
            done,
            not_found,
        } = self.counts;
        let mut lines = vec![format!(
            "{users} users: {delete} to delete ({} of them later), {deactivate_only} to deactivate only, {held} held, \
             {protected} protected, {done} done, {not_found} not found",
            self.delete_later
        )];
        let CallCounts {
            routing,
            scim,
            analytics,
        } = self.calls;
        let about = if self.conversations.at_least {
            "at least "
        } else {
            "about "
        };

        // A quota that all calls share has no parts.
        let calls = if scim == 0 && analytics == 0 {
            format!("{routing} calls")
        } else {
            format!("{routing} routing, {scim} SCIM and {analytics} analytics calls")
        };
        lines.push(format!(
            "{} conversations; {about}{calls}; {about}{} under the quota",
            counted(self.conversations),
            times::about(self.seconds)
        ));
        lines.into_iter().collect()
    }
}

pub(super) fn counted(conversations: Conversations) -> String {
    let least = if conversations.at_least {
        "at least "
    } else {
        ""
    };
    format!("{least}{}", conversations.count)
}

/// The first period needs no wait.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn at_deletion_rate(deletions: u64, limit: RateLimit) -> f64 {
    let periods = deletions.saturating_sub(1) / u64::from(limit.count).max(1);
    periods as f64 * limit.per.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Rate;

    #[test]
    fn the_time_depends_on_the_quotas_and_the_deletion_rate_limit() {
        assert!((at_rate(100, Rate::parse("20/s").ok()) - 5.0).abs() < 1e-9);
        assert!(at_rate(100, None).abs() < 1e-9);
        let limit = RateLimit {
            count: 200,
            per: Duration::from_hours(1),
        };
        for (deletions, hours) in [(0, 0.0), (200, 0.0), (201, 1.0), (401, 2.0)] {
            assert!(
                (at_deletion_rate(deletions, limit) - hours * 3600.0).abs() < 1e-9,
                "{deletions}"
            );
        }
    }
}
