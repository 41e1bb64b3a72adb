use std::collections::HashSet;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::job::{Action, BatchId, Request, UserId, parse_message};

/// The members of a message that a CSV column may hold, after the message schema.
const MEMBERS: [&str; 6] = ["batchId", "action", "deleteAfter", "requestedBy", "reason", "requestedAt"];

/// What the command line says of every message that does not say it itself.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// `--batch-id`.
    pub batch_id: Option<BatchId>,
    /// `--action`.
    pub action: Option<Action>,
    /// `--delete-after`.
    pub delete_after: Option<Timestamp>,
    /// `--requested-by`.
    pub requested_by: Option<String>,
    /// `--reason`.
    pub reason: Option<String>,
    /// When the command was given.
    pub requested_at: Option<Timestamp>,
}

/// A checked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whom it is about.
    pub user_id: UserId,
    /// As a worker will read it.
    pub request: Request,
    /// What is published.
    pub body: Vec<u8>,
}

/// A line that is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; `None` for an argument.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// Every fault of the input; nothing of it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 50;
        write!(f, "{} fault(s) in the input; nothing was sent", self.0.len())?;
        for fault in self.0.iter().take(SHOWN) {
            match fault.line {
                Some(line) => write!(f, "\n  line {line}: {}", fault.what)?,
                None => write!(f, "\n  {}", fault.what)?,
            }
        }
        if self.0.len() > SHOWN {
            write!(f, "\n  and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}

/// The whole input, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    /// One for each user, in the order of the input.
    pub messages: Vec<Message>,
    /// Users that were named again, with the line; they are sent once.
    pub duplicates: Vec<(UserId, Option<u64>)>,
}

/// Reads arguments and a file: CSV with a header holding `userId`, JSON Lines, or one ID a line.
pub fn read(arguments: &[String], file: Option<&str>, overlay: &Overlay) -> Result<Submission, Faults> {
    let mut reader =
        Reader { overlay, seen: HashSet::new(), submission: Submission::default(), faults: Vec::new() };
    for argument in arguments {
        reader.take(None, id_only(argument));
    }
    if let Some(text) = file {
        reader.file(text.trim_start_matches('\u{feff}'));
    }
    if reader.faults.is_empty() { Ok(reader.submission) } else { Err(Faults(reader.faults)) }
}

fn id_only(text: &str) -> Map<String, Value> {
    Map::from_iter([("userId".to_owned(), Value::from(text.trim()))])
}

struct Reader<'a> {
    overlay: &'a Overlay,
    seen: HashSet<UserId>,
    submission: Submission,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn file(&mut self, text: &str) {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if first.starts_with('{') {
            self.json_lines(text);
        } else if first.split([',', ';', '\t']).any(|cell| cell.trim().trim_matches('"') == "userId") {
            self.csv(text, first);
        } else {
            for (number, line) in numbered(text) {
                self.take(Some(number), id_only(line));
            }
        }
    }

    fn json_lines(&mut self, text: &str) {
        for (number, line) in numbered(text) {
            match serde_json::from_str::<Map<String, Value>>(line) {
                Ok(members) => self.take(Some(number), members),
                Err(error) => {
                    let what = format!("no JSON object (column {})", error.column());
                    self.faults.push(Fault { line: Some(number), what });
                }
            }
        }
    }

    fn csv(&mut self, text: &str, header: &str) {
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .find(|delimiter| {
                header.split(char::from(*delimiter)).any(|cell| cell.trim().trim_matches('"') == "userId")
            })
            .unwrap_or(b',');
        let mut rows = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .from_reader(text.trim_start().as_bytes());
        let skipped = text.len() - text.trim_start().len();
        let lines_before = text.get(..skipped).map_or(0, |head| head.matches('\n').count() as u64);
        let columns = rows.headers().cloned().unwrap_or_default();
        for row in rows.records() {
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    let line = error.position().map(|position| position.line() + lines_before);
                    self.faults.push(Fault { line, what: csv_fault(&error) });
                    continue;
                }
            };
            let line = row.position().map(|position| position.line() + lines_before);
            let members = columns
                .iter()
                .zip(row.iter())
                .filter(|(column, cell)| {
                    *column == "userId" || (MEMBERS.contains(column) && !cell.is_empty())
                })
                .map(|(column, cell)| (column.to_owned(), Value::from(cell)))
                .collect();
            self.take(line, members);
        }
    }

    fn take(&mut self, line: Option<u64>, mut members: Map<String, Value>) {
        overlay(&mut members, self.overlay);
        let shown = members.get("userId").and_then(Value::as_str).unwrap_or_default().to_owned();
        if shown.parse::<UserId>().is_err() {
            let shown: String = shown.chars().filter(|c| !c.is_control()).take(60).collect();
            self.faults.push(Fault { line, what: format!("{shown:?} is no user ID (a UUID)") });
            return;
        }
        let body = Value::Object(members).to_string().into_bytes();
        match parse_message(&body, Timestamp::UNIX_EPOCH) {
            Err(error) => self.faults.push(Fault { line, what: error.to_string() }),
            Ok((user_id, request)) => {
                if self.seen.insert(user_id) {
                    self.submission.messages.push(Message { user_id, request, body });
                } else {
                    self.submission.duplicates.push((user_id, line));
                }
            }
        }
    }
}

/// Lines that are not empty and no `#` comment, numbered from 1.
fn numbered(text: &str) -> impl Iterator<Item = (u64, &str)> {
    (1_u64..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn csv_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells, where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

fn overlay(members: &mut Map<String, Value>, overlay: &Overlay) {
    let action = overlay.action.map(|action| match action {
        Action::Delete => "delete".to_owned(),
        Action::Deactivate => "deactivate".to_owned(),
    });
    let said = [
        ("batchId", overlay.batch_id.as_ref().map(ToString::to_string)),
        ("action", action),
        ("deleteAfter", overlay.delete_after.map(|at| at.to_string())),
        ("requestedBy", overlay.requested_by.clone()),
        ("reason", overlay.reason.clone()),
        ("requestedAt", overlay.requested_at.map(|at| at.to_string())),
    ];
    for (member, value) in said {
        if let Some(value) = value {
            members.entry(member).or_insert(Value::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
    const B: &str = "4f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c12";

    fn ids(submission: &Submission) -> Vec<String> {
        submission.messages.iter().map(|message| message.user_id.to_string()).collect()
    }

    #[test]
    fn a_list_has_one_id_a_line_with_comments_and_blank_lines() {
        let text = format!("# leavers\n\n{A}\n  {B}\r\n{}\n", A.to_uppercase());
        let submission = read(&[], Some(&text), &Overlay::default()).unwrap();
        assert_eq!(ids(&submission), [A, B]);
        assert_eq!(submission.duplicates, [(A.parse().unwrap(), Some(5))]);
    }

    #[test]
    fn csv_columns_that_the_schema_knows_are_kept() {
        let text = format!("name;userId;reason;action\nJo;{A};left;deactivate\nMo;{B};;\n");
        let submission = read(&[], Some(&text), &Overlay::default()).unwrap();
        assert_eq!(ids(&submission), [A, B]);
        let first = &submission.messages[0].request;
        assert_eq!(first.reason.as_deref(), Some("left"));
        assert_eq!(first.action, Action::Deactivate);
        assert_eq!(submission.messages[1].request.action, Action::Delete);
        assert!(!String::from_utf8_lossy(&submission.messages[0].body).contains("Jo"));
    }

    #[test]
    fn json_lines_keep_members_that_nobody_knows() {
        let text = format!("{{\"userId\":\"{A}\",\"ticket\":7}}\n");
        let submission = read(&[], Some(&text), &Overlay::default()).unwrap();
        assert!(String::from_utf8_lossy(&submission.messages[0].body).contains("\"ticket\":7"));
    }

    #[test]
    fn the_command_line_fills_in_what_a_row_does_not_say() {
        let text = format!("userId,reason\n{A},own\n{B},\n");
        let overlay = Overlay {
            batch_id: Some("b-1".parse().unwrap()),
            reason: Some("all".to_owned()),
            ..Overlay::default()
        };
        let submission = read(&[], Some(&text), &overlay).unwrap();
        let reasons: Vec<_> = submission.messages.iter().map(|m| m.request.reason.clone().unwrap()).collect();
        assert_eq!(reasons, ["own", "all"]);
        assert!(
            submission.messages.iter().all(|m| m.request.batch_id.as_ref().unwrap().to_string() == "b-1")
        );
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = format!("userId,action\n{A},delete\nnonsense,delete\n{B},destroy\n{B}\n");
        let faults = read(&[], Some(&text), &Overlay::default()).unwrap_err();
        let lines: Vec<_> = faults.0.iter().map(|fault| fault.line.unwrap()).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(faults.to_string().contains("line 3: \"nonsense\""), "{faults}");
    }
}
