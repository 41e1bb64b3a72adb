//! The input of `submit`, `run` and `plan`: arguments and a file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::decode::{Encoding, Spool, copy};
use super::entry::{Message, Overlay, of_id};
use super::faults::{Fault, Faults, NAMED, Wrong};
use super::rows::{Row, Rows};
use crate::job::UserId;

/// How a file of users is to be read, where it does not say so itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub encoding: Option<Encoding>,
    /// The name of the column that holds the user ID.
    pub id_column: Option<String>,
}

/// Arguments and a file: CSV with a header that has `userId`, JSON Lines, or one ID per line. The file is copied to a
/// temporary file, so that the lines that are sent are those that were checked.
pub(crate) struct Input {
    arguments: Vec<String>,
    spool: Option<Spool>,
    overlay: Map<String, Value>,
    id_column: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Checked {
    /// The number of users; one message will be sent for each.
    pub users: u64,
    /// Those of them who belong to a batch.
    pub in_batches: u64,
    /// Users that are named again, with the line; the first twenty.
    pub duplicates: Vec<(UserId, Option<u64>)>,
    /// The number of such repetitions.
    pub duplicates_total: u64,
    /// Columns and members without a meaning; the first hundred.
    pub ignored: Vec<String>,
    /// Columns without a meaning that a batch can keep for its report.
    pub kept: Vec<String>,
    /// Columns and members that win over an option which says something else.
    pub contradicted: Vec<String>,
    pub faults: Faults,
    /// SHA-256 of the IDs of these users, each followed by a line feed, in hex.
    pub ids_sha256: String,
    /// Users whom a guard forbids.
    forbidden: HashSet<UserId>,
}

impl Input {
    /// Copies `file` to its end.
    pub(crate) fn new(
        arguments: &[String],
        file: Option<&mut dyn Read>,
        reading: &Reading,
        overlay: &Overlay,
    ) -> io::Result<Self> {
        let spool = match file {
            None => None,
            Some(file) => Some(copy(file, reading.encoding)?),
        };
        Ok(Self {
            arguments: arguments.to_vec(),
            spool,
            overlay: overlay.members(),
            id_column: reading.id_column.clone(),
        })
    }

    /// Checks the whole input. `forbidden` says why a user may not be off-boarded, if so. `rejected` receives each fault and
    /// the text of its row.
    pub(crate) fn check(
        &self,
        forbidden: impl Fn(UserId) -> Option<String>,
        rejected: &mut dyn FnMut(&Fault, &str) -> io::Result<()>,
    ) -> io::Result<Checked> {
        let mut checked = Checked::default();
        let mut seen = HashSet::new();
        let mut ids = Sha256::new();
        let mut entries = self.entries()?;
        let mut in_file = 0_u64;

        while let Some((line, row)) = entries.next_entry()? {
            in_file += u64::from(line.is_some());
            let fault = match row {
                Err(wrong) => wrong.at(line),
                Ok(message) if !seen.insert(message.user_id) => {
                    checked.duplicates_total += 1;
                    if checked.duplicates.len() < NAMED {
                        checked.duplicates.push((message.user_id, line));
                    }
                    continue;
                }
                Ok(message) => match forbidden(message.user_id) {
                    None => {
                        checked.users += 1;
                        ids.update(format!("{}\n", message.user_id));
                        checked.in_batches += u64::from(message.request.batch_id.is_some());
                        continue;
                    }
                    Some(why) => {
                        checked.forbidden.insert(message.user_id);
                        Fault {
                            line,
                            what: format!("{} is not off-boarded: {why}", message.user_id),
                            forbidden: true,
                            of_file: false,
                        }
                    }
                },
            };
            rejected(&fault, entries.text(line))?;
            checked.faults.push(fault);
        }

        if let Some(rows) = entries.rows {
            // A file without users is a mistake, even if arguments name users.
            if in_file == 0 {
                let what = format!("the file has no users: {}", rows.why_empty());
                checked.faults.push(Wrong::file(what).at(None));
            }
            let notes = rows.notes();
            checked.ignored = notes.ignored;
            checked.kept = notes.kept;
            checked.contradicted = notes.contradicted;
        }

        checked.ids_sha256 = hex::encode(ids.finalize());
        Ok(checked)
    }

    /// SHA-256 of the file as it was given, in hex.
    pub(crate) fn file_sha256(&self) -> Option<&str> {
        self.spool.as_ref().map(|spool| spool.sha256.as_str())
    }

    /// The messages, one per user, in the order of the input. Lines with a fault and the users that the check found
    /// forbidden are skipped.
    pub(crate) fn messages<'a>(&'a self, checked: &'a Checked) -> io::Result<Messages<'a>> {
        Ok(Messages {
            entries: self.entries()?,
            seen: HashSet::new(),
            forbidden: &checked.forbidden,
        })
    }

    fn entries(&self) -> io::Result<Entries<'_>> {
        let rows = match &self.spool {
            None => None,
            Some(spool) => {
                let mut file = spool.file.try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                Some(Rows::new(
                    BufReader::new(file),
                    self.overlay.clone(),
                    spool.line_end,
                    self.id_column.clone(),
                ))
            }
        };
        Ok(Entries {
            input: self,
            argument: 0,
            rows,
        })
    }
}

/// Yields messages or faults, and their lines.
struct Entries<'a> {
    input: &'a Input,
    argument: usize,
    rows: Option<Rows<BufReader<File>>>,
}

impl Entries<'_> {
    fn next_entry(&mut self) -> io::Result<Option<(Option<u64>, Row)>> {
        if let Some(argument) = self.input.arguments.get(self.argument) {
            self.argument += 1;
            let row = of_id(argument, &self.input.overlay).map_err(Wrong::row);
            return Ok(Some((None, row)));
        }
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        Ok(rows.next_row()?.map(|(line, row)| (Some(line), row)))
    }
}

impl Entries<'_> {
    /// The text of the entry that was read last.
    fn text(&self, line: Option<u64>) -> &str {
        if let (Some(_line), Some(rows)) = (line, &self.rows) {
            return rows.text();
        }
        let last = self.argument.checked_sub(1);
        let last = last.and_then(|last| self.input.arguments.get(last));
        last.map_or("", String::as_str)
    }
}

/// See [`Input::messages`].
pub(crate) struct Messages<'a> {
    entries: Entries<'a>,
    seen: HashSet<UserId>,
    forbidden: &'a HashSet<UserId>,
}

impl Iterator for Messages<'_> {
    type Item = io::Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.entries.next_entry() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((_, Ok(message))))
                    if !self.forbidden.contains(&message.user_id)
                        && self.seen.insert(message.user_id) =>
                {
                    return Some(Ok(message));
                }
                Ok(Some(_)) => {}
            }
        }
    }
}
