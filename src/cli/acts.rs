use jiff::Timestamp;
use serde_json::{Value, json};

use super::compose;
use super::exit::{CliError, Exit};
use super::input::parse_since;
use super::output::{Output, OutputArgs, Shown, json as print_json, say, table};
use crate::config::Settings;
use crate::registers::audit_log::{self, Act};

/// The log of operators' acts: who did what, when, why, and to how many
///
/// It is kept in the archive store, beside what it is about.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder acts list --since 7d
  offboarder acts list --limit 1000 --output json")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Shows acts, newest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder acts list --since 2026-11-01T00:00:00Z"
    )]
    List {
        /// None before: a time, or how long ago, such as 7d
        #[arg(long, value_name = "WHEN", value_parser = parse_since)]
        since: Option<Timestamp>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: OutputArgs,
    },
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Exit, CliError> {
    let Verb::List {
        since,
        limit,
        output,
    } = &args.verb;
    let store = compose::archive_store(settings).await?;
    let acts = audit_log::list(&store, *since, *limit).await?;
    match output.output {
        Output::Json => print_json(&json!({ "acts": acts }))?,
        Output::Table => {
            say(table(
                ["when", "who", "what", "how many", "why", "details"],
                acts.iter().map(row),
            ));
        }
    }
    Ok(Exit::Ok)
}

fn row(act: &Act) -> [Shown; 6] {
    let details = match &act.details {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect(),
        Value::Null => Shown::from(""),
        other => other.to_string().into(),
    };
    let why = act.why.as_deref().unwrap_or_default();
    [
        act.at.to_string().into(),
        act.who.as_str().into(),
        act.what.as_str().into(),
        act.count.to_string().into(),
        why.into(),
        details,
    ]
}
