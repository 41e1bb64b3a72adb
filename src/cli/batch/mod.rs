mod report;
mod show;

use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, json as print_json, say, table};
use crate::config::Settings;
use crate::job::BatchId;
use crate::operations::batches;
use crate::ports::batches::Batches;

/// How far batches are: users that were submitted, or published, with the same batch ID
///
/// Everything is told by the records of the users themselves, as workers save them in Redis.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder batch list
  offboarder batch show 2026-11 --watch
  offboarder batch report 2026-11 > 2026-11.csv")]
pub(crate) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Shows how far a batch is
    #[command(after_help = "Example:\n  offboarder batch show 2026-11 --watch")]
    Show(show::Args),
    /// Lists batches, the latest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder batch list --limit 5 --output json"
    )]
    List {
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Prints one row for each user: finished, held, refused, given up or not yet begun
    #[command(after_help = "Example:\n  offboarder batch report 2026-11 > 2026-11.csv")]
    Report(report::Args),
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let Some(stores) = compose::shared_stores(settings) else {
        return Err(CliError::usage(
            "batches are kept in Redis: set OFFBOARDER_CHECKPOINTS_URL to what the workers have",
        ));
    };
    match &args.act {
        Act::Show(args) => show::run(args, &*stores.batches).await,
        Act::List { limit, output } => list(&*stores.batches, *limit, output.output).await,
        Act::Report(args) => report::run(args, &*stores.batches).await,
    }
}

fn unknown(batch: &BatchId) -> CliError {
    CliError::bad(format!(
        "there is no batch {batch}; `offboarder batch list` shows those there are"
    ))
}

async fn list(batches: &dyn Batches, limit: usize, output: Output) -> Result<Exit, CliError> {
    let batches = batches::list(batches, limit.max(1)).await?;
    match output {
        Output::Json => print_json(&serde_json::json!({ "batches": batches }))?,
        Output::Table => {
            let rows = batches.iter().map(|batch| {
                [
                    batch.batch_id.to_string(),
                    batch.users.to_string(),
                    batch.begun_at.to_string(),
                ]
            });
            say(table(["batch", "users", "begun"], rows));
        }
    }
    Ok(Exit::Ok)
}
