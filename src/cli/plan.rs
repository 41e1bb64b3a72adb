use std::io::{Stdout, Write as _};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use indicatif::ProgressBar;
use serde_json::json;

use super::bar::{about, bar};
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{InputArgs, Purpose, Users, unreadable};
use super::output::{Output, OutputArgs, Shown, unless_closed};
use super::plan_cost::{Cost, at_rate, cost};
use crate::config::{Cxone, Settings};
use crate::failure::Failure;
use crate::job::{Job, Lane};
use crate::limits::DeletionRateLimit;
use crate::operations::plan::{Calls, Conversations, End, Plan, plan};
use crate::operations::submit::Message;
use crate::printable;
use crate::steps::Services;

/// Shows what would be done to users, and changes nothing
///
/// It reads the users, their queues and their conversations, checks the guards as a worker does, and shows what a guard
/// would stop, how much there is to archive, and how long it would take under the quota. The reads count against the
/// quota that the workers share: it says first how long they take, then prints each user as soon as it is known.
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

pub(super) async fn run(args: &Args, settings: &Settings<Cxone>) -> Result<Exit, CliError> {
    let output = args.output.output;
    let purpose = Purpose {
        consequence: "nothing was planned",
        output,
    };
    let users = args.input.read(purpose, |_user_id| None)?;
    let services = Arc::new(compose::unproven_services(settings, "plan").await?);
    let count = users.checked.users;

    let bar = bar(count, "users");
    let mut printer = Printer::new(output, bar);
    let cost = cost(count, args.pages, &settings.cxone);
    unless_closed(printer.begin(count, &cost))?;

    let mut total = Total::default();
    let failure = plan_all(args, settings, &services, &users, |plan| {
        total.add(plan);
        printer.row(plan)
    })
    .await?;

    total.estimate(&settings.cxone, settings.guard.max_deletions);
    unless_closed(printer.end(&total, failure.as_ref()))?;
    if let Some(failure) = failure {
        let done = total.users;
        let text = format!("planned {done} of {count} users, then: {}", failure.text);
        return Err(Failure { text, ..failure }.into());
    }
    let unknown = total.not_found > 0;
    Ok(if unknown { Exit::Bad } else { users.exit() })
}

/// Plans user by user, in the order of the input, until the end or the first failure. No plan is kept, so that memory use
/// does not grow with the input.
async fn plan_all(
    args: &Args,
    settings: &Settings<Cxone>,
    services: &Arc<Services>,
    users: &Users,
    mut planned: impl FnMut(&Plan) -> std::io::Result<()>,
) -> Result<Option<Failure>, CliError> {
    let messages = users.input.messages(&users.checked);
    let messages = messages.map_err(|error| unreadable(&error))?;
    let plans = messages.map(|message| {
        let services = Arc::clone(services);
        async move {
            let message = message.map_err(|error| unreadable(&error))?;
            Ok::<_, CliError>(plan(&services, &job(message), args.pages).await)
        }
    });
    let plans = stream::iter(plans).buffered(settings.worker.concurrency.max(1));
    let mut plans = std::pin::pin!(plans);
    while let Some(plan) = plans.next().await {
        match plan? {
            Ok(plan) => unless_closed(planned(&plan))?,
            Err(failure) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}

fn job(message: Message) -> Job {
    Job {
        user_id: message.user_id,
        request: message.request,
        lane: Lane::Whole,
        revision: None,
        stands_in_since: None,
        continuation: false,
    }
}

/// Prints plans as they are made.
struct Printer {
    output: Output,
    out: Stdout,
    bar: ProgressBar,
    printed: u64,
}

impl Printer {
    fn new(output: Output, bar: ProgressBar) -> Self {
        Self {
            output,
            out: std::io::stdout(),
            bar,
            printed: 0,
        }
    }

    fn begin(&mut self, users: u64, cost: &Cost) -> std::io::Result<()> {
        let text = match self.output {
            Output::Json => format!(
                "{{\n  \"cost\": {},\n  \"users\": [",
                serde_json::to_string(cost)?
            ),
            Output::Table => {
                let header = cells(&["user", "now", "would", "queues", "conversations", "guard"]);
                format!("{}\n\n{header}\n", cost.text(users))
            }
        };
        self.write(&text)
    }

    fn row(&mut self, plan: &Plan) -> std::io::Result<()> {
        let text = match self.output {
            Output::Json => {
                let comma = if self.printed > 0 { "," } else { "" };
                let plan = serde_json::to_string(plan)?;
                format!("{comma}\n    {}", printable::json(&plan))
            }
            Output::Table => {
                let row = row(plan);
                cells(&row.each_ref().map(String::as_str)) + "\n"
            }
        };
        self.printed += 1;
        self.bar.inc(1);
        self.write(&text)
    }

    fn end(&mut self, total: &Total, failure: Option<&Failure>) -> std::io::Result<()> {
        self.bar.finish_and_clear();
        let text = match self.output {
            Output::Json => {
                let rest = json!({ "total": total, "error": failure.map(|failure| &failure.text) });
                let rest = rest.to_string();
                let rest = printable::json(rest.trim_start_matches('{')).into_owned();
                format!("\n  ],\n  {rest}\n")
            }
            Output::Table => format!("\n{}\n", total.text()),
        };
        self.write(&text)
    }

    /// Each row is shown at once; on a terminal, above the bar.
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        let out = &mut self.out;
        self.bar.suspend(|| {
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }
}

/// A line of the table. The columns have fixed widths, since the rows that follow are not known yet.
fn cells(row: &[&str; 6]) -> String {
    let [user, now, would, queues, conversations, guard] = row.map(Shown::from);
    let line = format!(
        " {:36}  {:24}  {:21}  {:>6}  {:>13}  {}",
        user.as_str(),
        now.as_str(),
        would.as_str(),
        queues.as_str(),
        conversations.as_str(),
        guard.as_str()
    );
    line.trim_end().to_owned()
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
        .chain(plan.delete_not_before.map(|at| format!("until {at}")));
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
#[derive(Debug, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    users: u64,
    delete: u64,
    deactivate_only: u64,
    held: u64,
    protected: u64,
    done: u64,
    not_found: u64,
    delete_later: u64,
    conversations: Conversations,
    calls: Calls,
    /// Under the quotas and the deletion rate limit, if nothing else uses them.
    seconds: f64,
    hours: f64,
}

impl Total {
    fn add(&mut self, plan: &Plan) {
        self.users += 1;
        let end = match plan.end {
            End::Delete => &mut self.delete,
            End::DeactivateOnly => &mut self.deactivate_only,
            End::Held => &mut self.held,
            End::Protected => &mut self.protected,
            End::Done => &mut self.done,
            End::NotFound => &mut self.not_found,
        };
        *end += 1;
        self.delete_later += u64::from(plan.delete_not_before.is_some());
        self.conversations.count += plan.conversations.count;
        self.conversations.pages += plan.conversations.pages;
        self.conversations.at_least |= plan.conversations.at_least;
        self.calls.routing += plan.calls.routing;
        self.calls.scim += plan.calls.scim;
        self.calls.analytics += plan.calls.analytics;
    }

    /// How long the users take that were added.
    fn estimate(&mut self, cxone: &Cxone, rate_limit: Option<DeletionRateLimit>) {
        let seconds = [
            at_rate(self.calls.routing, cxone.rate_routing),
            at_rate(self.calls.scim, cxone.rate_scim),
            at_rate(self.calls.analytics, cxone.rate_analytics),
            rate_limit.map_or(0.0, |limit| at_deletion_rate(self.delete, limit)),
        ];
        self.seconds = seconds.into_iter().fold(0.0, f64::max).round();
        self.hours = (self.seconds / 36.0).round() / 100.0;
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
             {least}{} under the quota",
            counted(self.conversations),
            about(self.seconds)
        ));
        lines.into_iter().collect()
    }
}

/// The first period needs no wait.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn at_deletion_rate(deletions: u64, limit: DeletionRateLimit) -> f64 {
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
