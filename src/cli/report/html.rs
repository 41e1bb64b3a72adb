//! A page to read and to print. It needs no other file and runs no script, and every text in it is escaped.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};

use indicatif::HumanBytes;
use jiff::Timestamp;

use super::page::{End, Head, Page, SELECTED_BY};
use crate::operations::report::{Checked, Outcome, Row};
use crate::operations::times;
use crate::printable;

const STYLE: &str = include_str!("report.css");

/// The sums are above the rows, so the rows wait in a temporary file until the sums are known.
pub(super) struct Html<W: Write> {
    out: BufWriter<W>,
    rows: BufWriter<File>,
}

impl<W: Write> Html<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::new(out),
            rows: BufWriter::new(tempfile::tempfile()?),
        })
    }
}

/// Text of a page, without characters that hide or reorder others.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable::line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A cell of lines; those that are not known are left out, and a cell without any says so.
fn cell(lines: impl IntoIterator<Item = Option<String>>) -> String {
    let known: Vec<String> = lines
        .into_iter()
        .flatten()
        .map(|line| escaped(&line))
        .collect();
    if known.is_empty() {
        "<td class=\"none\">unknown</td>".to_owned()
    } else {
        format!("<td>{}</td>", known.join("<br>"))
    }
}

/// How far the off-boarding came.
const fn end_of(row: &Row) -> &'static str {
    match row.outcome {
        Outcome::Deleted => "Deleted",
        Outcome::DeactivatedOnly => "DeactivatedOnly",
        Outcome::Sealed => {
            "Archived and sealed, no manifest: in progress, a dead letter, or the manifest was removed"
        }
        Outcome::Archived => {
            "Archived, no manifest: in progress, a dead letter, or the manifest was removed"
        }
        Outcome::Cancelled => "cancelled",
        Outcome::Discarded => "failed",
        Outcome::Open => {
            "open: nothing is stored since the order; waiting, in progress, a dead letter, or its objects were removed"
        }
        Outcome::Erased => "erased from the archive store",
        Outcome::Unreadable => "unknown: an object cannot be read",
        Outcome::Hidden => "unknown: all objects were deleted",
    }
}

/// Who did this, when and why.
fn act(what: &str, at: Timestamp, who: &str, why: Option<&String>) -> String {
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("{what} {at:.0} by {who}{why}")
}

fn cells(row: &Row) -> [String; 7] {
    let named =
        |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name} {text}"));
    let batches = row
        .batch_ids
        .iter()
        .map(|batch| Some(format!("batch {batch}")));
    let asked = [
        row.asked_at.map(|at| format!("{at:.0}")),
        row.asked_before.map(|at| format!("before {at:.0}")),
        named("by", &row.asked_by),
        row.reason.clone(),
    ];
    let after = row.access_gone_after_seconds.map(times::about);
    let gone = [
        row.access_gone_at.map(|at| format!("{at:.0}")),
        after.map(|span| format!("after {span}")),
        row.within_target
            .map(|within| if within { "within the target" } else { "LATE" }.to_owned()),
    ];
    let archive = [
        row.conversations
            .map(|count| format!("{count} conversations")),
        row.archive_bytes.map(|bytes| HumanBytes(bytes).to_string()),
        row.archive.clone(),
        named("SHA-256", &row.archive_sha256),
    ];
    let deletion = [
        Some(end_of(row).to_owned()),
        row.finished_at.map(|at| format!("{at:.0}")),
        row.why_not_deleted.clone(),
        row.deletion_status.map(|status| format!("answer {status}")),
        named("code", &row.deletion_code),
        row.approval(),
        row.cancelled
            .as_ref()
            .map(|order| act("at", order.at, &order.who, order.why.as_ref())),
        row.hold
            .as_ref()
            .map(|hold| act("on hold since", hold.at, &hold.who, hold.why.as_ref())),
    ];
    let manifest = [row.manifest.clone(), named("SHA-256", &row.manifest_sha256)];
    let verdict = match row.checked {
        Checked::Ok => "ok",
        Checked::NotOk => "NOT OK",
        Checked::NoManifest => "no manifest",
    };
    let findings = row.findings.iter().cloned().map(Some);

    [
        cell([Some(row.user_id.to_string())]),
        cell(asked.into_iter().chain(batches)),
        cell(gone),
        cell(archive),
        cell(deletion),
        cell(manifest),
        cell([Some(verdict.to_owned())].into_iter().chain(findings)),
    ]
}

/// Items of a list.
fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let items = texts
        .into_iter()
        .map(|text| ["<li>", &escaped(text), "</li>\n"].concat());
    items.collect()
}

impl<W: Write> Page for Html<W> {
    fn begin(&mut self, _head: &Head) -> io::Result<()> {
        Ok(())
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let class = match (row.checked, row.within_target) {
            (Checked::NotOk, _) => " class=\"bad\"",
            (_, Some(false)) => " class=\"late\"",
            _ => "",
        };
        writeln!(self.rows, "<tr{class}>{}</tr>", cells(row).concat())
    }

    fn end(&mut self, head: &Head, end: &End<'_>) -> io::Result<()> {
        let wanted = &head.wanted;
        let title = format!(
            "Leavers asked for from {:.0} to before {:.0}",
            wanted.since, wanted.until
        );
        let out = &mut self.out;
        writeln!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
        )?;
        if let Some(why) = &end.stopped_by {
            let why = escaped(why);
            writeln!(out, "<p class=\"stopped\">Rows are missing: {why}</p>")?;
        }
        let batch = wanted
            .batch
            .as_ref()
            .map_or_else(String::new, |batch| format!(" Batch {batch}."));
        let target = u32::try_from(wanted.target.as_secs()).unwrap_or(u32::MAX);
        let about = format!(
            "From {}, made at {:.0}.{batch} Target: access gone within {}. Users are selected by {SELECTED_BY}.",
            head.location,
            head.made_at,
            times::about(f64::from(target))
        );
        writeln!(out, "<p>{}</p>", escaped(&about))?;
        let totals = end.totals.lines();
        writeln!(
            out,
            "<ul class=\"totals\">\n{}</ul>",
            list(totals.iter().map(String::as_str))
        )?;
        writeln!(
            out,
            "<h2>Checked</h2>\n<ul>\n{}</ul>",
            list(end.checked.iter().copied())
        )?;
        let not_checked = list(end.not_checked.iter().map(String::as_str));
        writeln!(out, "<h2>Not in this report</h2>\n<ul>\n{not_checked}</ul>")?;
        writeln!(
            out,
            "<table>\n<thead><tr><th>User</th><th>Asked for</th><th>Access gone</th><th>Archive</th><th>End</th>\
             <th>Manifest</th><th>Check</th></tr></thead>\n<tbody>"
        )?;

        self.rows.flush()?;
        let rows = self.rows.get_mut();
        rows.rewind()?;
        io::copy(&mut BufReader::new(rows), out)?;
        writeln!(out, "</tbody>\n</table>\n</body>\n</html>")?;
        out.flush()
    }
}
