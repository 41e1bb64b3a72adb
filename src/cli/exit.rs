//! Exit statuses, and the errors that end a command early.

use std::fmt;
use std::process::ExitCode;

use crate::config::Faults;
use crate::failure::{Class, Classify, Code, Failure};
use crate::operations::dead_letters::DeadLetterError;
use crate::printable;

/// The exit statuses of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    /// The command completed, but found problems.
    Bad = 1,
    Usage = 2,
    /// A service is unreachable, or refused the request.
    Unreachable = 3,
    /// A safety rule refused the command.
    Refused = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early; printed on standard error.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(super) exit: Exit,
    text: String,
}

impl CliError {
    pub(super) fn usage(text: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Usage,
            text: text.to_string(),
        }
    }

    pub(super) fn bad(text: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Bad,
            text: text.to_string(),
        }
    }

    pub(super) fn refused(text: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Refused,
            text: text.to_string(),
        }
    }

    pub(super) fn unreachable(text: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Unreachable,
            text: text.to_string(),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Faults> for CliError {
    fn from(faults: Faults) -> Self {
        let is_missing = faults
            .iter()
            .any(|fault| fault.to_string().contains(": is not set"));
        let hint = if is_missing {
            "\n  a commented file of all settings: `offboarder init`"
        } else {
            ""
        };
        Self::usage(format!("{faults}{hint}"))
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let exit = match failure.class {
            _ if failure.code == Code::SettingsUnreadable => Exit::Usage,
            Class::Systemic | Class::Transient | Class::Throttled | Class::UnknownOutcome => {
                Exit::Unreachable
            }
            Class::Permanent(_) | Class::Defect => Exit::Bad,
        };
        // The text may contain a response of a service, whose lines must not look like lines of this program.
        Self {
            exit,
            text: printable::line(&failure.text).into_owned(),
        }
    }
}

impl From<DeadLetterError> for CliError {
    fn from(error: DeadLetterError) -> Self {
        match error {
            DeadLetterError::Failed(failure) => failure.into(),
            DeadLetterError::NoSuchGroup { .. } => Self::bad(error),
            DeadLetterError::Ambiguous { .. } => Self::usage(error),
            DeadLetterError::Refused(why) => Self::refused(why),
        }
    }
}

impl<E: Classify> From<E> for CliError {
    fn from(error: E) -> Self {
        Failure::from(error).into()
    }
}
