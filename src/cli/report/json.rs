use std::io::{self, BufWriter, Write};

use serde_json::json;

use super::page::{End, Head, Page, SELECTED_BY};
use crate::operations::report::Row;
use crate::printable;

pub(super) struct Json<W: Write> {
    out: BufWriter<W>,
    rows: u64,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out: BufWriter::new(out),
            rows: 0,
        }
    }
}

impl<W: Write> Page for Json<W> {
    fn begin(&mut self, head: &Head) -> io::Result<()> {
        let wanted = &head.wanted;
        let begin = json!({
            "location": head.location, "madeAt": head.made_at, "since": wanted.since, "until": wanted.until,
            "batchId": wanted.batch, "targetSeconds": wanted.target.as_secs(), "selectedBy": SELECTED_BY,
        });
        let begin = begin.to_string();
        let begin = printable::json(begin.trim_end_matches('}'));
        write!(self.out, "{begin},\n\"users\":[")
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let comma = if self.rows > 0 { "," } else { "" };
        self.rows += 1;
        let row = serde_json::to_string(row)?;
        write!(self.out, "{comma}\n{}", printable::json(&row))
    }

    fn end(&mut self, _head: &Head, end: &End<'_>) -> io::Result<()> {
        let rest = json!({
            "totals": end.totals, "checked": end.checked, "notChecked": end.not_checked, "stoppedBy": end.stopped_by,
        });
        let rest = rest.to_string();
        let rest = printable::json(rest.trim_start_matches('{'));
        write!(self.out, "\n],\n{rest}\n")?;
        self.out.flush()
    }
}
