use super::acting::acting;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{FileArgs, Purpose, users};
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::job::{BatchId, UserId};
use crate::operations::cancel::{CancelReport, CancelTarget, Cancelling};
use crate::people::Permission;

/// The table names at most this many users of a kind; `--output json` names all.
const NAMED: usize = 20;

/// Cancels the requests of users: those not begun are dropped, those begun stop at their checkpoint and are not deleted
///
/// The cancellation is kept in the archive store, and covers each request that was made before it, also one whose message
/// comes up later. It waits for a deletion that is under way, and ends with 1 if it came too late for a user. Users who are
/// finished stay as they are. To off-board a cancelled user after all, submit the user again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder cancel --batch 2026-11 --why 'HR sent a wrong list'
  offboarder cancel 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'the user stays'
  offboarder cancel --file stay.csv --why 'HR sent a wrong list' --output json")]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    /// Cancel all requests of this batch, also those whose messages come up later
    #[arg(long, value_name = "B", conflicts_with_all = ["users", "file"])]
    batch: Option<BatchId>,
    #[command(flatten)]
    act: ActArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Submit).await?;
    let target = if let Some(batch) = &args.batch {
        CancelTarget::Batch(batch.clone())
    } else {
        let purpose = Purpose {
            consequence: "nothing was cancelled",
            output: args.output.output,
        };
        CancelTarget::Users(users(&args.users, &args.file, purpose)?)
    };
    let store = compose::archive_store(settings).await?;
    let stores = compose::user_stores(settings)?;
    let clock = Clock::system();
    let cancelling = Cancelling {
        what: "cancel",
        store: &store,
        checkpoints: &*stores.checkpoints,
        users: &*stores.users,
        batches: stores.batches.as_deref(),
        clock: &clock,
    };

    let whom = match &target {
        CancelTarget::Users(users) => format!("the requests of {} users", users.len()),
        CancelTarget::Batch(batch) => format!("all requests of batch {batch}"),
    };
    args.act
        .agree(&format!("{whom} will be cancelled. Continue?"))?;
    let cancelled = cancelling
        .cancel(&target, &args.act.operator(&acting))
        .await;
    let report = cancelled.done;

    match args.output.output {
        Output::Json => print_json(&report)?,
        Output::Table => show(&report),
    }
    if let Some(failure) = cancelled.failure {
        if report.ordered {
            say(
                "the cancellation is stored, and workers follow it; what became of the users named by no line above is unknown",
            );
        }
        return Err(failure.into());
    }
    Ok(if report.too_late.is_empty() {
        Exit::Ok
    } else {
        Exit::Bad
    })
}

fn show(report: &CancelReport) {
    if !report.ordered {
        return;
    }
    say(format!(
        "{} cancelled: {} not begun, {} begun and stopped at their checkpoint; {} keep their access",
        report.cancelled,
        report.not_begun,
        report.cancelled - report.not_begun,
        report.keep_access
    ));
    name(
        &report.stopping,
        "a worker has the user, who stops at the next checkpoint and is not deleted",
    );
    name(&report.finished, "finished before, and not changed");
    name(
        &report.not_known,
        "nothing is stored of the user; a message that was sent before is dropped when it comes up",
    );
    name(
        &report.asked_otherwise,
        "asked for in another batch, or after the cancellation: that request continues",
    );
    let too_late = report.too_late.iter();
    for user in too_late {
        say(format!("{}  {}", user.user_id, user.text));
    }
}

fn name(users: &[UserId], what: &str) {
    for user_id in users.iter().take(NAMED) {
        say(format!("{user_id}  {what}"));
    }
    if users.len() > NAMED {
        say(format!(
            "{} more: {what}; --output json names all",
            users.len() - NAMED
        ));
    }
}
