use jiff::Timestamp;
use serde_json::json;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, say_fleet, table};
use super::timeline::{access, timeline, what_now};
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::job::UserId;
use crate::operations::status::{Requests, UserStatus};

/// Shows the progress of users: state, access, archive, deletion, last error, next attempt
///
/// One user is shown with a summary and each step; several users are shown as a table. The exit status is 1 if a user is
/// unknown, or has a dead letter.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder status 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11
  offboarder status 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --calls
  offboarder status ID1 ID2 --output json")]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID", required = true)]
    users: Vec<UserId>,
    /// Show each call to CXone, too
    #[arg(long)]
    calls: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &AnySettings) -> Result<Exit, CliError> {
    let statuses = look_up(&args.users, settings).await?;
    let failed = statuses
        .iter()
        .any(|status| status.is_unknown() || status.failed());
    let fleet = compose::fleet_now(&settings.base, settings.queue.as_ref()).await;

    let now = Clock::system().now();
    match (args.output.output, statuses.as_slice()) {
        (Output::Json, _) => print_json(&json!({ "users": statuses, "fleet": fleet }))?,
        (Output::Table, [status]) if status.progress.is_some() => {
            say_fleet(fleet.as_ref());
            timeline(status, args.calls, now);
        }
        (Output::Table, _) => {
            say_fleet(fleet.as_ref());
            let rows = statuses.iter().map(|status| row(status, now));
            say(table(columns::STATUS, rows));
        }
    }
    Ok(if failed { Exit::Bad } else { Exit::Ok })
}

async fn look_up(users: &[UserId], settings: &AnySettings) -> Result<Vec<UserStatus>, CliError> {
    let store = compose::archive_store(&settings.base).await?;
    let stores = compose::user_stores(&settings.base)?;
    let requests = Requests {
        users: &*stores.users,
        batches: stores.batches.as_deref(),
    };
    let mut statuses = Vec::new();
    for user_id in users {
        let status = UserStatus::look_up(*user_id, &*stores.checkpoints, &store, &requests);
        statuses.push(status.await?);
    }
    Ok(statuses)
}

fn row(status: &UserStatus, now: Timestamp) -> [String; 5] {
    let attempts = status.progress.as_ref();
    let attempts = attempts.map_or_else(String::new, |progress| progress.attempts.to_string());
    [
        status.user_id.to_string(),
        status
            .state
            .map_or_else(String::new, |state| state.to_string()),
        access(status, now),
        attempts,
        what_now(status, now),
    ]
}
