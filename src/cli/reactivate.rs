use std::sync::Arc;

use super::acting::acting;
use super::compose;
use super::exit::{CliError, Exit};
use super::input::{FileArgs, Purpose, users};
use super::output::{ActArgs, Output, OutputArgs, json as print_json, say};
use crate::config::TenantSettings;
use crate::manifest::NotGivenBack;
use crate::operations::reactivate::{
    Outcome, ReactivateReport, Reactivating, Refusal, UserReactivated,
};
use crate::people::Permission;

/// Gives users back what their off-boarding took, unless their deletion is decided
///
/// It cancels the off-boarding, decides once that the user is not deleted, and gives back what the before-image names: the
/// account is active again, with the queues, skills and groups of before. A before-image is stored where time passes before
/// the deletion: `OFFBOARDER_GUARD_DELETE_GRACE`, or `deleteAfter`. What could not be given back is listed, and the command
/// ends with 1; done again, it tries those once more. A deletion that is decided is refused (4).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder reactivate 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'HR sent a wrong list'
  offboarder reactivate --file stay.csv --why 'HR sent a wrong list' --output json")]
pub(crate) struct Args {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    act: ActArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: &Args, settings: &TenantSettings) -> Result<Exit, CliError> {
    let acting = acting(&settings.base, Permission::Submit).await?;
    let purpose = Purpose {
        consequence: "nobody was reactivated",
        output: args.output.output,
    };
    let users = users(&args.users, &args.file, purpose)?;
    let whom = format!("{} users will be reactivated. Continue?", users.len());
    args.act.agree(&whom)?;

    let stores = compose::user_stores(&settings.base)?;
    let shared = (Arc::clone(&stores.checkpoints), Arc::clone(&stores.quotas));
    let services =
        compose::services_over(shared, &settings.base, &settings.cxone, "reactivate").await?;
    let reactivating = Reactivating {
        services: &services,
        users: &*stores.users,
        batches: stores.batches.as_deref(),
    };
    let reactivated = reactivating
        .reactivate(&users, &args.act.operator(&acting))
        .await;
    let report = reactivated.done;

    match args.output.output {
        Output::Json => print_json(&report)?,
        Output::Table => report.users.iter().for_each(show),
    }
    if let Some(failure) = reactivated.failure {
        say("not all users are done; the same command continues where it stopped");
        return Err(failure.into());
    }
    Ok(exit(&report))
}

fn exit(report: &ReactivateReport) -> Exit {
    let refusals = report.users.iter().filter_map(|user| user.refusal);
    if refusals.into_iter().any(Refusal::is_safety) {
        return Exit::Refused;
    }
    let is_good = |user: &UserReactivated| match user.outcome {
        Outcome::Reactivated | Outcome::AlreadyReactivated => true,
        Outcome::Incomplete | Outcome::Refused => false,
    };
    if report.users.iter().all(is_good) {
        Exit::Ok
    } else {
        Exit::Bad
    }
}

fn show(user: &UserReactivated) {
    let user_id = user.user_id;
    let text = user.text.as_deref().unwrap_or_default();
    match user.outcome {
        Outcome::Refused => say(format!("{user_id}  not reactivated: {text}")),
        Outcome::AlreadyReactivated => say(format!("{user_id}  {text}; nothing was changed")),
        Outcome::Reactivated | Outcome::Incomplete => {
            let record = user.record.as_deref().unwrap_or_default();
            say(format!(
                "{user_id}  reactivated: {} given back, {} were there already, {} could not be given back; {record}",
                user.given_back.len(),
                user.there_already.len(),
                user.not_given_back.len() + user.lost.len(),
            ));
        }
    }
    for NotGivenBack { possession, why } in user.not_given_back.iter().chain(&user.lost) {
        let line = format!(
            "not given back: {} {}",
            possession.kind, possession.reference
        );
        say(format!("{user_id}  {line}: {why}"));
    }
}
