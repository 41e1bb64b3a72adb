mod args;
mod discard;
mod listing;
mod replay;

use super::exit::{CliError, Exit};
use super::output::OutputArgs;
use crate::config::{BrokerSettings, Sources, WorkerSettings};
use args::{DiscardArgs, FilterArgs, ReplayArgs};

/// Lists, replays and discards dead letters
///
/// Listing takes no dead letter off the queue. A replay works on the dead letters that are in the queue when it begins, and
/// resumes each user at the last completed step. After an interruption, the same command continues.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder dead-letters groups
  offboarder dead-letters list --reason retries_exhausted --since 2h
  offboarder dead-letters replay --reason retries_exhausted --canary --why 'CXone is back'
  offboarder dead-letters discard --user 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11 --why 'left the tenant'")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists dead letters, oldest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder dead-letters list --batch 2026-11"
    )]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Counts dead letters by fault, and says whether a replay is safe now
    #[command(after_help = "Example:\n  offboarder dead-letters groups --output json")]
    Groups {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Shows dead letters with headers, properties and body
    #[command(after_help = "Example:\n  offboarder dead-letters show DEAD_LETTER_ID")]
    Show {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Publishes the messages of dead letters again, with fresh attempts
    #[command(
        after_help = "Example:\n  offboarder dead-letters replay --canary --rate 5/s --why 'CXone is back'"
    )]
    Replay(ReplayArgs),
    /// Takes dead letters off the queue for good, after a copy of each is in the archive store
    #[command(
        after_help = "Example:\n  offboarder dead-letters discard DEAD_LETTER_ID --why 'a test of HR'"
    )]
    Discard(DiscardArgs),
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::List { filter, output } => {
            listing::list(filter, output.output, &BrokerSettings::read(sources)?).await
        }
        Verb::Show { filter, output } => {
            listing::show(filter, output.output, &BrokerSettings::read(sources)?).await
        }
        Verb::Groups { filter, output } => {
            Box::pin(listing::show_groups(
                filter,
                output.output,
                &WorkerSettings::read_for_replay(sources)?,
            ))
            .await
        }
        Verb::Replay(args) => {
            Box::pin(replay::replay(
                args,
                &WorkerSettings::read_for_replay(sources)?,
            ))
            .await
        }
        Verb::Discard(args) => discard::discard(args, &BrokerSettings::read(sources)?).await,
    }
}
