use std::io::Read as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::exit::CliError;
use crate::job::{Action, BatchId};
use crate::submit::{Overlay, Submission, read};

/// Users, and what is said of all of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InputArgs {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    /// CSV with a header holding userId, JSON Lines, or one ID a line; `-` is standard input
    #[arg(long, value_name = "F")]
    file: Option<PathBuf>,
    /// Name of the batch
    #[arg(long, value_name = "B")]
    batch_id: Option<BatchId>,
    /// How far to go: to the deletion, or to the deactivation
    #[arg(long, value_name = "ACTION", value_parser = parse_action)]
    action: Option<Action>,
    /// The deletion waits until then, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    delete_after: Option<Timestamp>,
    /// Who asks
    #[arg(long, value_name = "WHO")]
    requested_by: Option<String>,
    /// Why
    #[arg(long, value_name = "WHY")]
    reason: Option<String>,
}

/// A time (RFC 3339), or how long ago, such as `7d`.
pub(super) fn parse_since(text: &str) -> Result<Timestamp, &'static str> {
    const NEITHER: &str = "neither a time, such as 2026-11-01T00:00:00Z, nor how long ago, such as 7d";
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    ago.and_then(|ago| Timestamp::now().checked_sub(ago).ok()).ok_or(NEITHER)
}

/// What stands in a file; `-` is standard input.
pub(super) fn text_of(path: &Path) -> Result<String, CliError> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| CliError::usage(format!("cannot read standard input: {error}")))?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
        .map_err(|error| CliError::usage(format!("cannot read {}: {error}", path.display())))
}

fn parse_action(text: &str) -> Result<Action, &'static str> {
    match text {
        "delete" => Ok(Action::Delete),
        "deactivate" => Ok(Action::Deactivate),
        _ => Err("delete or deactivate"),
    }
}

impl InputArgs {
    /// Reads and checks everything before anything is done with it.
    pub(super) fn read(&self) -> Result<Submission, CliError> {
        let text = self.file.as_deref().map(text_of).transpose()?;
        let overlay = Overlay {
            batch_id: self.batch_id.clone(),
            action: self.action,
            delete_after: self.delete_after,
            requested_by: self.requested_by.clone(),
            reason: self.reason.clone(),
            requested_at: Some(Timestamp::now()),
        };
        let submission = read(&self.users, text.as_deref(), &overlay).map_err(CliError::usage)?;
        if submission.messages.is_empty() {
            return Err(CliError::usage("no users: name some, or a file that holds some"));
        }
        for (user_id, line) in &submission.duplicates {
            let place = line.map_or_else(String::new, |line| format!(" (line {line})"));
            tracing::warn!("{user_id} is named again{place}; it is taken once");
        }
        Ok(submission)
    }
}
