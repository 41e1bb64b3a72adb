//! Reads the users that a command is given: as arguments, in a file, or on standard input.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::exit::{CliError, Exit};
use super::output::{Output, Shown, json as print_json};
use super::rejects::Rejects;
use crate::job::{Action, BatchId, UserId};
use crate::operations::submit::{Checked, Encoding, Faults, Input, Overlay, Reading};

/// A file of users, and how to read it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FileArgs {
    /// File of users: CSV with a header that has userId, JSON Lines, or one ID per line; `-` is standard input
    #[arg(long, value_name = "F")]
    pub(super) file: Option<PathBuf>,
    /// Name of the CSV column that holds the user ID, e.g. 'Employee ID'
    #[arg(long, value_name = "COLUMN", requires = "file")]
    id_column: Option<String>,
    /// Encoding of a file that is not UTF-8, e.g. windows-1252
    #[arg(long, value_name = "NAME", requires = "file")]
    encoding: Option<Encoding>,
}

/// The users, and what applies to all of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InputArgs {
    /// User IDs
    #[arg(value_name = "USER_ID")]
    users: Vec<String>,
    #[command(flatten)]
    pub(super) file: FileArgs,
    /// Refused with a reason: a look-up of users by another column than their ID
    #[arg(long = "match", value_name = "COLUMN", value_parser = no_look_up, hide = true)]
    look_up: Option<String>,
    /// Leave out lines with a fault and protected users, and continue with the others; ends with 1 if there was one
    #[arg(long, requires = "rejects")]
    skip_invalid: bool,
    /// File to write lines with a fault and protected users to, as CSV: line, input, why; it must not exist
    #[arg(long, value_name = "F")]
    rejects: Option<PathBuf>,
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
    pub(super) reason: Option<String>,
}

fn parse_action(text: &str) -> Result<Action, &'static str> {
    match text {
        "delete" => Ok(Action::Delete),
        "deactivate" => Ok(Action::Deactivate),
        _ => Err("delete or deactivate"),
    }
}

/// The API of the contract reads a user only by ID. A look-up that is made up from other calls could find another person.
fn no_look_up(_column: &str) -> Result<String, &'static str> {
    Err(
        "the CXone API that offboarder uses reads a user only by ID: it has no search, and its SCIM has no filter, so no \
         user can be found by e-mail address or user name; export the user IDs (a UUID each) from CXone, and join them \
         to the list",
    )
}

/// What a command does with its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// What a fault means, e.g. `nothing was sent`.
    pub(super) consequence: &'static str,
    pub(super) output: Output,
}

/// An input that was checked.
pub(super) struct Users {
    pub(super) input: Input,
    pub(super) checked: Checked,
    rejects: Option<PathBuf>,
}

impl Users {
    /// One line about the rejects, if there are any.
    pub(super) fn rejected(&self) -> Option<String> {
        let rejects = self.rejects.as_ref()?;
        let lines = match self.checked.faults.total {
            1 => "1 line was".to_owned(),
            total => format!("{total} lines were"),
        };
        Some(format!("{lines} rejected: see {}", rejects.display()))
    }

    /// A command that left out a part of its input does not end with 0.
    pub(super) const fn exit(&self) -> Exit {
        if self.checked.faults.total > 0 {
            Exit::Bad
        } else {
            Exit::Ok
        }
    }
}

impl InputArgs {
    /// Reads and checks the whole input; the users are requested `now`. `forbidden` says why a user may not be
    /// off-boarded, if so.
    pub(super) fn read(
        &self,
        now: Timestamp,
        purpose: Purpose,
        forbidden: impl Fn(UserId) -> Option<String>,
    ) -> Result<Users, CliError> {
        self.read_with(None, now, purpose, forbidden)
    }

    pub(super) const fn names_nobody(&self) -> bool {
        self.users.is_empty() && self.file.file.is_none()
    }

    /// The same; `rows` take the place of users and file.
    pub(super) fn read_with(
        &self,
        rows: Option<&[u8]>,
        now: Timestamp,
        purpose: Purpose,
        forbidden: impl Fn(UserId) -> Option<String>,
    ) -> Result<Users, CliError> {
        let overlay = Overlay {
            batch_id: self.batch_id.clone(),
            action: self.action,
            delete_after: self.delete_after,
            requested_by: self.requested_by.clone(),
            reason: self.reason.clone(),
            requested_at: Some(now),
        };
        let input = match rows {
            Some(mut rows) => Input::new(&[], Some(&mut rows), &Reading::default(), &overlay)
                .map_err(|error| unreadable(&error))?,
            None => copy(&self.users, &self.file, &overlay)?,
        };
        let mut rejects = Rejects::new(self.rejects.as_deref())?;
        let checked = input
            .check(forbidden, &mut |fault, text| rejects.add(fault, text))
            .map_err(|error| unreadable(&error))?;
        let rejects = rejects.finish()?;

        let faults = &checked.faults;
        if faults.total > 0 && !(self.skip_invalid && faults.of_file == 0) {
            return Err(refused(faults, purpose, rejects.as_deref()));
        }
        if checked.users == 0 {
            return Err(nobody(&checked, purpose));
        }
        let users = Users {
            input,
            checked,
            rejects,
        };
        for text in notices(&users.checked) {
            notice(&text);
        }
        if let Some(rejected) = users.rejected() {
            notice(&users.checked.faults.text(&rejected));
        }
        Ok(users)
    }
}

/// The IDs of the users, from arguments or a file.
pub(super) fn users(
    named: &[String],
    file: &FileArgs,
    purpose: Purpose,
) -> Result<Vec<UserId>, CliError> {
    let input = copy(named, file, &Overlay::default())?;
    let checked = input
        .check(|_user_id| None, &mut |_fault, _text| Ok(()))
        .map_err(|error| unreadable(&error))?;
    if checked.faults.total > 0 {
        return Err(refused(&checked.faults, purpose, None));
    }
    if checked.users == 0 {
        return Err(nobody(&checked, purpose));
    }
    for text in notices(&checked) {
        notice(&text);
    }
    let ids = input
        .messages(&checked)
        .and_then(|messages| messages.map(|message| Ok(message?.user_id)).collect());
    ids.map_err(|error| unreadable(&error))
}

fn copy(named: &[String], file: &FileArgs, overlay: &Overlay) -> Result<Input, CliError> {
    let failed = |place: &str, error: &std::io::Error| {
        CliError::usage(format!("cannot read {place}: {error}"))
    };
    let reading = Reading {
        encoding: file.encoding,
        id_column: file.id_column.clone(),
    };
    let copied = match file.file.as_deref() {
        None => Input::new(named, None, &reading, overlay)
            .map_err(|error| ("the arguments".to_owned(), error)),
        Some(path) if path == Path::new("-") => {
            let mut standard_input = std::io::stdin().lock();
            Input::new(named, Some(&mut standard_input), &reading, overlay)
                .map_err(|error| ("standard input".to_owned(), error))
        }
        Some(path) => File::open(path)
            .and_then(|mut file| Input::new(named, Some(&mut file), &reading, overlay))
            .map_err(|error| (path.display().to_string(), error)),
    };
    copied.map_err(|(place, error)| failed(&place, &error))
}

/// The error of an input with faults. A program that reads JSON gets them as a document, too.
fn refused(faults: &Faults, purpose: Purpose, rejects: Option<&Path>) -> CliError {
    let mut text = faults.text(purpose.consequence);
    if faults.of_file == 0
        && let Some(rejects) = rejects
    {
        let shown = rejects.display();
        let more = format!("\n  all of them are in {shown}; --skip-invalid continues without them");
        text.push_str(&more);
    }
    if purpose.output == Output::Json {
        let named = faults.named.iter();
        let named = named.map(|fault| json!({ "line": fault.line, "why": fault.what }));
        let document = json!({
            "error": purpose.consequence, "faultsTotal": faults.total, "faults": named.collect::<Vec<_>>(),
        });
        if let Err(error) = print_json(&document) {
            return error;
        }
    }
    if faults.only_forbidden() {
        CliError::refused(text)
    } else {
        CliError::usage(text)
    }
}

fn nobody(checked: &Checked, purpose: Purpose) -> CliError {
    if checked.faults.total > 0 {
        return CliError::usage(checked.faults.text(purpose.consequence));
    }
    CliError::usage("no users: name users, or a file that has users")
}

/// What the author of the input should know, though it is no fault.
fn notices(checked: &Checked) -> Vec<String> {
    let mut notices = Vec::new();
    if checked.duplicates_total > 0 {
        let lines = match checked.duplicates_total {
            1 => "1 line names a user who was named before".to_owned(),
            total => format!("{total} lines name users who were named before"),
        };
        let mut text = vec![format!("{lines}; each user is used once, as first named")];
        text.extend(checked.duplicates.iter().map(|(user_id, line)| match line {
            Some(line) => format!("  line {line}: {user_id}"),
            None => format!("  {user_id}"),
        }));
        let named = checked.duplicates.len() as u64;
        match checked.duplicates_total.saturating_sub(named) {
            0 => {}
            more => text.push(format!("  and {more} more")),
        }
        notices.push(text.join("\n"));
    }
    notices.extend(checked.contradicted.iter().map(|member| {
        let option = option_of(member);
        format!("{member} of the file wins over {option}, which applies where {member} is empty")
    }));
    notices
}

/// `--requested-by` for `requestedBy`.
fn option_of(member: &str) -> String {
    let mut option = "--".to_owned();
    for c in member.chars() {
        if c.is_ascii_uppercase() {
            option.push('-');
        }
        option.push(c.to_ascii_lowercase());
    }
    option
}

/// Says something about the input: plain text on a terminal, else a line of the log.
pub(super) fn notice(text: &str) {
    if std::io::stderr().is_terminal() {
        use std::io::Write as _;
        // A terminal that is closed ends the process by a signal.
        writeln!(std::io::stderr().lock(), "{}", Shown::paragraph(text)).ok();
    } else {
        tracing::warn!("{text}");
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> CliError {
    CliError::usage(format!("the copy of the input cannot be read: {error}"))
}
