//! Reads the lines of a file, and finds out its form: CSV, JSON Lines or a list of IDs.

use std::io::{self, BufRead, Read as _};

use serde_json::{Map, Value};

use super::entry::{Message, nearly, of_json, of_members};
use super::ignored::Ignored;
use super::members::MEMBERS;
use super::near_miss::near_miss;
use crate::job::UserId;

/// The maximum size of a row, which is also that of a message.
const MAX_ROW_BYTES: usize = 256 * 1024;

const NOT_UTF_8: &str = "not UTF-8, probably Windows-1252; save it as UTF-8 (in Excel \"CSV UTF-8\"), or convert it: \
                         iconv -f WINDOWS-1252 -t UTF-8";

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The form of the file, known from the first line that is no comment.
enum Form {
    Unknown,
    List,
    JsonLines,
    Csv {
        delimiter: char,
        columns: Vec<Option<&'static str>>,
    },
}

/// A message, or the fault of a row.
pub(super) type Row = Result<Message, String>;

/// Reads messages, one row at a time.
pub(super) struct Rows<R> {
    input: R,
    overlay: Map<String, Value>,
    form: Form,
    line: u64,
    line_end: u8,
    ignored: Ignored,
}

/// The text of a line, or its fault.
type Line = Result<String, String>;

impl<R: BufRead> Rows<R> {
    /// Lines end with `line_end`; a `\r` before a `\n` is part of it.
    pub(super) fn new(input: R, overlay: Map<String, Value>, line_end: u8) -> Self {
        Self {
            input,
            overlay,
            form: Form::Unknown,
            line: 0,
            line_end,
            ignored: Ignored::default(),
        }
    }

    /// Columns and members without a meaning, so far.
    pub(super) fn ignored(self) -> Vec<String> {
        self.ignored.0
    }

    /// Why there are no rows.
    pub(super) const fn why_empty(&self) -> &'static str {
        match self.form {
            _ if self.line == 0 => "it is empty",
            Form::Csv { .. } => "it has a header and no rows",
            Form::Unknown | Form::List | Form::JsonLines => "it has only blank lines and comments",
        }
    }

    /// The next row with the line that it begins on.
    pub(super) fn next_row(&mut self) -> io::Result<Option<(u64, Row)>> {
        while let Some(line) = self.next_line()? {
            let number = self.line;
            let text = match line {
                Ok(text) => text,
                Err(what) => return Ok(Some((number, Err(what)))),
            };
            let row = if self.hides_a_line(&text) {
                let what = "a CR in the middle: the file mixes line ends; save it with one kind of line end";
                Some(Err(what.to_owned()))
            } else if let Form::Unknown = self.form {
                self.find_form(&text)
            } else {
                self.row(text)?
            };
            if let Some(row) = row {
                return Ok(Some((number, row)));
            }
        }
        Ok(None)
    }

    /// A CR inside a line may be a line end that the author meant; only a quoted cell may contain one.
    fn hides_a_line(&self, text: &str) -> bool {
        let may_be_quoted = matches!(self.form, Form::Csv { .. }) && text.contains('"');
        text.trim_end_matches(['\n', '\r']).contains('\r') && !may_be_quoted
    }

    /// Finds the form from the first line that is no comment. The header of CSV is not a row.
    fn find_form(&mut self, text: &str) -> Option<Row> {
        let first = text.trim();
        if is_silent(first) || is_separator_hint(first) {
            return None;
        }
        if first.starts_with('{') {
            self.form = Form::JsonLines;
            return Some(of_json(first, &self.overlay, &mut self.ignored));
        }
        for delimiter in DELIMITERS {
            let cells = split(first, delimiter).unwrap_or_default();
            let columns: Vec<_> = cells.iter().map(|cell| known(cell)).collect();
            if columns.contains(&Some("userId")) {
                let faults = self.header_faults(&cells, &columns);
                self.form = Form::Csv { delimiter, columns };
                return (!faults.is_empty()).then(|| Err(faults.join("; ")));
            }
        }
        self.form = Form::List;
        if first.starts_with('[') {
            return Some(Err(
                "a JSON array; use JSON Lines, one object per line".to_owned()
            ));
        }
        let row = self.id(first);
        let mut cells = first
            .split(DELIMITERS)
            .map(|cell| cell.trim().trim_matches('"'));
        if let Some(cell) = cells.find(|cell| near_miss(cell) == Some("userId")) {
            return Some(Err(nearly("column", cell, "userId")));
        }
        let cells = first.contains(DELIMITERS);

        Some(row.map_err(|what| {
            if cells {
                format!("{what}; CSV needs a header with userId")
            } else {
                what
            }
        }))
    }

    /// Faults: two columns of one name, and names that are nearly known ones. Other unknown columns are noted as ignored.
    fn header_faults(&mut self, cells: &[String], columns: &[Option<&'static str>]) -> Vec<String> {
        let mut faults = Vec::new();
        for (index, (cell, column)) in cells.iter().zip(columns).enumerate() {
            match (column, near_miss(cell)) {
                (Some(name), _)
                    if columns
                        .iter()
                        .take(index)
                        .flatten()
                        .any(|other| other == name) =>
                {
                    faults.push(format!("the header has two columns {name}"));
                }
                (Some(_), _) => {}
                (None, Some(meant)) => faults.push(nearly("column", cell, meant)),
                (None, None) => self.ignored.note(cell),
            }
        }
        faults
    }

    fn row(&mut self, text: String) -> io::Result<Option<Row>> {
        let (delimiter, columns) = match &self.form {
            Form::Csv { delimiter, columns } => (*delimiter, columns.clone()),
            Form::Unknown | Form::List | Form::JsonLines => {
                let line = text.trim();
                let row = match self.form {
                    _ if is_silent(line) => None,
                    Form::JsonLines => Some(of_json(line, &self.overlay, &mut self.ignored)),
                    Form::Unknown | Form::List | Form::Csv { .. } => Some(self.id(line)),
                };
                return Ok(row);
            }
        };
        let cells = match self
            .whole_record(text)?
            .and_then(|record| split(&record, delimiter))
        {
            Ok(cells) => cells,
            Err(what) => return Ok(Some(Err(what))),
        };
        if cells.iter().all(String::is_empty) {
            return Ok(None);
        }
        if cells.len() != columns.len() {
            let what = format!(
                "{} cells, but the header has {}",
                cells.len(),
                columns.len()
            );
            return Ok(Some(Err(what)));
        }
        if cells.iter().any(|cell| swallows_a_row(cell)) {
            let what =
                "a quoted cell contains line breaks and a user ID: a quotation mark is missing";
            return Ok(Some(Err(what.to_owned())));
        }
        let members = columns.iter().zip(cells).filter_map(|(column, cell)| {
            let name = (*column)?;
            (name == "userId" || !cell.is_empty()).then(|| (name.to_owned(), Value::from(cell)))
        });

        Ok(Some(of_members(members.collect(), &self.overlay)))
    }

    fn id(&self, text: &str) -> Row {
        of_members(
            Map::from_iter([("userId".to_owned(), Value::from(text))]),
            &self.overlay,
        )
    }

    /// Appends the next lines while a quoted cell is not closed.
    fn whole_record(&mut self, first: String) -> io::Result<Line> {
        let mut record = first;
        while record.matches('"').count() % 2 == 1 {
            match self.next_line()? {
                Some(Ok(line)) if record.len() + line.len() <= MAX_ROW_BYTES => record += &line,
                Some(Err(what)) => return Ok(Err(what)),
                Some(Ok(_)) | None => {
                    return Ok(Err("a quotation mark that is never closed".to_owned()));
                }
            }
        }
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
        if self.line == 1 && (bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]))
        {
            return Ok(Some(Err("UTF-16; save it as UTF-8".to_owned())));
        }
        let text = String::from_utf8(bytes).map_err(|_not_utf_8| NOT_UTF_8.to_owned());
        let text = text.map(|text| match text.strip_prefix('\u{feff}') {
            Some(rest) if self.line == 1 => rest.to_owned(),
            _ => text,
        });

        Ok(Some(text))
    }
}

fn is_silent(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

/// `sep=;`: spreadsheets write it before the header.
fn is_separator_hint(line: &str) -> bool {
    line.strip_prefix("sep=")
        .is_some_and(|rest| rest.chars().count() == 1)
}

/// The member of the schema that a column has, whatever the case of its name.
fn known(column: &str) -> Option<&'static str> {
    let names = std::iter::once("userId").chain(MEMBERS.iter().map(|(name, _)| *name));
    names
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(column))
}

/// The cells of one record, trimmed.
fn split(record: &str, delimiter: char) -> Result<Vec<String>, String> {
    let record = record.trim_end_matches(['\n', '\r']);
    if !record.contains('"') {
        return Ok(record
            .split(delimiter)
            .map(|cell| cell.trim().to_owned())
            .collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .trim(csv::Trim::All)
        .from_reader(record.as_bytes());
    let stray = || "a stray quotation mark".to_owned();
    let mut records = reader.records();
    let cells = records
        .next()
        .ok_or_else(stray)?
        .map_err(|error| error.to_string())?;
    if records.next().is_some() {
        return Err(stray());
    }

    Ok(cells.iter().map(str::to_owned).collect())
}

/// Whether a cell contains whole rows because a quotation mark is missing.
fn swallows_a_row(cell: &str) -> bool {
    let words = || cell.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    cell.contains(['\n', '\r']) && words().any(|word| word.parse::<UserId>().is_ok())
}
