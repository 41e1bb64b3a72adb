mod args;
mod discard;
mod filter_args;
mod groups;
mod handling;
mod listing;
mod replay;

use super::exit::{CliError, Exit};
use super::output::OutputArgs;
use crate::config::{BrokerSettings, Sources, WorkerSettings};
use crate::operations::dead_letters::GroupChange;
use args::{DiscardArgs, GroupArgs, IgnoreArgs, NoteArgs, ReplayArgs, ResolveArgs};
use filter_args::FilterArgs;

/// Lists, groups, replays and discards dead letters
///
/// Listing takes no dead letter off the queue. A replay works on the dead letters that are in the queue when it begins, and
/// resumes each user at the last completed step. After an interruption, the same command continues.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder dead-letters groups
  offboarder dead-letters list --reason retries_exhausted --since 2h
  offboarder dead-letters replay --group 2d1f54 --canary --why 'CXone is back'
  offboarder dead-letters ignore 2d1f54 --until 7d --why 'ticket 4711 with the vendor'
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
    ///
    /// A group is all dead letters with the same fault: code, step and text without IDs and numbers. Open groups come first.
    /// Each has its state, who still has access, what became of the last replay, and the command to run next.
    #[command(after_help = "Example:\n  offboarder dead-letters groups --output json")]
    Groups {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Shows dead letters with headers, properties and body, and whether a replay is safe now
    #[command(after_help = "Example:\n  offboarder dead-letters show DEAD_LETTER_ID")]
    Show {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Publishes the messages of dead letters again, with fresh attempts
    #[command(
        after_help = "Example:\n  offboarder dead-letters replay --group 2d1f54 --canary --rate 5/s --why 'CXone is back'"
    )]
    Replay(ReplayArgs),
    /// Takes dead letters off the queue for good, after a copy of each is in the archive store
    #[command(
        after_help = "Example:\n  offboarder dead-letters discard DEAD_LETTER_ID --why 'a test of HR'"
    )]
    Discard(DiscardArgs),
    /// Writes a note to a group, for the next operator
    #[command(
        after_help = "Example:\n  offboarder dead-letters note 2d1f54 'ticket 4711 with the vendor'"
    )]
    Note(NoteArgs),
    /// Ignores a group until a time
    ///
    /// Refused while somebody in the group may still have access. The group is open again at that time, and at once when a
    /// dead letter of somebody arrives who still has access.
    #[command(
        after_help = "Example:\n  offboarder dead-letters ignore 2d1f54 --until 7d --why 'the vendor works on it'"
    )]
    Ignore(IgnoreArgs),
    /// Marks the fault of a group as fixed; the group is open again when a newer dead letter arrives
    #[command(
        after_help = "Example:\n  offboarder dead-letters resolve 2d1f54 --release 0.3.0 --why 'fixed by the vendor'"
    )]
    Resolve(ResolveArgs),
    /// Opens a group again
    #[command(
        after_help = "Example:\n  offboarder dead-letters reopen 2d1f54 --why 'it was not the vendor'"
    )]
    Reopen(GroupArgs),
}

pub(super) async fn run(args: &Args, sources: &Sources) -> Result<Exit, CliError> {
    match &args.verb {
        Verb::List { filter, output } => {
            listing::list(filter, output.output, &BrokerSettings::read(sources)?).await
        }
        Verb::Show { filter, output } => {
            Box::pin(listing::show(filter, output.output, sources)).await
        }
        Verb::Groups { filter, output } => {
            Box::pin(groups::show_groups(
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
        Verb::Note(args) => {
            let change = GroupChange::Note(args.note.clone());
            handling::change(&args.group, &change, sources).await
        }
        Verb::Ignore(args) => {
            let change = GroupChange::Ignore {
                until: Some(args.until),
                more: None,
            };
            handling::change(&args.group, &change, sources).await
        }
        Verb::Resolve(args) => {
            let release = args.release.clone();
            let change = GroupChange::Resolve { release };
            handling::change(&args.group, &change, sources).await
        }
        Verb::Reopen(args) => handling::change(args, &GroupChange::Reopen, sources).await,
    }
}
