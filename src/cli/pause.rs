use std::sync::Arc;
use std::time::Duration;

use super::acting::{Acting, acting};
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{ActArgs, ago, say};
use crate::clock::Clock;
use crate::config::Settings;
use crate::limits::parse::positive_duration;
use crate::operations::pause::{
    PauseChange, PauseOrder, let_waiting_on, pause as pause_all, resume as resume_all,
};
use crate::people::Permission;
use crate::ports::ArchiveStore;
use crate::registers::PauseRecord;

/// Pauses all workers: they take no users, and users in progress stop at their next checkpoint
///
/// The pause is kept in the archive store, survives restarts, and reaches each worker within seconds. A pause that is in
/// force is kept, with its operator and its reason, unless `--replace` is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder pause --why 'the tenant is being migrated'
  offboarder pause --for 2h --why 'maintenance of CXone'")]
pub(crate) struct PauseArgs {
    /// End the pause by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = positive_duration)]
    lasts: Option<Duration>,
    /// Take the place of a pause that is in force
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    act: ActArgs,
}

/// Resumes all workers: they take users again
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder resume --why 'the migration is done'
  offboarder resume --intake --why 'HR confirms the list of 1,200'")]
pub(crate) struct ResumeArgs {
    /// Let those users on who wait for `OFFBOARDER_GUARD_MAX_REQUESTS` now; later ones wait again. A pause stays
    #[arg(long)]
    intake: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn pause(args: &PauseArgs, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Pause).await?;
    let store = compose::archive_store(settings).await?;
    args.act.agree("all workers will be paused. Continue?")?;
    let order = PauseOrder {
        lasts: args.lasts,
        replace: args.replace,
    };
    let change = pause_all(&store, &Clock::system(), &args.act.operator(&acting), order).await?;
    say(text(&change));
    Ok(Exit::Ok)
}

pub(super) async fn resume(args: &ResumeArgs, settings: &Settings) -> Result<Exit, CliError> {
    let acting = acting(settings, Permission::Pause).await?;
    let store = compose::archive_store(settings).await?;
    if args.intake {
        return resume_intake(args, settings, &store, &acting).await;
    }
    args.act.agree("all workers will be resumed. Continue?")?;
    let change = resume_all(&store, &Clock::system(), &args.act.operator(&acting)).await?;
    say(text(&change));
    Ok(Exit::Ok)
}

async fn resume_intake(
    args: &ResumeArgs,
    settings: &Settings,
    store: &Arc<dyn ArchiveStore>,
    acting: &Acting,
) -> Result<Exit, CliError> {
    let workers = match compose::shared_stores(settings) {
        Some(stores) => stores.workers.workers().await.ok(),
        None => None,
    };
    let waiting = workers.map(|workers| {
        let waiting = workers.iter();
        waiting
            .map(|live| live.worker.waiting_for_request_limit)
            .sum()
    });
    let known = match waiting {
        Some(1) => "1 user".to_owned(),
        Some(waiting) => format!("{waiting} users"),
        None => "an unknown number of users".to_owned(),
    };
    let question = format!("{known} without an order will be off-boarded now. Continue?");
    args.act.agree(&question)?;
    let operator = args.act.operator(acting);
    let_waiting_on(store, &Clock::system(), &operator, waiting).await?;
    say(format!(
        "{known} without an order, as workers know, are let on; each asks again within 5 minutes"
    ));
    Ok(Exit::Ok)
}

fn text(change: &PauseChange) -> String {
    match change {
        PauseChange::Paused(PauseRecord { until: None, .. }) => {
            "paused; workers follow within seconds".to_owned()
        }
        PauseChange::Paused(PauseRecord {
            until: Some(until), ..
        }) => {
            format!("paused until {until:.0}; workers follow within seconds")
        }
        PauseChange::AlreadyPaused(record) => {
            let until = record
                .until
                .map(|until| format!(", until {until:.0}"))
                .unwrap_or_default();
            format!(
                "nothing was changed: already paused by {}{until}; --replace takes its place",
                by(record)
            )
        }
        PauseChange::Resumed(_) => "resumed; workers follow within seconds".to_owned(),
        PauseChange::NotPaused(None) => "nothing was paused".to_owned(),
        PauseChange::NotPaused(Some(record)) => match record.until {
            Some(until) if record.paused => {
                format!(
                    "nothing was paused: the pause by {} ended {}",
                    by(record),
                    ago(until)
                )
            }
            _ => format!("nothing was paused: the last resume was by {}", by(record)),
        },
    }
}

/// Who, when and why.
fn by(record: &PauseRecord) -> String {
    let why = record
        .why
        .as_ref()
        .map_or_else(String::new, |why| format!(": {why}"));
    format!("{} {}{why}", record.who, ago(record.at))
}
