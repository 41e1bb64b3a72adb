use serde_json::json;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table};
use super::timeline::{timeline, what_now};
use crate::config::Settings;
use crate::job::UserId;
use crate::machine::StateName;
use crate::operations::status::{Known, UserStatus};
use crate::registers::hold_of;

/// Shows the progress of users: state, history, archive, last error, next attempt
///
/// One user is shown step by step; several users are shown as a table. The exit status is 1 if a user is unknown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder status 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11
  offboarder status ID1 ID2 --output json")]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID", required = true)]
    users: Vec<UserId>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let checkpoints = compose::checkpoints(settings)?;
    let store = compose::archive_store(settings).await?;
    let mut users = Vec::new();
    let mut holds = Vec::new();
    for user_id in &args.users {
        users.push((
            *user_id,
            Known::look_up(*user_id, &*checkpoints, &*store).await?,
        ));
        holds.push(hold_of(&*store, *user_id).await?);
    }

    let unknown = users
        .iter()
        .any(|(_, known)| matches!(known, Known::Nothing));
    match (args.output.output, users.as_slice()) {
        (Output::Json, _) => {
            let users = users.iter().zip(holds);
            let users: Vec<UserStatus> = users
                .map(|((user_id, known), hold)| UserStatus::of(*user_id, known, hold))
                .collect();
            print_json(&json!({ "users": users }))?;
        }
        (Output::Table, [(_, Known::Checkpoint(checkpoint))]) => {
            timeline(checkpoint, holds.first().and_then(Option::as_ref));
        }
        (Output::Table, _) => {
            let rows = users.iter().map(|(user_id, known)| row(*user_id, known));
            say(table(["user", "state", "attempts", "what now"], rows));
        }
    }
    Ok(if unknown { Exit::Bad } else { Exit::Ok })
}

fn row(user_id: UserId, known: &Known) -> [String; 4] {
    let id = user_id.to_string();
    match known {
        Known::Checkpoint(checkpoint) => [
            id,
            checkpoint.state.name().to_string(),
            checkpoint.attempts.to_string(),
            what_now(checkpoint),
        ],
        Known::Manifest(manifest, reference) => {
            let what_now = format!("done, according to the manifest {}", reference.key);
            let state = StateName::from(manifest.status).to_string();
            [id, state, String::new(), what_now]
        }
        Known::Nothing => [
            id,
            String::new(),
            String::new(),
            "unknown: no checkpoint, no manifest".to_owned(),
        ],
    }
}
