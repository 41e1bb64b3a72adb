use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::InputArgs;
use super::output::{Output, OutputArgs, Shown, json as print_json, say, table};
use crate::clock::Clock;
use crate::config::{Cxone, TenantSettings};
use crate::job::{Job, Lane};
use crate::limits::{DeletionRateLimit, Rate};
use crate::operations::plan::{Calls, Conversations, End, Plan, plan};

/// Shows what would be done to users, and changes nothing
///
/// It reads the users, their queues and their conversations, checks the guards as a worker does, and shows what a guard
/// would stop, how much there is to archive, and how long it would take under the quota. The reads count against the
/// quota that the workers share.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder plan --file leavers.csv
  offboarder plan USER_ID --output json")]
pub(crate) struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// Maximum number of pages of conversations to count per user; a user with more is shown as `at least`
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pages: u64,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &TenantSettings) -> Result<Exit, CliError> {
    let messages = args.input.read(Clock::system().now())?;
    let services =
        Arc::new(compose::unproven_services(&settings.base, &settings.cxone, "plan").await?);
    let plans = messages.into_iter().map(|message| {
        let services = Arc::clone(&services);
        async move {
            let job = Job {
                user_id: message.user_id,
                request: message.request,
                lane: Lane::Whole,
                revision: None,
                stands_in_since: None,
                continuation: false,
            };
            plan(&services, &job, args.pages).await
        }
    });
    let plans = stream::iter(plans).buffered(settings.base.worker.concurrency.max(1));
    let plans: Vec<Plan> = plans.try_collect().await?;
    let total = Total::of(&plans, &settings.cxone, settings.base.guard.max_deletions);

    match args.output.output {
        Output::Json => print_json(&json!({ "users": plans, "total": total }))?,
        Output::Table => {
            say(table(columns::PLAN, plans.iter().map(row)));
            say(total.text());
        }
    }
    let unknown = plans.iter().any(|plan| plan.end == End::NotFound);

    Ok(if unknown { Exit::Bad } else { Exit::Ok })
}

fn row(plan: &Plan) -> [String; 6] {
    let active = match plan.active {
        Some(true) => "active",
        Some(false) => "inactive",
        None => "unknown to the API",
    };
    let now = plan
        .state
        .map_or_else(|| active.to_owned(), |state| format!("{active}, {state}"));
    let guard = plan
        .guard
        .iter()
        .cloned()
        .chain(plan.delete_not_before.map(|at| format!("until {at:.0}")));

    [
        plan.user_id.to_string(),
        now,
        plan.end.as_str().to_owned(),
        plan.queues.len().to_string(),
        counted(plan.conversations),
        guard.collect::<Vec<_>>().join(", "),
    ]
}

fn counted(conversations: Conversations) -> String {
    let least = if conversations.at_least {
        "at least "
    } else {
        ""
    };
    format!("{least}{}", conversations.count)
}

/// The sums over all users.
#[derive(Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    users: usize,
    delete: usize,
    deactivate_only: usize,
    held: usize,
    protected: usize,
    done: usize,
    not_found: usize,
    delete_later: usize,
    conversations: Conversations,
    calls: Calls,
    /// Under the quotas and the deletion rate limit, if nothing else uses them.
    hours: f64,
}

impl Total {
    fn of(plans: &[Plan], cxone: &Cxone, rate_limit: Option<DeletionRateLimit>) -> Self {
        let ends = |end| plans.iter().filter(|plan| plan.end == end).count();
        let mut conversations = Conversations::default();
        let mut calls = Calls::default();

        for plan in plans {
            conversations.count += plan.conversations.count;
            conversations.pages += plan.conversations.pages;
            conversations.at_least |= plan.conversations.at_least;
            calls.routing += plan.calls.routing;
            calls.scim += plan.calls.scim;
            calls.analytics += plan.calls.analytics;
        }
        let delete = ends(End::Delete);
        let seconds = [
            at_rate(calls.routing, cxone.rate_routing),
            at_rate(calls.scim, cxone.rate_scim),
            at_rate(calls.analytics, cxone.rate_analytics),
            rate_limit.map_or(0.0, |limit| at_deletion_rate(delete, limit)),
        ];
        let seconds = seconds.into_iter().fold(0.0, f64::max);

        Self {
            users: plans.len(),
            delete,
            deactivate_only: ends(End::DeactivateOnly),
            held: ends(End::Held),
            protected: ends(End::Protected),
            done: ends(End::Done),
            not_found: ends(End::NotFound),
            delete_later: plans
                .iter()
                .filter(|plan| plan.delete_not_before.is_some())
                .count(),
            conversations,
            calls,
            hours: (seconds / 36.0).round() / 100.0,
        }
    }

    fn text(&self) -> Shown {
        let mut lines = vec![format!(
            "{} users: {} to delete ({} of them later), {} to deactivate only, {} held, {} protected, {} done, \
             {} not found",
            self.users,
            self.delete,
            self.delete_later,
            self.deactivate_only,
            self.held,
            self.protected,
            self.done,
            self.not_found
        )];
        let Calls {
            routing,
            scim,
            analytics,
        } = self.calls;
        let least = if self.conversations.at_least {
            "at least "
        } else {
            ""
        };

        lines.push(format!(
            "{} conversations; about {least}{routing} routing, {scim} SCIM and {analytics} analytics calls; \
             {least}{} h under the quota",
            counted(self.conversations),
            self.hours
        ));
        lines.into_iter().collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn at_rate(calls: u64, rate: Option<Rate>) -> f64 {
    match rate {
        None => 0.0,
        Some(rate) => calls as f64 / rate.per_second(),
    }
}

/// The first period needs no wait.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn at_deletion_rate(deletions: usize, limit: DeletionRateLimit) -> f64 {
    let periods = deletions.saturating_sub(1) / (limit.count as usize).max(1);
    periods as f64 * limit.per.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_time_depends_on_the_quotas_and_the_deletion_rate_limit() {
        assert!((at_rate(100, Rate::parse("20/s").ok()) - 5.0).abs() < 1e-9);
        assert!(at_rate(100, None).abs() < 1e-9);
        let limit = DeletionRateLimit {
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
