//! The forms of the report.

use std::io;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::operations::report::{Row, Totals, Wanted};

/// What is known before the first row.
pub(super) struct Head {
    pub(super) location: String,
    pub(super) made_at: Timestamp,
    pub(super) wanted: Wanted,
}

/// What is known after the last row.
pub(super) struct End<'a> {
    pub(super) totals: &'a Totals,
    pub(super) checked: Vec<&'static str>,
    pub(super) not_checked: Vec<String>,
    /// Why rows are missing, if so.
    pub(super) stopped_by: Option<String>,
}

/// Which of the times of a user decides, for people.
pub(super) const SELECTED_BY: &str = "the time of the request: by the requester's clock, or when a worker received the \
                                      message if that was earlier; users without such a time are listed";

/// Writes rows as they are read, so that memory use does not grow with their number.
pub(super) trait Page {
    fn begin(&mut self, head: &Head) -> io::Result<()>;

    fn row(&mut self, row: &Row) -> io::Result<()>;

    fn end(&mut self, head: &Head, end: &End<'_>) -> io::Result<()>;
}

/// A word as JSON has it.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}
