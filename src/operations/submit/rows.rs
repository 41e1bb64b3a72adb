//! Reads the lines of a file, and finds out its form: CSV, JSON Lines or a list of IDs.

use std::io::{self, BufRead, Read as _};

use serde_json::{Map, Value};

use super::cells::split;
use super::entry::{Message, of_id, of_json, of_members};
use super::faults::{NOT_UTF_8, Wrong};
use super::header::{self, FirstLine, Header};
use super::notes::Notes;
use super::spelling;
use crate::job::UserId;

/// The maximum size of a row, which is also that of a message.
const MAX_ROW_BYTES: usize = 256 * 1024;

/// The form of the file, known from the first line that is no comment.
enum Form {
    Unknown,
    List,
    JsonLines,
    Csv(Header),
    /// No line of it can be read, which was reported.
    Unusable,
}

/// A message, or the fault of a row.
pub(super) type Row = Result<Message, Wrong>;

/// Reads messages, one row at a time.
pub(super) struct Rows<R> {
    input: R,
    overlay: Map<String, Value>,
    form: Form,
    line: u64,
    line_end: u8,
    id_column: Option<String>,
    /// The text of the current row.
    text: String,
    notes: Notes,
}

/// The text of a line, or its fault.
type Line = Result<String, String>;

impl<R: BufRead> Rows<R> {
    /// Lines end with `line_end`; a `\r` before a `\n` is part of it.
    pub(super) fn new(
        input: R,
        overlay: Map<String, Value>,
        line_end: u8,
        id_column: Option<String>,
    ) -> Self {
        Self {
            input,
            overlay,
            form: Form::Unknown,
            line: 0,
            line_end,
            id_column,
            text: String::new(),
            notes: Notes::default(),
        }
    }

    /// What is to be said about the columns and members so far.
    pub(super) fn notes(self) -> Notes {
        self.notes
    }

    /// The text of the row that was read last, as it is in the file.
    pub(super) fn text(&self) -> &str {
        self.text.trim_end_matches(['\n', '\r'])
    }

    /// Why there are no rows.
    pub(super) const fn why_empty(&self) -> &'static str {
        match self.form {
            _ if self.line == 0 => "it is empty",
            Form::Csv(_) => "it has a header and no rows",
            Form::Unknown | Form::List | Form::JsonLines | Form::Unusable => {
                "it has only blank lines and comments"
            }
        }
    }

    /// The next row with the line that it begins on.
    pub(super) fn next_row(&mut self) -> io::Result<Option<(u64, Row)>> {
        while let Some(line) = self.next_line()? {
            let number = self.line;
            let text = match line {
                Ok(text) => text,
                Err(what) => return Ok(Some((number, Err(Wrong::row(what))))),
            };
            self.text.clone_from(&text);
            let row = if self.hides_a_line(&text) {
                let what = "a CR in the middle: the file mixes line ends; save it with one kind of line end";
                Some(Err(Wrong::file(what)))
            } else {
                match &self.form {
                    Form::Unusable => return Ok(None),
                    Form::Unknown => self.find_form(&text),
                    Form::Csv(header) => {
                        let header = header.clone();
                        self.csv_row(text, &header)?
                    }
                    Form::List | Form::JsonLines => self.plain_row(text.trim()),
                }
            };
            if let Some(row) = row {
                return Ok(Some((number, row)));
            }
        }
        Ok(None)
    }

    /// A CR inside a line may be a line end that the author meant; only a quoted cell may contain one.
    fn hides_a_line(&self, text: &str) -> bool {
        let may_be_quoted = matches!(self.form, Form::Csv(_)) && text.contains('"');
        text.trim_end_matches(['\n', '\r']).contains('\r') && !may_be_quoted
    }

    /// Finds the form from the first line that is no comment. The header of CSV is not a row.
    fn find_form(&mut self, text: &str) -> Option<Row> {
        let first = text.trim();
        if is_silent(first) || is_separator_hint(first) {
            return None;
        }
        if let Some(what) = self.unusable(first) {
            self.form = Form::Unusable;
            return Some(Err(Wrong::file(what)));
        }
        if first.starts_with('{') && spelling::id(first).is_none() {
            self.form = Form::JsonLines;
            return self.plain_row(first);
        }
        match header::read(first, self.id_column.as_deref()) {
            FirstLine::Header(header, faults) => {
                self.notes.note_header(&header, &self.overlay);
                self.form = Form::Csv(header);
                (!faults.is_empty()).then(|| Err(Wrong::file(faults.join("; "))))
            }
            FirstLine::Unusable(what) => {
                self.form = Form::Unusable;
                Some(Err(Wrong::file(what)))
            }
            FirstLine::OfAList => {
                self.form = Form::List;
                Some(self.id(first).map_err(|wrong| {
                    wrong.and("; if this is a header, name the column of the IDs with --id-column")
                }))
            }
        }
    }

    /// Why the first line shows that no line can be read.
    fn unusable(&self, first: &str) -> Option<String> {
        let is_json = first.starts_with('[') || (first.starts_with('{') && first.contains(':'));
        if first.starts_with('[') {
            Some("a JSON array; use JSON Lines, one object per line".to_owned())
        } else if is_json && self.id_column.is_some() {
            Some("--id-column is for CSV; in JSON Lines the member is userId".to_owned())
        } else {
            None
        }
    }

    fn plain_row(&mut self, line: &str) -> Option<Row> {
        if is_silent(line) {
            return None;
        }
        Some(match self.form {
            Form::JsonLines => of_json(line, &self.overlay, &mut self.notes).map_err(Wrong::row),
            Form::Unknown | Form::List | Form::Csv(_) | Form::Unusable => self.id(line),
        })
    }

    fn csv_row(&mut self, text: String, header: &Header) -> io::Result<Option<Row>> {
        let record = match self.whole_record(text)? {
            Ok(record) => record,
            Err(wrong) => return Ok(Some(Err(wrong))),
        };
        // A record of several lines may contain rows, because a quotation mark is missing.
        let is_one_line = !record.trim_end().contains(['\n', '\r']);
        let wrong = |what: String| {
            if is_one_line {
                Wrong::row(what)
            } else {
                Wrong::file(what)
            }
        };
        let cells = match split(&record, header.delimiter) {
            Ok(cells) => cells,
            Err(what) => return Ok(Some(Err(wrong(what)))),
        };
        if cells.iter().all(String::is_empty) {
            return Ok(None);
        }
        let columns = header.columns.len();
        if cells.len() != columns {
            let what = format!("{} cells, but the header has {columns}", cells.len());
            return Ok(Some(Err(wrong(what))));
        }
        if cells.iter().any(|cell| swallows_a_row(cell)) {
            let what =
                "a quoted cell contains line breaks and a user ID: a quotation mark is missing";
            return Ok(Some(Err(Wrong::file(what))));
        }
        let (members, columns) = header.assign(cells);
        let row = of_members(members, &self.overlay).map_err(Wrong::row);
        Ok(Some(row.map(|message| Message { columns, ..message })))
    }

    fn id(&self, text: &str) -> Row {
        of_id(text, &self.overlay).map_err(Wrong::row)
    }

    /// Appends the next lines while a quoted cell is not closed.
    fn whole_record(&mut self, first: String) -> io::Result<Result<String, Wrong>> {
        let mut record = first;
        let mut is_open = opens_or_closes(&record);
        while is_open {
            match self.next_line()? {
                Some(Ok(line)) if record.len() + line.len() <= MAX_ROW_BYTES => {
                    is_open ^= opens_or_closes(&line);
                    record += &line;
                }
                // The lines up to here may be rows of their own.
                Some(Err(what)) => return Ok(Err(Wrong::file(what))),
                Some(Ok(_)) | None => {
                    let what = "a quotation mark that is never closed";
                    return Ok(Err(Wrong::file(what)));
                }
            }
        }
        self.text.clone_from(&record);
        Ok(Ok(record))
    }

    /// The next line with its end. A line that is too long is skipped and is a fault.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let read = (&mut self.input)
            .take(MAX_ROW_BYTES as u64 + 1)
            .read_until(self.line_end, &mut bytes)?;

        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.text.clear();
        if bytes.len() > MAX_ROW_BYTES {
            while bytes.last() != Some(&self.line_end) {
                bytes.clear();
                if (&mut self.input)
                    .take(MAX_ROW_BYTES as u64)
                    .read_until(self.line_end, &mut bytes)?
                    == 0
                {
                    break;
                }
            }
            return Ok(Some(Err(format!("longer than {MAX_ROW_BYTES} bytes"))));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            // The text of the row, for the list of rejects.
            self.text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            NOT_UTF_8.to_owned()
        });
        let text = text.map(|text| match text.strip_prefix('\u{feff}') {
            Some(rest) if self.line == 1 => rest.to_owned(),
            _ => text,
        });

        Ok(Some(text))
    }
}

/// Whether a quoted cell is open after these characters if none was before them, or the other way round.
fn opens_or_closes(text: &str) -> bool {
    text.matches('"').count() % 2 == 1
}

fn is_silent(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

/// `sep=;`: spreadsheets write it before the header.
fn is_separator_hint(line: &str) -> bool {
    line.strip_prefix("sep=")
        .is_some_and(|rest| rest.chars().count() == 1)
}

/// Whether a cell contains whole rows because a quotation mark is missing.
fn swallows_a_row(cell: &str) -> bool {
    let words = || cell.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    cell.contains(['\n', '\r']) && words().any(|word| word.parse::<UserId>().is_ok())
}
