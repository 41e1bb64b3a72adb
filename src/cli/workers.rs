use std::io::IsTerminal as _;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, Shown, json as print_json, redraw, say, table};
use crate::clock::Clock;
use crate::config::AnySettings;
use crate::operations::fleet::{Fleet, fleet_of};
use crate::operations::times;
use crate::ports::{LaneSlots, LiveWorker, WorkerRegistry};

/// Shows every worker that is alive: release, slots, lanes, and whether it takes users, or why not
///
/// Each worker sends a heartbeat every five seconds; one that died is no longer listed after 15 seconds. The exit status is
/// 1 if no worker takes users.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder workers
  offboarder workers --watch
  offboarder workers --output json")]
pub(crate) struct Args {
    /// Refresh every two seconds until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn run(args: &Args, settings: &AnySettings) -> Result<Exit, CliError> {
    let Some(stores) = compose::shared_stores(&settings.base) else {
        return Err(CliError::usage(
            "workers announce themselves in Redis: set OFFBOARDER_CHECKPOINTS_URL to the URL that the workers use",
        ));
    };
    let sources = compose::fleet_sources(&settings.base, settings.queue.as_ref(), &stores).await;
    let mut drawn = 0;
    loop {
        let now = Clock::system().now();
        let workers = list(&*stores.workers).await?;
        let state = fleet_of(&sources, &workers, now).await;
        match args.output.output {
            Output::Json => print_json(&json!({ "workers": workers, "fleet": state }))?,
            Output::Table if args.watch && std::io::stdout().is_terminal() => {
                drawn = redraw(&text(&workers, &state, now), drawn);
            }
            Output::Table => say(text(&workers, &state, now)),
        }
        if !args.watch {
            sources.close().await;
            let takes = workers.iter().any(|live| live.worker.ready);
            return Ok(if takes { Exit::Ok } else { Exit::Bad });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn list(registry: &dyn WorkerRegistry) -> Result<Vec<LiveWorker>, CliError> {
    Ok(registry.workers().await?)
}

fn text(workers: &[LiveWorker], state: &Fleet, now: Timestamp) -> Shown {
    let mut lines: Vec<Shown> = state.to_string().lines().map(Shown::from).collect();
    if !workers.is_empty() {
        let rows = workers.iter().map(|live| row(live, now));
        lines.push(table(columns::WORKERS, rows));
    }
    lines.into_iter().collect()
}

fn row(live: &LiveWorker, now: Timestamp) -> [String; 7] {
    let worker = &live.worker;
    let lane = |slots: LaneSlots| format!("{} of {}", slots.in_use, slots.slots);
    let lanes = worker.lanes;
    let unknown = || "unknown".to_owned();
    let since = worker
        .not_ready_since
        .map_or_else(String::new, |since| format!(" (since {since:.0})"));
    let takes = if worker.ready {
        "yes".to_owned()
    } else {
        format!("no: {}{since}", worker.causes.join("; "))
    };
    [
        worker.name.clone(),
        worker.version.clone(),
        times::ago(worker.since, now),
        format!("{} of {}", worker.in_flight, worker.concurrency),
        lanes.map_or_else(unknown, |lanes| lane(lanes.access)),
        lanes.map_or_else(unknown, |lanes| lane(lanes.archive)),
        takes,
    ]
}
