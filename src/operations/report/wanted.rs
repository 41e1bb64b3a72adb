//! Who belongs into the report.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::row::Row;
use crate::job::BatchId;

const NEITHER: &str = "neither a date (2026-10-01) nor a time (2026-10-01T00:00:00Z)";

/// Reads a time, or a date: its first moment in UTC.
pub(crate) fn parse_from(text: &str) -> Result<Timestamp, &'static str> {
    at(text, 0)
}

/// Reads a time, or a date: its end in UTC, since a last day is meant as a whole.
pub(crate) fn parse_to(text: &str) -> Result<Timestamp, &'static str> {
    at(text, 1)
}

fn at(text: &str, days: i64) -> Result<Timestamp, &'static str> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A time without an offset is no date, and its day is not guessed.
    let day = Some(text).filter(|text| text.len() == "2026-10-01".len());
    let day = day.and_then(|text| text.parse::<Date>().ok());
    let day = day.ok_or(NEITHER)?;
    let begin: Timestamp = format!("{day}T00:00:00Z")
        .parse()
        .map_err(|_error| NEITHER)?;
    let length = SignedDuration::from_hours(24 * days);
    begin.checked_add(length).map_err(|_error| NEITHER)
}

/// The users of the report: who was asked for from `since` and before `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub since: Timestamp,
    pub until: Timestamp,
    pub batch: Option<BatchId>,
    /// The longest time from the request to the removal of access.
    pub target: SignedDuration,
}

impl Wanted {
    /// Whether the row belongs into the report. Who was asked for at an unknown time, or in a batch that no object names, is
    /// left out only if it is certain that the row does not belong there.
    pub(super) fn has(&self, row: &Row) -> bool {
        let in_time = match row.asked_at {
            Some(at) => self.since <= at && at < self.until,
            None => row.asked_before.is_none_or(|before| before >= self.since),
        };
        let in_batch = match &self.batch {
            Some(batch) if row.is_request_known => row.batch_ids.contains(batch),
            Some(_) | None => true,
        };
        in_time && in_batch
    }
}
