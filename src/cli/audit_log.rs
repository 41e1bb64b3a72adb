use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::compose;
use super::exit::{CliError, Exit};
use super::output::{Output, OutputArgs, Shown, json as print_json, say, table, time};
use crate::clock::Clock;
use crate::config::Settings;
use crate::job::UserId;
use crate::operations::audit_log::{AuditFilter, all};
use crate::operations::when::parse_since;
use crate::registers::audit_log::{AuditEntry, AuditLog};

/// Shows the audit log: which operator changed what, when, why, and for how many
///
/// The log is in the archive store, next to the archives. An entry is written before each replay, discard, hold,
/// pause, resume and surge lift, whether a command or the HTTP API asked for it.
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
        after_help = "Examples:\n  offboarder audit-log list --since 2026-11-01T00:00:00Z\n  offboarder audit-log list --who ada --what hold"
    )]
    List {
        /// Only entries since a time (2026-11-01T00:00:00Z), or of the last period (7d)
        #[arg(long, value_name = "WHEN", value_parser = parse_since)]
        since: Option<Timestamp>,
        /// Only entries before a time (2026-11-01T00:00:00Z), or before the last period (7d)
        #[arg(long, value_name = "WHEN", value_parser = parse_since)]
        until: Option<Timestamp>,
        /// Only entries of this operator: a part of the name, in any case
        #[arg(long, value_name = "NAME")]
        who: Option<String>,
        /// Only entries of this command: `hold` means `hold add` and `hold remove`
        #[arg(long, value_name = "COMMAND")]
        what: Option<String>,
        /// Only entries that name this user
        #[arg(long, value_name = "USER_ID")]
        user: Option<UserId>,
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
        until,
        who,
        what,
        user,
        limit,
        output,
    } = &args.verb;
    let log = AuditLog::new(compose::archive_store(settings).await?, Clock::system());
    let filter = AuditFilter {
        who: who.clone(),
        what: what.clone(),
        since: *since,
        until: *until,
        user: *user,
    };
    let entries = all(&log, &filter, *limit).await?;

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
