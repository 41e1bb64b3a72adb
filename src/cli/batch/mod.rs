mod report;
mod show;
mod unknown;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::operations::batches::{self, BatchFilter, ListedProgress, ShortProgress};
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
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Prints one row per user: finished, held, refused, dead-lettered or not begun
    #[command(after_help = "Example:\n  offboarder batch report 2026-11 > 2026-11.csv")]
    Report(report::Args),
}

pub(super) async fn run(args: &Args, settings: &AnySettings) -> Result<Exit, CliError> {
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
        Verb::List { limit, output } => list(&*stores.batches, *limit, output.output).await,
        Verb::Report(args) => report::run(args, &*stores.batches, clock.now()).await,
    }
}

async fn list(batches: &dyn Batches, limit: usize, output: Output) -> Result<Exit, CliError> {
    let now = Clock::system().now();
    let filter = BatchFilter::default();
    let page = batches::page(batches, &filter, None, limit.max(1), now).await?;
    // There is a page, since no cursor was given.
    let page = page.unwrap_or_default();
    match output {
        Output::Json => print_json(&page)?,
        Output::Table => {
            say(table(columns::BATCHES, page.batches.iter().map(row)));
        }
    }
    Ok(Exit::Ok)
}

fn row(listed: &ListedProgress) -> [String; 7] {
    let ListedProgress { batch, progress } = listed;
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
        count(|progress| progress.left),
        count(|progress| progress.still_have_access),
    ]
}
