//! The report of a batch: one row per user.

use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::{Standing, Summary};
use crate::failure::{Code, Reason};
use crate::job::UserId;
use crate::machine::{Checkpoint, DeletionOutcome, StateName};
use crate::ports::FileColumns;
use crate::printable;

/// One row of the report. A member is empty if it is unknown or did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reported {
    pub user_id: UserId,
    pub result: Standing,
    pub state: Option<StateName>,
    /// The outcome of the deletion, including held, refused and not offered.
    pub deletion: Option<DeletionOutcome>,
    /// The HTTP status of the deletion.
    pub deletion_status: Option<u16>,
    pub requested_by: Option<String>,
    pub reason: Option<String>,
    pub requested_at: Option<Timestamp>,
    /// When a read confirmed that the access was removed.
    pub access_removed_at: Option<Timestamp>,
    /// When the user was done.
    pub finished_at: Option<Timestamp>,
    /// What the user waits for: the code of a failure, or the word of a pause.
    pub waits_for: Option<String>,
    pub waits_until: Option<Timestamp>,
    /// When an operator cancelled the request.
    pub cancelled_at: Option<Timestamp>,
    /// The reason of the dead letter.
    pub dead_letter: Option<Reason>,
    /// The code of the last failure, until a later attempt succeeds.
    pub error_code: Option<Code>,
    /// The text of the last failure.
    pub error: Option<String>,
    /// The number of archived conversations.
    pub conversations: Option<u64>,
    pub archive: Option<String>,
    pub archive_sha256: Option<String>,
    pub manifest: Option<String>,
    pub manifest_sha256: Option<String>,
    /// Columns of the input file, as `submit` read them.
    #[serde(skip_serializing_if = "FileColumns::is_empty")]
    pub columns: FileColumns,
}

impl Reported {
    /// The row of a user without a readable checkpoint.
    pub(crate) fn unknown(user_id: UserId, result: Standing) -> Self {
        Self {
            user_id,
            result,
            state: None,
            deletion: None,
            deletion_status: None,
            requested_by: None,
            reason: None,
            requested_at: None,
            access_removed_at: None,
            finished_at: None,
            waits_for: None,
            waits_until: None,
            cancelled_at: None,
            dead_letter: None,
            error_code: None,
            error: None,
            conversations: None,
            archive: None,
            archive_sha256: None,
            manifest: None,
            manifest_sha256: None,
            columns: FileColumns::default(),
        }
    }

    /// The row of a checkpoint at `now`.
    pub(crate) fn of(checkpoint: &Checkpoint, now: Timestamp) -> Self {
        let state = &checkpoint.state;
        let archive = state.archive();
        let manifest = state.manifest();

        Self {
            deletion_status: state.deletion().and_then(|deletion| deletion.status),
            requested_by: checkpoint.request.requested_by.clone(),
            reason: checkpoint.request.reason.clone(),
            error_code: checkpoint.last_failure.as_ref().map(|failure| failure.code),
            error: checkpoint
                .last_failure
                .as_ref()
                .map(|failure| failure.text.clone()),
            conversations: archive.map(|archive| archive.conversations),
            archive: archive.map(|archive| archive.key.clone()),
            archive_sha256: archive.map(|archive| archive.sha256.clone()),
            manifest: manifest.map(|manifest| manifest.key.clone()),
            manifest_sha256: manifest.map(|manifest| manifest.sha256.clone()),
            ..Self::of_summary(checkpoint.user_id, Summary::from(checkpoint), now)
        }
    }

    /// The row of a summary at `now`.
    pub(crate) fn of_summary(user_id: UserId, summary: Summary, now: Timestamp) -> Self {
        let result = summary.standing(now);
        let wait = summary.wait.filter(|_| result == Standing::Waiting);
        Self {
            state: Some(summary.state),
            deletion: summary.deletion,
            requested_at: summary.requested_at,
            access_removed_at: summary.access_removed_at,
            finished_at: summary.finished_at,
            waits_until: wait.as_ref().map(|wait| wait.until),
            waits_for: wait.map(|wait| wait.why),
            cancelled_at: summary.cancelled_at,
            dead_letter: summary.dead_letter,
            ..Self::unknown(user_id, result)
        }
    }

    /// Cleans the texts that come from outside: no spreadsheet reads them as a formula, and no terminal as a command.
    #[must_use]
    pub(crate) fn for_spreadsheets(mut self) -> Self {
        let from_outside = [
            &mut self.requested_by,
            &mut self.reason,
            &mut self.error,
            &mut self.archive,
            &mut self.manifest,
        ];
        for text in from_outside.into_iter().flatten() {
            *text = printable::cell(text);
        }
        self
    }
}

/// Rows as CSV. `names` are the columns of input files that the batch keeps; they have a prefix, because offboarder did not
/// check them. The first page has a header.
pub(crate) fn csv(
    rows: Vec<Reported>,
    names: &[String],
    is_first: bool,
) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    if is_first {
        out.write_record(&header(names)?)?;
    }
    for row in rows {
        let mut row = row.for_spreadsheets();
        let columns = std::mem::take(&mut row.columns);
        let cells: Vec<String> = names
            .iter()
            .map(|name| printable::cell(columns.get(name).unwrap_or_default()))
            .collect();
        out.serialize((row, cells))?;
    }
    out.into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

fn header(names: &[String]) -> Result<csv::StringRecord, csv::Error> {
    let mut ours = csv::Writer::from_writer(Vec::new());
    let nobody = "00000000-0000-0000-0000-000000000000".parse();
    let nobody = nobody.map_err(io::Error::other)?;
    ours.serialize(Reported::unknown(nobody, Standing::NotBegun))?;
    let ours = ours.into_inner().unwrap_or_default();
    let mut header = csv::Reader::from_reader(ours.as_slice()).headers()?.clone();
    header.extend(names.iter().map(|name| format!("file.{name}")));
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printable::{ATTACKS, is_deceptive};

    #[test]
    fn a_cell_from_outside_is_no_formula_and_no_terminal_command() {
        let user_id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let of = |text: &str| {
            let text = Some(text.to_owned());
            let unknown = Reported::unknown(user_id, Standing::NotBegun);
            let row = Reported {
                requested_by: text.clone(),
                reason: text.clone(),
                error: text,
                ..unknown
            };
            let row = row.for_spreadsheets();
            [row.requested_by, row.reason, row.error].map(Option::unwrap_or_default)
        };
        for attack in ATTACKS {
            assert!(
                of(attack)
                    .iter()
                    .all(|cell| !cell.chars().any(is_deceptive)),
                "{attack:?}"
            );
        }
        for formula in ["=HYPERLINK(1)", "+1", "-1", "@a"] {
            assert!(
                of(formula)
                    .iter()
                    .all(|cell| *cell == format!("'{formula}")),
                "{formula}"
            );
        }
        assert!(of("\t=1").iter().all(|cell| cell == r"\t=1"));
    }
}
