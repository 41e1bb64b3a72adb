use std::sync::Arc;

use serde_json::json;

use super::acting::acting;
use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{self, FileArgs, Purpose};
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::Settings;
use crate::failure::{Class, Code, Failure};
use crate::guards::Hold;
use crate::job::UserId;
use crate::operations::holds::{HoldChanged, Holds};
use crate::people::Permission;
use crate::ports::ArchiveStore;
use crate::registers::{HoldRecords, OnHold};

/// Manages legal holds: users on hold are deactivated and archived, but never deleted
///
/// A worker reads the holds right before each DELETE. `add` reads the hold back in the same way, waits for a deletion that
/// was already under way, and ends with 1 if the hold came too late for a user. To delete a user whose off-boarding ended
/// at a hold, lift the hold and submit the user again with `--action delete`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder hold add 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'case 4711'
  offboarder hold add --file held.csv --why 'case 4711'
  offboarder hold list --output json")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Puts users on hold
    #[command(after_help = "Example:\n  offboarder hold add USER_ID --why 'case 4711'")]
    Add(Change),
    /// Lifts holds
    #[command(
        after_help = "Example:\n  offboarder hold remove USER_ID --why 'case 4711 is closed'"
    )]
    Remove(Change),
    /// Lists users who are on hold; with IDs, only those users
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder hold list --output json"
    )]
    List {
        /// User IDs
        #[arg(value_name = "USER_ID")]
        users: Vec<UserId>,
        #[command(flatten)]
        output: OutputArgs,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// User IDs
    #[arg(value_name = "USER_ID", required_unless_present = "file")]
    users: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::Add(change) => set(settings, change, true).await,
        Verb::Remove(change) => set(settings, change, false).await,
        Verb::List { users, output } => {
            let store = compose::archive_store(settings).await?;
            list(store, users, output.output).await
        }
    }
}

async fn set(settings: &Settings, change: &Change, on: bool) -> Result<Exit, CliError> {
    let permission = if on {
        Permission::Hold
    } else {
        Permission::LiftHold
    };
    let acting = acting(settings, permission).await?;
    let word = if on { "put on hold" } else { "taken off hold" };
    let purpose = Purpose {
        consequence: "no hold was changed",
        output: Output::Table,
    };
    let users = input::users(&change.users, &change.file, purpose)?;
    change
        .act
        .agree(&format!("{} users will be {word}. Continue?", users.len()))?;
    let store = compose::archive_store(settings).await?;
    // Another process may have the embedded checkpoints open.
    let checkpoints = compose::checkpoints(settings).map_err(|error| {
        Failure::new(
            Class::Systemic,
            Code::CheckpointsUnreachable,
            error.to_string(),
        )
    });
    let holds = Holds {
        store: &store,
        checkpoints: checkpoints.as_deref(),
        clock: &Clock::system(),
    };
    let changed = holds
        .change(&users, on, &change.act.operator(&acting))
        .await;

    for HoldChanged {
        user_id,
        already,
        warning,
    } in &changed.done
    {
        let done = already
            .as_ref()
            .map_or_else(|| word.to_owned(), already_on_hold);
        let warning = warning
            .as_ref()
            .map(|warning| format!("; {warning}"))
            .unwrap_or_default();
        say(format!("{user_id} {done}{warning}"));
    }
    if let Some(failure) = changed.failure {
        return Err(failure.into());
    }
    let is_warned = changed.done.iter().any(|changed| changed.warning.is_some());
    Ok(if is_warned { Exit::Bad } else { Exit::Ok })
}

fn already_on_hold(hold: &Hold) -> String {
    let why = hold.why.as_ref();
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("already on hold since {:.0} by {}{why}", hold.at, hold.who)
}

async fn list(
    store: Arc<dyn ArchiveStore>,
    users: &[UserId],
    output: Output,
) -> Result<Exit, CliError> {
    let mut acts = HoldRecords::list(&*store).await?;
    if !users.is_empty() {
        acts.retain(&users.iter().copied().collect());
    }
    let holds = acts.holds(&store).await?;
    let holds: Vec<OnHold> = holds
        .into_iter()
        .map(|(user_id, hold)| OnHold::new(user_id, hold))
        .collect();
    if output == Output::Json {
        print_json(&json!({ "holds": holds }))?;
    } else {
        let rows = holds.iter().map(|hold| {
            let why = hold.why.clone().unwrap_or_default();
            [
                hold.user_id.to_string(),
                time(hold.at),
                hold.who.clone(),
                why,
            ]
        });
        say(table(columns::HOLDS, rows));
    }
    let missing = users
        .iter()
        .any(|user_id| !holds.iter().any(|hold| hold.user_id == *user_id));

    Ok(if missing { Exit::Bad } else { Exit::Ok })
}
