use std::io::{self, Write};

use super::page::{End, Head, Page, word};
use crate::operations::report::Row;
use crate::printable;

pub(super) struct Csv<W: Write>(::csv::Writer<W>);

impl<W: Write> Csv<W> {
    pub(super) fn new(out: W) -> Self {
        Self(::csv::Writer::from_writer(out))
    }
}

const HEADER: [&str; 31] = [
    "userId",
    "outcome",
    "askedAt",
    "askedBefore",
    "askedBy",
    "reason",
    "batchIds",
    "accessGoneAt",
    "accessGoneAfterSeconds",
    "withinTarget",
    "finishedAt",
    "conversations",
    "archive",
    "archiveBytes",
    "archiveSha256",
    "deletion",
    "deletionStatus",
    "deletionCode",
    "whyNotDeleted",
    "plan",
    "approval",
    "cancelledAt",
    "cancelledBy",
    "cancelledWhy",
    "onHoldSince",
    "onHoldBy",
    "onHoldWhy",
    "manifest",
    "manifestSha256",
    "checked",
    "findings",
];

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

impl<W: Write> Page for Csv<W> {
    fn begin(&mut self, _head: &Head) -> io::Result<()> {
        self.0.write_record(HEADER).map_err(io::Error::from)
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let hold = row.hold.as_ref();
        let cancelled = row.cancelled.as_ref();
        let batches: Vec<String> = row.batch_ids.iter().map(ToString::to_string).collect();
        let deletion = row.deletion.map(word);
        let cells = [
            row.user_id.to_string(),
            word(row.outcome),
            text(row.asked_at),
            text(row.asked_before),
            text(row.asked_by.as_ref()),
            text(row.reason.as_ref()),
            batches.join(" "),
            text(row.access_gone_at),
            text(row.access_gone_after_seconds),
            text(row.within_target),
            text(row.finished_at),
            text(row.conversations),
            text(row.archive.as_ref()),
            text(row.archive_bytes),
            text(row.archive_sha256.as_ref()),
            text(deletion),
            text(row.deletion_status),
            text(row.deletion_code.as_ref()),
            text(row.why_not_deleted.as_ref()),
            text(row.plan.as_ref()),
            text(row.approval()),
            text(cancelled.map(|order| order.at)),
            text(cancelled.map(|order| &order.who)),
            text(cancelled.and_then(|order| order.why.as_ref())),
            text(hold.map(|hold| hold.at)),
            text(hold.map(|hold| &hold.who)),
            text(hold.and_then(|hold| hold.why.as_ref())),
            text(row.manifest.as_ref()),
            text(row.manifest_sha256.as_ref()),
            word(row.checked),
            row.findings.join("; "),
        ];
        // No number of ours is negative, so no cell needs to begin with a sign.
        let cells = cells.iter().map(|cell| printable::cell(cell));
        self.0.write_record(cells).map_err(io::Error::from)
    }

    /// The file has nothing but rows: a spreadsheet would sum the sums.
    fn end(&mut self, _head: &Head, _end: &End<'_>) -> io::Result<()> {
        self.0.flush()
    }
}
