use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use super::bar::bar;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{InputArgs, Purpose, Users, unreadable};
use super::output::{OutputArgs, unless_closed};
use super::plan_cost::cost;
use super::plan_printer::Printer;
use super::plan_total::Total;
use crate::clock::Clock;
use crate::config::TenantSettings;
use crate::failure::Failure;
use crate::job::{Job, Lane};
use crate::operations::plan::{Plan, plan};
use crate::operations::submit::Message;
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

pub(super) async fn run(args: &Args, settings: &TenantSettings) -> Result<Exit, CliError> {
    let output = args.output.output;
    let purpose = Purpose {
        consequence: "nothing was planned",
        output,
    };
    let now = Clock::system().now();
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
    let failure = plan_all(args, settings, &services, &users, |plan| {
        total.add(plan);
        printer.row(plan)
    })
    .await?;

    total.estimate(&settings.cxone, settings.base.guard.max_deletions);
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
    settings: &TenantSettings,
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
    let plans = stream::iter(plans).buffered(settings.base.worker.concurrency.max(1));
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
        admitted: true,
    }
}
