//! How far the log is.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::announcement::{self, Announcement};
use super::group;
use super::step::{self, Checkpoint};
use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::signed_note::VerifierKey;

/// The last step of the evidence log
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogNow {
    /// The number of the step.
    pub step: u32,
    /// Whether the key of the log signed it, and its content is what was signed. What else it says is null if not.
    pub signed: bool,
    /// How many leaves the log has after it.
    pub leaves: Option<u64>,
    /// The root of the tree after it, in lower-case hex.
    pub root: Option<String>,
    /// When it was made, as it says.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// Reads the last step; `None` if there is none.
pub(crate) async fn log_now(
    store: &dyn ArchiveStore,
    verifier: &VerifierKey,
) -> Result<Option<LogNow>, Failure> {
    let last = step::last(store, 0).await?;
    if last == 0 {
        return Ok(None);
    }
    let stored = step::read(store, last).await?;
    let read = stored.and_then(|stored| stored.open(verifier));
    let signed = read
        .as_ref()
        .and_then(|step| Checkpoint::open(&step.checkpoint, verifier));
    Ok(Some(LogNow {
        step: last,
        signed: signed.is_some(),
        leaves: signed.as_ref().map(|signed| signed.size),
        root: signed.map(|signed| hex::encode(signed.root)),
        at: read
            .and_then(|step| step.heading())
            .map(|heading| heading.at),
    }))
}

/// Whether somebody writes the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFlow {
    /// The number of the last step, and when it was made, as it says; nobody's signature is checked.
    pub last: Option<(u32, Timestamp)>,
    /// How many records of the last day were announced after it, and minutes ago.
    pub waiting: usize,
    /// The oldest of them.
    pub since: Option<Timestamp>,
}

/// An announcement that is older should be in the log where a worker writes it.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// Reads the last step and lists what was announced since.
pub(crate) async fn log_flow(store: &dyn ArchiveStore, now: Timestamp) -> Result<LogFlow, Failure> {
    let number = step::last(store, 0).await?;
    let heading = match number {
        0 => None,
        number => step::read(store, number)
            .await?
            .and_then(|stored| stored.heading()),
    };
    let before = |ago| now.saturating_sub(ago).unwrap_or(now);
    let day = before(SignedDuration::from_hours(24));
    let from = heading
        .as_ref()
        .map_or(day, |heading| heading.until.max(day));
    let to = before(WRITTEN_WITHIN);
    let announced = announcement::list(store, from, to).await?;
    let waits = |one: &&Announcement| one.at() > from && one.at() <= to;
    let waiting: Vec<&Announcement> = announced.iter().filter(waits).collect();
    let records = waiting.iter().map(|one| group::size(one).unwrap_or(1));
    Ok(LogFlow {
        last: heading.map(|heading| (number, heading.at)),
        waiting: records.sum(),
        since: waiting.first().map(|one| one.at()),
    })
}
