//! What the reads of a plan cost.

use crate::config::Cxone;
use crate::limits::Rate;
use crate::operations::times;

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

/// Each user takes a SCIM read, a routing read, and a query for each window of the history.
pub(super) fn cost(users: u64, pages: u64, cxone: &Cxone) -> Cost {
    let days = cxone.history.as_secs().div_ceil(86_400);
    let windows = cxone
        .window_days
        .map_or(1, |window| days.div_ceil(u64::from(window).max(1)))
        .clamp(1, pages);
    let quotas = [
        (
            "analytics",
            users.saturating_mul(windows),
            cxone.rate_analytics,
        ),
        ("routing", users, cxone.rate_routing),
        ("SCIM", users, cxone.rate_scim),
    ];
    let longest = quotas
        .into_iter()
        .filter_map(|(quota, calls, rate)| Some((at_rate(calls, rate), quota, rate?)))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    Cost {
        at_least_seconds: longest.map_or(0.0, |(seconds, _, _)| seconds),
        quota: longest.map(|(_, quota, _)| quota),
        per_second: longest.map(|(_, _, rate)| rate.per_second()),
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
