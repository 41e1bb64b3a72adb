//! What would be done to users; and plans that are stored, so that a second person can approve them.

mod cost;
mod desk;
mod each;
mod printer;
mod rule;
mod shown;
mod stored;
mod total;

use std::sync::Arc;

use cost::cost;
pub(super) use desk::Office;
use each::plan_all;
use printer::Printer;
use stored::Verb;
use total::Total;

use super::bar::bar;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{InputArgs, Purpose, unreadable};
use super::output::{Output, OutputArgs, say, unless_closed};
use crate::clock::Clock;
use crate::config::{Sources, TenantSettings};
use crate::failure::Failure;
use crate::job::Job;
use crate::operations::plans::{Saving, Signatory, StoredPlan};
use crate::people::Permission;
use crate::registers::plan::Planned;

/// Shows what would be done to users, and changes none of them; stores and approves plans
///
/// It reads the users, their queues and their conversations, checks the guards as a worker does, and shows what a guard
/// would stop, how much there is to archive, and how long it would take under the quota. The reads count against the
/// quota that the workers share: it says first how long they take, then prints each user as soon as it is known.
///
/// With --save the plan is stored under its digest, so that a second person can approve its deletions:
/// `OFFBOARDER_GUARD_APPROVAL`. With `deletions:N`, a plan of at most N users may also wait: for deletions that its requester
/// had in the last 24 hours, which a plan does not count.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  offboarder plan --file leavers.csv
  offboarder plan USER_ID --output json
  offboarder plan --file leavers.csv --batch-id 2026-11 --reason 'leave in November' --save
  offboarder plan approve 9f86d081884c7d65 --count 9812 --why 'HR confirms the list'"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    input: InputArgs,
    /// Maximum number of pages of conversations to count per user; a user with more is shown as `at least`
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pages: u64,
    /// Store the plan, so that a second person can approve its deletions
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    match &args.verb {
        Some(verb) => Box::pin(stored::run(verb, sources)).await,
        None => make(args, &TenantSettings::read(sources)?).await,
    }
}

async fn make(args: &Args, settings: &TenantSettings) -> Result<Exit, CliError> {
    let output = args.output.output;
    let purpose = Purpose {
        consequence: "nothing was planned",
        output,
    };
    let now = Clock::system().now();
    let store_for = saver(args, settings).await?;
    let users = args.input.read(now, purpose, |_user_id| None)?;
    let services =
        Arc::new(compose::unproven_services(&settings.base, &settings.cxone, "plan").await?);
    let count = users.checked.users;
    services.approval.plans_for(count);

    let bar = bar(count, "users");
    let mut printer = Printer::new(output, bar);
    let cost = cost(count, args.pages, &settings.cxone);
    unless_closed(printer.begin(count, &cost))?;

    let mut total = Total::default();
    let mut kept = Vec::new();
    let messages = users.input.messages(&users.checked);
    let messages = messages.map_err(|error| unreadable(&error))?;
    let jobs = messages.map(|message| {
        message
            .map(|message| Job::named(message.user_id, message.request))
            .map_err(|error| unreadable(&error))
    });
    let keep = store_for.is_some();
    let failure = plan_all(
        args.pages,
        settings,
        &services,
        jobs,
        keep,
        |plan, of_it| {
            total.add(plan);
            kept.extend(of_it);
            printer.row(plan)
        },
    )
    .await?;

    total.estimate(&settings.cxone, settings.base.guard.max_deletions);
    let saved = match (&store_for, &failure) {
        (Some((office, by)), None) => {
            let saving = Saving {
                batch: args.input.batch_id.clone(),
                at: now,
                of: Planned::Users(kept),
            };
            Some(office.desk().save(&services, saving, by).await?)
        }
        _ => None,
    };
    unless_closed(printer.end(&total, saved.as_ref(), failure.as_ref()))?;
    if let Some(failure) = failure {
        let done = total.counts.users;
        let text = format!("planned {done} of {count} users, then: {}", failure.text);
        return Err(Failure { text, ..failure }.into());
    }
    if output == Output::Table
        && let Some(plan) = &saved
    {
        say_saved(plan);
    }
    let unknown = total.counts.not_found > 0;

    Ok(if unknown { Exit::Bad } else { users.exit() })
}

/// Who stores the plan, and where, if it is to be stored. That is known before anything is read.
async fn saver(
    args: &Args,
    settings: &TenantSettings,
) -> Result<Option<(Office, Signatory)>, CliError> {
    if !args.save {
        return Ok(None);
    }
    let office = Office::open(&settings.base).await?;
    let by = office.signatory(Permission::Submit, |acting| {
        acting.operator(args.input.reason.clone())
    })?;
    Ok(Some((office, by)))
}

fn say_saved(plan: &StoredPlan) {
    let deletions = plan.said.as_ref().map_or(0, |said| said.totals.delete);
    say(format!("stored as {}", plan.digest));
    say(format!(
        "submit its users:  offboarder submit --plan {}",
        plan.digest
    ));
    say(format!(
        "another person approves it:  offboarder plan approve {} --count {deletions}",
        plan.digest
    ));
}
