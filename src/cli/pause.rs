use super::compose;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::operations::pause::change_pause;

/// Pauses all workers: they take no users, and users in progress stop at their next checkpoint
///
/// The pause is kept in the archive store, survives restarts, and reaches each worker within seconds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder pause --why 'the tenant is being migrated'")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    act: ActArgs,
}

/// Resumes all workers: they take users again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  offboarder resume --why 'the migration is done'")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn pause(args: &PauseArgs, settings: &Settings) -> Result<Exit, CliError> {
    set(&args.act, settings, true).await
}

pub(super) async fn resume(args: &ResumeArgs, settings: &Settings) -> Result<Exit, CliError> {
    set(&args.act, settings, false).await
}

async fn set(args: &ActArgs, settings: &Settings, paused: bool) -> Result<Exit, CliError> {
    let done = if paused { "paused" } else { "resumed" };
    let store = compose::archive_store(settings).await?;
    args.agree(&format!("all workers will be {done}. Continue?"))?;
    change_pause(&store, &Clock::system(), paused, &args.operator()).await?;
    say(format!("{done}; workers follow within seconds"));
    Ok(Exit::Ok)
}
