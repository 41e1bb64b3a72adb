//! Reads the users that a command is given: as arguments, in a file, or on standard input.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::exit::CliError;
use crate::job::{Action, BatchId, UserId};
use crate::operations::submit::{Checked, Input, Message, Overlay};

/// The users, and what applies to all of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InputArgs {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    /// File of users: CSV with a header that has userId, JSON Lines, or one ID per line; `-` is standard input
    #[arg(long, value_name = "F")]
    file: Option<PathBuf>,
    /// Name of the batch that the users belong to
    #[arg(long, value_name = "B")]
    pub(super) batch_id: Option<BatchId>,
    /// What to do with each user: `delete`, or only `deactivate`
    #[arg(long, value_name = "ACTION", value_parser = parse_action)]
    action: Option<Action>,
    /// Earliest time of the deletion, e.g. 2026-12-31T00:00:00Z
    #[arg(long, value_name = "WHEN")]
    delete_after: Option<Timestamp>,
    /// Who requests the off-boarding
    #[arg(long, value_name = "WHO")]
    requested_by: Option<String>,
    /// Reason for the off-boarding
    #[arg(long, value_name = "WHY")]
    reason: Option<String>,
}

fn parse_action(text: &str) -> Result<Action, &'static str> {
    match text {
        "delete" => Ok(Action::Delete),
        "deactivate" => Ok(Action::Deactivate),
        _ => Err("delete or deactivate"),
    }
}

impl InputArgs {
    /// The arguments and a copy of the file, not checked yet. The users are requested `now`.
    pub(super) fn open(&self, now: Timestamp) -> Result<Input, CliError> {
        let overlay = Overlay {
            batch_id: self.batch_id.clone(),
            action: self.action,
            delete_after: self.delete_after,
            requested_by: self.requested_by.clone(),
            reason: self.reason.clone(),
            requested_at: Some(now),
        };
        copy(&self.users, self.file.as_deref(), &overlay)
    }

    /// Reads and checks the whole input.
    pub(super) fn read(&self, now: Timestamp) -> Result<Vec<Message>, CliError> {
        checked(&self.open(now)?)
    }
}

/// The IDs of the users, from arguments or a file.
pub(super) fn users(named: &[String], file: Option<&Path>) -> Result<Vec<UserId>, CliError> {
    let messages = checked(&copy(named, file, &Overlay::default())?)?;
    Ok(messages
        .into_iter()
        .map(|message| message.user_id)
        .collect())
}

fn copy(named: &[String], file: Option<&Path>, overlay: &Overlay) -> Result<Input, CliError> {
    let failed = |place: &str, error: &std::io::Error| {
        CliError::usage(format!("cannot read {place}: {error}"))
    };
    let copied = match file {
        None => {
            Input::new(named, None, overlay).map_err(|error| ("the arguments".to_owned(), error))
        }
        Some(path) if path.as_os_str() == "-" => {
            Input::new(named, Some(&mut std::io::stdin().lock()), overlay)
                .map_err(|error| ("standard input".to_owned(), error))
        }
        Some(path) => File::open(path)
            .and_then(|mut file| Input::new(named, Some(&mut file), overlay))
            .map_err(|error| (path.display().to_string(), error)),
    };
    copied.map_err(|(place, error)| failed(&place, &error))
}

fn checked(input: &Input) -> Result<Vec<Message>, CliError> {
    let ignored = check(input, |_user_id| None)?.ignored;
    if !ignored.is_empty() {
        tracing::warn!("ignored columns or members: {}", ignored.join(", "));
    }
    input
        .messages()
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(&error))
}

/// Checks the whole input, and warns of users who are in it more than once.
pub(super) fn check(
    input: &Input,
    forbidden: impl Fn(UserId) -> Option<String>,
) -> Result<Checked, CliError> {
    let checked = match input.check(forbidden).map_err(|error| unreadable(&error))? {
        Ok(checked) => checked,
        Err(faults) if faults.only_forbidden() => return Err(CliError::refused(faults)),
        Err(faults) => return Err(CliError::usage(faults)),
    };
    if checked.users == 0 {
        return Err(CliError::usage(
            "no users: name users, or a file that has users",
        ));
    }
    for (user_id, line) in &checked.duplicates {
        let place = line.map_or_else(String::new, |line| format!(" (line {line})"));
        tracing::warn!("{user_id} is named again{place}; it is used once");
    }
    match checked
        .duplicates_total
        .saturating_sub(checked.duplicates.len() as u64)
    {
        0 => {}
        more => tracing::warn!("{more} more users are named again; each is used once"),
    }

    Ok(checked)
}

pub(super) fn unreadable(error: &std::io::Error) -> CliError {
    CliError::usage(format!("the copy of the input cannot be read: {error}"))
}
