use std::time::Duration;

use crate::cli::acting::acting;
use crate::cli::compose;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{ActArgs, ago, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::job::BatchId;
use crate::limits::parse::positive_duration;
use crate::operations::batch_pause::{BatchPauseChange, pause_batch, resume_batch};
use crate::operations::pause::PauseOrder;
use crate::people::Permission;
use crate::registers::BatchPause;

#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// Name of the batch
    #[arg(value_name = "B")]
    batch: BatchId,
    /// End the pause by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = positive_duration)]
    lasts: Option<Duration>,
    /// Take the place of a pause that is in force
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Name of the batch
    #[arg(value_name = "B")]
    batch: BatchId,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn pause(args: &PauseArgs, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Pause).await?;
    let store = compose::archive_store(settings).await?;
    let batch = &args.batch;
    args.act
        .agree(&format!("batch {batch} will be paused. Continue?"))?;
    let order = PauseOrder {
        lasts: args.lasts,
        replace: args.replace,
    };
    let operator = args.act.operator(&acting);
    let change = pause_batch(&store, &Clock::system(), &operator, batch, order).await?;
    say(text(batch, &change));
    Ok(Exit::Ok)
}

pub(super) async fn resume(args: &ResumeArgs, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Pause).await?;
    let store = compose::archive_store(settings).await?;
    let batch = &args.batch;
    args.act
        .agree(&format!("batch {batch} will be resumed. Continue?"))?;
    let operator = args.act.operator(&acting);
    let change = resume_batch(&store, &Clock::system(), &operator, batch).await?;
    say(text(batch, &change));
    Ok(Exit::Ok)
}

fn text(batch: &BatchId, change: &BatchPauseChange) -> String {
    match change {
        BatchPauseChange::Paused(pause) => {
            let until = pause
                .until
                .map_or_else(String::new, |until| format!(" until {until:.0}"));
            format!(
                "batch {batch} is paused{until}; its users stop at their next checkpoint, other batches continue"
            )
        }
        BatchPauseChange::AlreadyPaused(BatchPause {
            who,
            why,
            at,
            until,
        }) => {
            let why = why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            let until = until.map_or_else(String::new, |until| format!(", until {until:.0}"));
            format!(
                "nothing was changed: already paused by {who} {}{why}{until}; --replace takes its place",
                ago(*at)
            )
        }
        BatchPauseChange::Resumed(_) => {
            format!("batch {batch} is resumed; its users continue within 5 minutes")
        }
        BatchPauseChange::NotPaused => format!("nothing was changed: batch {batch} is not paused"),
    }
}
