use std::time::Duration;

use super::acting::acting;
use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::follow::{Followed, Follower, progress};
use super::output::{ActArgs, Output, OutputArgs, Shown, json, say, table, time};
use crate::config::{AnySettings, Sources};
use crate::operations::dead_letters::parse_pace;
use crate::operations::operation::{OperationView, Place, ShownOperation, StopError};
use crate::people::Permission;
use crate::ports::operations::{ItemResult, OperationId, OperationKind};

/// Shows, stops and slows operations: replays, discards and checks of many
///
/// An operation works on the set that was frozen when it began. A worker does it, and another one continues if that one
/// dies; where no worker is alive, the command that began it does it itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder operations list
  offboarder operations show OPERATION_ID --output json
  offboarder operations stop OPERATION_ID --why 'CXone is slow'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists operations, newest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder operations list --limit 20"
    )]
    List {
        /// Maximum number of operations
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Only operations before this one
        #[arg(long, value_name = "OPERATION_ID")]
        cursor: Option<OperationId>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Shows an operation, and what became of each item
    #[command(after_help = "Example:\n  offboarder operations show OPERATION_ID")]
    Show {
        /// ID of the operation
        #[arg(value_name = "OPERATION_ID")]
        id: OperationId,
        /// Maximum number of items
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u64,
        /// Position of the first item
        #[arg(long, value_name = "N", default_value_t = 0)]
        cursor: u64,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Follows an operation to its end
    #[command(after_help = "Example:\n  offboarder operations follow OPERATION_ID")]
    Follow {
        /// ID of the operation
        #[arg(value_name = "OPERATION_ID")]
        id: OperationId,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stops an operation; what it did stays, and the rest of its set is unchanged
    #[command(
        after_help = "Example:\n  offboarder operations stop OPERATION_ID --why 'CXone is slow'"
    )]
    Stop {
        /// ID of the operation
        #[arg(value_name = "OPERATION_ID")]
        id: OperationId,
        #[command(flatten)]
        act: ActArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Changes the rate of an operation while it runs
    #[command(
        after_help = "Example:\n  offboarder operations rate OPERATION_ID --rate 2/s --why 'CXone is slow'"
    )]
    Rate {
        /// ID of the operation
        #[arg(value_name = "OPERATION_ID")]
        id: OperationId,
        /// Maximum rate, e.g. 5/s or 30/m
        #[arg(long, value_name = "N/s", value_parser = parse_pace)]
        rate: Duration,
        #[command(flatten)]
        act: ActArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    let settings = AnySettings::read(sources)?;
    let stores = compose::operation_stores(&settings.base).await?;
    let broker = settings.queue.as_ref().map(compose::broker).transpose()?;
    let follower = Follower::new(stores, broker);
    let place = follower.place();

    match &args.verb {
        Verb::List {
            limit,
            cursor,
            output,
        } => list(place, *cursor, *limit, output.output).await,
        Verb::Show {
            id,
            limit,
            cursor,
            output,
        } => show(place, *id, (*cursor, *limit), output.output).await,
        Verb::Follow { id, output } => {
            let view = place.glance(*id).await?;
            let view = view.ok_or_else(|| no_such_operation(*id))?;
            follow(&follower, *id, view.kind, output.output).await
        }
        Verb::Stop { id, act, output } => {
            let acting = acting(&settings.base, Permission::Replay).await?;
            act.agree(&format!("Operation {id} will be stopped. Continue?"))?;
            let kind = place.stop(*id, &act.operator(&acting)).await?;
            follow(&follower, *id, kind, output.output).await
        }
        Verb::Rate {
            id,
            rate,
            act,
            output,
        } => {
            let acting = acting(&settings.base, Permission::Replay).await?;
            act.agree(&format!(
                "The rate of operation {id} will be changed. Continue?"
            ))?;
            place.set_pace(*id, *rate, &act.operator(&acting)).await?;
            show(place, *id, (0, 0), output.output).await
        }
    }
}

impl From<StopError> for CliError {
    fn from(error: StopError) -> Self {
        match error {
            StopError::Failed(failure) => failure.into(),
            StopError::NoSuchOperation(_) | StopError::Ended { .. } => Self::bad(error),
        }
    }
}

fn no_such_operation(id: OperationId) -> CliError {
    StopError::NoSuchOperation(id).into()
}

async fn follow(
    follower: &Follower,
    id: OperationId,
    kind: OperationKind,
    output: Output,
) -> Result<Exit, CliError> {
    match follower.follow(id, kind).await? {
        Followed::Ended(_) => show(follower.place(), id, (0, 1000), output).await,
        Followed::Unrecorded(_, failure) => Err(failure.into()),
        Followed::Left => Ok(Exit::Bad),
    }
}

async fn list(
    place: &Place,
    before: Option<OperationId>,
    limit: usize,
    output: Output,
) -> Result<Exit, CliError> {
    let listed = place.list(before, limit).await?;
    if output == Output::Json {
        json(&listed)?;
        return Ok(Exit::Ok);
    }
    say(table(
        columns::OPERATIONS,
        listed.operations.iter().map(row),
    ));
    if let Some(cursor) = &listed.next_cursor {
        say(format!("older ones: --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}

fn row(view: &OperationView) -> [String; 7] {
    [
        view.id.to_string(),
        time(view.at),
        view.kind.as_str().to_owned(),
        view.state.as_str().to_owned(),
        format!("{} of {}", view.done, view.items),
        view.who.clone(),
        view.why.clone().unwrap_or_default(),
    ]
}

async fn show(
    place: &Place,
    id: OperationId,
    page: (u64, u64),
    output: Output,
) -> Result<Exit, CliError> {
    let shown = place.show(id, page.0, page.1).await?;
    let shown = shown.ok_or_else(|| no_such_operation(id))?;
    if output == Output::Json {
        json(&shown)?;
        return Ok(Exit::Ok);
    }
    say(block(&shown));
    if !shown.results.is_empty() {
        say(table(columns::ITEMS, shown.results.iter().map(item)));
    }
    if page.1 > 0
        && let Some(cursor) = &shown.next_cursor
    {
        say(format!("further items: --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}

fn block(shown: &ShownOperation) -> Shown {
    let view = &shown.operation;
    let why = view.why.as_deref().unwrap_or("no reason was given");
    let mut lines = vec![
        format!("{} {}", view.kind.as_str(), view.id),
        format!("  by {} at {}: {why}", view.who, time(view.at)),
        format!(
            "  {}; {} of {} items, {} left out at the beginning",
            progress(view),
            view.done,
            view.items,
            view.left_out
        ),
    ];
    if let Some(by) = &view.by {
        let times = match view.taken_up {
            0 | 1 => String::new(),
            times => format!("; it was taken up {times} times"),
        };
        lines.push(format!("  done by {by}{times}"));
    }
    if let Some(stop) = &view.stop {
        let why = stop.why.as_deref().unwrap_or("no reason was given");
        lines.push(format!(
            "  stopped by {} at {}: {why}",
            stop.who,
            time(stop.at)
        ));
    }
    lines.extend(view.ended_at.map(|at| format!("  ended at {}", time(at))));
    lines.extend(
        view.error
            .as_ref()
            .map(|error| format!("  failed: {error}")),
    );
    lines.into_iter().collect()
}

fn item(result: &ItemResult) -> [String; 5] {
    let user = result.user_id.map(|user| user.to_string());
    [
        result.became.as_str().to_owned(),
        result.dead_letter.clone().unwrap_or_default(),
        user.unwrap_or_default(),
        time(result.at),
        result.why.clone().unwrap_or_default(),
    ]
}
