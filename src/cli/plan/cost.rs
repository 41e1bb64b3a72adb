//! What the reads of a plan cost.

use crate::config::Cxone;
use crate::limits::Rate;
use crate::operations::times;
use crate::ports::CallCounts;

/// How long the reads take.
#[derive(Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cost {
    /// If nothing else uses the quota, and no user has more than one page of conversations.
    at_least_seconds: f64,
    /// The quota that takes longest.
    quota: Option<&'static str>,
    per_second: Option<f64>,
}

pub(super) fn cost(users: u64, pages: u64, cxone: &Cxone) -> Cost {
    let days = cxone.history.as_secs().div_ceil(86_400);
    let windows = cxone
        .window_days
        .map_or(1, |window| days.div_ceil(u64::from(window).max(1)))
        .clamp(1, pages);
    let calls = calls_of_user(windows, cxone.profile.preset().one_budget);
    let quotas = [
        ("analytics", calls.analytics, cxone.rate_analytics),
        ("routing", calls.routing, cxone.rate_routing),
        ("SCIM", calls.scim, cxone.rate_scim),
    ];
    let longest = quotas
        .into_iter()
        .filter_map(|(quota, calls, rate)| {
            let calls = users.saturating_mul(calls);
            Some((at_rate(calls, rate), quota, rate?))
        })
        .max_by(|one, other| one.0.total_cmp(&other.0));
    Cost {
        at_least_seconds: longest.map_or(0.0, |(seconds, _, _)| seconds),
        quota: longest.map(|(_, quota, _)| quota),
        per_second: longest.map(|(_, _, rate)| rate.per_second()),
    }
}

/// Each user takes a read of the account, a read of routing, and a query for each window of the history. Where all calls
/// share one budget, which is that of routing, three reads show what routes work to a user.
const fn calls_of_user(windows: u64, one_budget: bool) -> CallCounts {
    if one_budget {
        return CallCounts {
            routing: windows.saturating_add(1 + 3),
            scim: 0,
            analytics: 0,
        };
    }
    CallCounts {
        routing: 1,
        scim: 1,
        analytics: windows,
    }
}

impl Cost {
    pub(super) fn text(&self, users: u64) -> String {
        let users = match users {
            1 => "1 user".to_owned(),
            users => format!("{users} users"),
        };
        match self.quota.zip(self.per_second) {
            None => format!("{users}; no quota is set, so it takes as long as the API takes"),
            Some((quota, rate)) => {
                let least = times::about(self.at_least_seconds);
                format!(
                    "{users}, about {least} at {rate}/s ({quota} calls); longer where a user has many conversations"
                )
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub(super) fn at_rate(calls: u64, rate: Option<Rate>) -> f64 {
    match rate {
        None => 0.0,
        Some(rate) => calls as f64 / rate.per_second(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_all_calls_share_counts_all_of_them() {
        let shared = calls_of_user(13, true);
        assert_eq!((shared.routing, shared.scim, shared.analytics), (17, 0, 0));
        let apart = calls_of_user(13, false);
        assert_eq!((apart.routing, apart.scim, apart.analytics), (1, 1, 13));
    }

    #[test]
    fn the_cost_of_a_plan_is_said_in_minutes_and_with_its_quota() {
        let cost = Cost {
            at_least_seconds: 99.6,
            quota: Some("analytics"),
            per_second: Some(5.0),
        };
        assert_eq!(
            cost.text(498),
            "498 users, about 1 min 40 s at 5/s (analytics calls); longer where a user has many conversations"
        );
        let none = Cost {
            at_least_seconds: 0.0,
            quota: None,
            per_second: None,
        };
        assert!(none.text(1).starts_with("1 user; no quota is set"));
    }
}
