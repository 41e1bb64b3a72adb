//! Asks before many users are sent.

use crate::cli::exit::CliError;
use crate::cli::output::{ask, is_on_terminal};

/// Up to this many users are sent without a question.
const WITHOUT_A_QUESTION: u64 = 100;

/// On a terminal, the number of many users has to be typed: a wrong list seldom has the number that one expects.
pub(super) fn agree(users: u64) -> Result<(), CliError> {
    if users <= WITHOUT_A_QUESTION || !is_on_terminal() {
        return Ok(());
    }
    let answer = ask(&format!(
        "{users} users will lose their access. Which share of the tenant that is cannot be known: its API does not list users.\n\
         Type the number of users to send them: "
    ))?;
    if answer == users.to_string() {
        return Ok(());
    }
    Err(CliError::bad(format!(
        "nothing was sent: that is not {users}, the number of users"
    )))
}
