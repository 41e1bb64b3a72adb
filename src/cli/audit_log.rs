use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, Shown, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::Settings;
use crate::operations::when::parse_since;
use crate::registers::audit_log::{AuditEntry, AuditLog};

/// Shows the audit log: which operator changed what, when, why, and for how many
///
/// The log is in the archive store, next to the archives. An entry is written before each replay, discard, hold,
/// pause and resume, whether a command or the HTTP API asked for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  offboarder audit-log list --since 7d
  offboarder audit-log list --limit 1000 --output json")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists entries, newest first
    #[command(
        alias = "ls",
        after_help = "Example:\n  offboarder audit-log list --since 2026-11-01T00:00:00Z"
    )]
    List {
        /// Only entries since a time (2026-11-01T00:00:00Z), or of the last period (7d)
        #[arg(long, value_name = "WHEN", value_parser = parse_since)]
        since: Option<Timestamp>,
        /// Maximum number of entries
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
    let log = AuditLog::new(compose::archive_store(settings).await?, Clock::system());
    let entries = log.list(*since, *limit).await?;

    match output.output {
        Output::Json => print_json(&json!({ "acts": entries }))?,
        Output::Table => {
            say(table(columns::AUDIT_LOG, entries.iter().map(row)));
        }
    }
    Ok(Exit::Ok)
}

fn row(entry: &AuditEntry) -> [Shown; 6] {
    let details = match &entry.details {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect(),
        Value::Null => Shown::from(""),
        other => other.to_string().into(),
    };
    let why = entry.why.as_deref().unwrap_or_default();

    [
        time(entry.at).into(),
        entry.who.as_str().into(),
        entry.what.as_str().into(),
        entry.count.to_string().into(),
        why.into(),
        details,
    ]
}
