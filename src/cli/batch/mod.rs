mod pause;
mod report;
mod show;
mod unknown;

use std::sync::Arc;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::operations::batches::{
    self, BatchFilter, BatchSource, ListedProgress, Readings, ShortProgress,
};
use crate::operations::fleet::FleetSources;
use crate::operations::stops::stops;
use crate::ports::batches::Batches;

/// Shows batches: users that were submitted or published with the same batch ID
///
/// The numbers come from the records of the users that workers save in Redis.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder batch list
  offboarder batch show 2026-11 --watch
  offboarder batch report 2026-11 > 2026-11.csv")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Shows the progress of a batch
    #[command(after_help = "Example:\n  offboarder batch show 2026-11 --watch")]
    Show(show::Args),
    /// Lists batches, newest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder batch list --limit 5 --output json"
    )]
    List {
        /// Maximum number of batches
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Continue behind this batch: the `nextCursor` of the page before
        #[arg(long, value_name = "C")]
        cursor: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Prints one row per user: finished, held, refused, dead-lettered or not begun
    #[command(after_help = "Example:\n  offboarder batch report 2026-11 > 2026-11.csv")]
    Report(report::Args),
    /// Pauses a batch: its users are not taken further than their next checkpoint, and not deleted
    ///
    /// Other batches continue. The pause is kept in the archive store, and uses up neither attempts nor open deliveries. A
    /// pause that is in force is kept, with its operator and its reason, unless `--replace` is given.
    #[command(
        after_help = "Example:\n  offboarder batch pause 2026-11 --for 2h --why 'HR checks the list'"
    )]
    Pause(pause::PauseArgs),
    /// Resumes a batch: its users continue within 5 minutes
    #[command(after_help = "Example:\n  offboarder batch resume 2026-11 --why 'the list is right'")]
    Resume(pause::ResumeArgs),
}

pub(super) async fn run(args: &Args, settings: &AnySettings) -> Result<Exit, CliError> {
    // A pause is kept in the archive store, so that it needs no Redis.
    match &args.verb {
        Verb::Pause(args) => return pause::pause(args, &settings.base).await,
        Verb::Resume(args) => return pause::resume(args, &settings.base).await,
        Verb::Show(_) | Verb::List { .. } | Verb::Report(_) => {}
    }
    let Some(stores) = compose::shared_stores(&settings.base) else {
        return Err(CliError::usage(
            "batches are kept in Redis: set OFFBOARDER_CHECKPOINTS_URL to the URL that the workers use",
        ));
    };
    let clock = Clock::system();
    match &args.verb {
        Verb::Show(args) => {
            let fleet =
                compose::fleet_sources(&settings.base, settings.queue.as_ref(), &stores).await;
            let shown = show::run(args, &*stores.batches, &fleet, &clock).await;
            fleet.close().await;
            shown
        }
        Verb::List {
            limit,
            cursor,
            output,
        } => {
            let fleet = compose::fleet_sources(&settings.base, None, &stores).await;
            let page = (cursor.as_deref(), limit.max(&1));
            list(&stores.batches, &fleet, page, output.output).await
        }
        Verb::Report(args) => report::run(args, &*stores.batches, clock.now()).await,
        Verb::Pause(_) | Verb::Resume(_) => Ok(Exit::Ok),
    }
}

async fn list(
    batches: &Arc<dyn Batches>,
    fleet: &FleetSources,
    (cursor, limit): (Option<&str>, &usize),
    output: Output,
) -> Result<Exit, CliError> {
    let now = Clock::system().now();
    let stops = stops(fleet, now).await;
    let all = BatchFilter::default();
    let source = BatchSource {
        store: batches,
        readings: &Readings::default(),
        until: None,
    };
    let page = batches::page(&source, &stops, &all, cursor, *limit, now).await?;
    let page = page.ok_or_else(|| {
        CliError::usage("--cursor: not a cursor of a list of batches; leave it out")
    })?;

    match output {
        Output::Json => print_json(&page)?,
        Output::Table => {
            say(table(columns::BATCHES, page.batches.iter().map(row)));
            if page.pause_unknown {
                say("whether batches are paused is unknown: the archive store cannot be read");
            }
            if let Some(cursor) = &page.next_cursor {
                say(format!("more batches: --cursor {cursor}"));
            }
        }
    }
    Ok(Exit::Ok)
}

fn row(listed: &ListedProgress) -> [String; 7] {
    let ListedProgress {
        batch,
        progress,
        pause,
        requested_by: _,
    } = listed;
    let count = |of: fn(&ShortProgress) -> u64| {
        let count = progress.as_ref().map(of);
        count.map_or_else(|| "not counted".to_owned(), |count| count.to_string())
    };
    [
        batch.batch_id.to_string(),
        batch.users.to_string(),
        time(batch.begun_at),
        count(|progress| progress.finished),
        count(|progress| progress.dead_letters),
        match pause {
            Some(pause) => format!(
                "{}, paused by {}",
                count(|progress| progress.left),
                pause.who
            ),
            None => count(|progress| progress.left),
        },
        count(|progress| progress.still_have_access),
    ]
}
