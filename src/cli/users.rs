use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::job::BatchId;
use crate::machine::StateName;
use crate::operations::times;
use crate::operations::users::{
    AccessTotal, ListedUser, NoList, UserFilter, UserPage, UserSources, list,
};
use crate::ports::batches::Standing;

/// Lists users: who still has access, who waits for what, who is in which state
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder users list --access
  offboarder users list --batch 2026-11 --state Archived
  offboarder users list --waiting-for not_due --output json")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists users
    ///
    /// With `--access`, only users who can still sign in, the one who was asked for first at the head: those who wait, who
    /// have not begun, or who have a dead letter. Without `--access` and `--batch`, all users with a checkpoint, in no
    /// order.
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder users list --access --limit 20"
    )]
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Only users who still have access
    #[arg(long)]
    access: bool,
    /// Only users in this state: the last completed step
    #[arg(long, value_name = "S", value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Only users who wait for this: a failure code, `not_due`, `brake`, `not_converged`, `deletion_pending`, `batch_paused`, `request_limit`, `not_approved`, `plan_moved` and the other words that begin with `plan_`
    #[arg(long, value_name = "W")]
    waiting_for: Option<String>,
    /// Only users of this batch
    #[arg(long, value_name = "B")]
    batch: Option<BatchId>,
    /// Maximum number of users
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Continue where an earlier list ended; it printed the cursor
    #[arg(long, value_name = "C")]
    cursor: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

const STATES: [&str; 6] = [
    "Received",
    "QueuesCleared",
    "Deactivated",
    "Archived",
    "Deleted",
    "DeactivatedOnly",
];

pub(super) async fn run(args: &Args, settings: &AnySettings) -> Result<Exit, CliError> {
    let Verb::List(args) = &args.verb;
    let state = args.state.as_ref().map(|state| {
        serde_json::from_value::<StateName>(state.as_str().into()).map_err(CliError::usage)
    });
    let filter = UserFilter {
        why: None,
        dead_letter: false,
        asked_before: None,
        id_begins: None,
        removed: None,
        access: args.access,
        state: state.transpose()?,
        waiting_for: args.waiting_for.clone(),
        batch: args.batch.clone(),
    };
    let stores = compose::user_stores(&settings.base)?;
    let sources = UserSources {
        users: &*stores.users,
        batches: stores.batches.as_deref(),
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let now = Clock::system().now();
    let page = list(&sources, &filter, args.cursor.as_deref(), limit, now).await;
    let page = page.map_err(|why| match why {
        NoList::BadCursor => {
            CliError::usage("--cursor: not a cursor of a list with these filters; leave it out")
        }
        NoList::NoBatches => CliError::usage(
            "batches are kept in Redis: set OFFBOARDER_CHECKPOINTS_URL to the URL that the workers use",
        ),
        NoList::NoSuchBatch(batch) => CliError::bad(format!(
            "batch {batch} does not exist; `offboarder batch list` shows the batches"
        )),
        NoList::Failed(failure) => failure.into(),
    })?;

    match args.output.output {
        Output::Json => print_json(&page)?,
        Output::Table => show(&page, now),
    }
    Ok(Exit::Ok)
}

fn show(page: &UserPage, now: Timestamp) {
    if let Some(access) = &page.access {
        total(access, now).into_iter().for_each(say);
    }
    if !page.users.is_empty() {
        let rows = page.users.iter().map(|user| row(user, now));
        say(table(columns::USERS, rows));
    }
    match &page.next_cursor {
        Some(cursor) => say(format!("more users: --cursor {cursor}")),
        None if page.users.is_empty() => say("no users"),
        None => {}
    }
}

/// What the number does not contain is said with it.
fn total(access: &AccessTotal, now: Timestamp) -> [String; 2] {
    let longest = access.since.map_or_else(String::new, |since| {
        format!(
            ", the longest for {}",
            times::span(now.duration_since(since))
        )
    });
    let known = access.complete_since.map_or_else(
        || "unknown since when".to_owned(),
        |since| format!("since {since:.0}"),
    );
    [
        format!("still have access  {}{longest}", access.users),
        format!(
            "not known: users whose messages no worker has taken, and who were not sent by `offboarder submit` (the index is complete {known})"
        ),
    ]
}

fn row(user: &ListedUser, now: Timestamp) -> [String; 6] {
    let access = match (user.has_access, user.requested_at, user.access_removed_at) {
        (None, _, _) => "unknown".to_owned(),
        (Some(true), Some(asked), _) => {
            format!("yes, for {}", times::span(now.duration_since(asked)))
        }
        (Some(true), None, _) => "yes".to_owned(),
        (Some(false), Some(asked), Some(gone)) => {
            format!("gone after {}", times::span(gone.duration_since(asked)))
        }
        (Some(false), _, _) => "no".to_owned(),
    };
    let text = |at: Option<Timestamp>| at.map_or_else(String::new, time);
    [
        user.user_id.to_string(),
        user.state
            .map_or_else(String::new, |state| state.to_string()),
        access,
        text(user.requested_at),
        what_now(user, now),
        user.batch_id
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
    ]
}

fn what_now(user: &ListedUser, now: Timestamp) -> String {
    match (user.standing, user.dead_letter, user.waits_until) {
        (Standing::DeadLetter, Some(reason), _) => format!("dead letter {reason}"),
        (Standing::Waiting, _, Some(until)) => format!(
            "waits for {}, {}",
            user.waits_for.as_deref().unwrap_or("an unknown cause"),
            times::due(until, now)
        ),
        (Standing::NotBegun, _, _) => "not begun".to_owned(),
        (Standing::Cancelled, _, _) => "cancelled".to_owned(),
        (Standing::Unreadable, _, _) => {
            "unreadable: a later release saved it; upgrade this binary".to_owned()
        }
        (Standing::Finished, _, _) => "finished".to_owned(),
        (Standing::DeadLetter | Standing::Waiting | Standing::UnderWay, _, _) => {
            "in progress".to_owned()
        }
    }
}
