//! The input of `submit`, `run` and `plan`: arguments and a file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};

use serde_json::{Map, Value};

use super::entry::{Message, Overlay, of_members};
use super::faults::{Fault, Faults, NAMED};
use super::rows::{Row, Rows};
use crate::job::UserId;

/// Arguments and a file: CSV with a header that has `userId`, JSON Lines, or one ID per line. The file is copied to a
/// temporary file, so that the lines that are sent are those that were checked.
pub(crate) struct Input {
    arguments: Vec<String>,
    spool: Option<Spool>,
    overlay: Map<String, Value>,
}

/// The copy of a file.
struct Spool {
    file: File,
    /// `\r` in a file that has no `\n`.
    line_end: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Checked {
    /// The number of users; one message will be sent for each.
    pub users: u64,
    /// Users that are named again, with the line; the first thousand.
    pub duplicates: Vec<(UserId, Option<u64>)>,
    /// The number of such repetitions.
    pub duplicates_total: u64,
    /// Columns and members without a meaning; the first hundred.
    pub ignored: Vec<String>,
}

impl Input {
    /// Copies `file` to its end.
    pub(crate) fn new(
        arguments: &[String],
        file: Option<&mut dyn Read>,
        overlay: &Overlay,
    ) -> io::Result<Self> {
        let spool = match file {
            None => None,
            Some(file) => Some(copy(file)?),
        };
        Ok(Self {
            arguments: arguments.to_vec(),
            spool,
            overlay: overlay.members(),
        })
    }

    /// Checks the whole input. `forbidden` says why a user may not be off-boarded, if so.
    pub(crate) fn check(
        &self,
        forbidden: impl Fn(UserId) -> Option<String>,
    ) -> io::Result<Result<Checked, Faults>> {
        let mut checked = Checked::default();
        let mut faults = Faults::default();
        let mut seen = HashSet::new();
        let mut entries = self.entries()?;
        let mut in_file = 0_u64;

        while let Some((line, row)) = entries.next_entry()? {
            in_file += u64::from(line.is_some());
            match row {
                Err(what) => faults.push(Fault {
                    line,
                    what,
                    forbidden: false,
                }),
                Ok(message) if !seen.insert(message.user_id) => {
                    checked.duplicates_total += 1;
                    if checked.duplicates.len() < NAMED {
                        checked.duplicates.push((message.user_id, line));
                    }
                }
                Ok(message) => match forbidden(message.user_id) {
                    None => checked.users += 1,
                    Some(why) => {
                        let what = format!("{} is not off-boarded: {why}", message.user_id);
                        faults.push(Fault {
                            line,
                            what,
                            forbidden: true,
                        });
                    }
                },
            }
        }
        if let Some(rows) = entries.rows {
            // A file without users is a mistake, even if arguments name users.
            if in_file == 0 {
                let what = format!("the file has no users: {}", rows.why_empty());
                faults.push(Fault {
                    line: None,
                    what,
                    forbidden: false,
                });
            }
            checked.ignored = rows.ignored();
        }

        Ok(if faults.total == 0 {
            Ok(checked)
        } else {
            Err(faults)
        })
    }

    /// The messages, one per user, in the order of the input. Lines with a fault are skipped, so call [`Self::check`] first.
    pub(crate) fn messages(&self) -> io::Result<Messages<'_>> {
        Ok(Messages {
            entries: self.entries()?,
            seen: HashSet::new(),
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

fn copy(from: &mut dyn Read) -> io::Result<Spool> {
    let mut file = tempfile::tempfile()?;
    let mut has_lf = false;
    let mut has_cr = false;
    let mut from = BufReader::new(from);

    loop {
        let chunk = from.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        has_lf |= chunk.contains(&b'\n');
        has_cr |= chunk.contains(&b'\r');
        file.write_all(chunk)?;
        let read = chunk.len();
        from.consume(read);
    }
    let line_end = if has_cr && !has_lf { b'\r' } else { b'\n' };

    Ok(Spool { file, line_end })
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
            let members = Map::from_iter([("userId".to_owned(), Value::from(argument.trim()))]);
            return Ok(Some((None, of_members(members, &self.input.overlay))));
        }
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        Ok(rows.next_row()?.map(|(line, row)| (Some(line), row)))
    }
}

/// See [`Input::messages`].
pub(crate) struct Messages<'a> {
    entries: Entries<'a>,
    seen: HashSet<UserId>,
}

impl Iterator for Messages<'_> {
    type Item = io::Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.entries.next_entry() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((_, Ok(message)))) if self.seen.insert(message.user_id) => {
                    return Some(Ok(message));
                }
                Ok(Some(_)) => {}
            }
        }
    }
}
