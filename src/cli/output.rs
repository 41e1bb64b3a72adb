//! Prints answers: tables for people, JSON for programs; and asks before a change.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;

use clap::ValueEnum;
use jiff::Timestamp;

use super::acting::Acting;
use super::exit::CliError;
use super::screen::Screen;
use super::table::{Column, Grid, wrap};
use crate::clock::Clock;
use crate::operations::fleet::Fleet;
use crate::operations::times;
use crate::printable;
use crate::registers::audit_log::Operator;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// A table that fits the width of the terminal
    #[default]
    Table,
    /// One JSON document on standard output
    Json,
}

/// The flag of each command that prints an answer.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutputArgs {
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Output,
}

/// Text that is safe on a terminal: one line per source line, without characters that hide or reorder others. Nothing
/// else can be printed, so no command can forget to clean its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown(String);

impl<T: AsRef<str>> From<T> for Shown {
    fn from(text: T) -> Self {
        Self(printable::line(text.as_ref()).into_owned())
    }
}

/// One line per item.
impl<T: Into<Self>> FromIterator<T> for Shown {
    fn from_iter<I: IntoIterator<Item = T>>(lines: I) -> Self {
        let lines: Vec<String> = lines.into_iter().map(|line| line.into().0).collect();
        Self(lines.join("\n"))
    }
}

impl Shown {
    /// A text of several lines. All lines after the first are indented, so that none looks like a new message.
    pub(super) fn paragraph(text: &str) -> Self {
        let line = |(number, line): (usize, &str)| {
            let indent = if number == 0 || line.starts_with("  ") {
                ""
            } else {
                "  "
            };
            Self(format!("{indent}{}", printable::line(line)))
        };
        text.split('\n').enumerate().map(line).collect()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long ago `at` was, by the clock of this machine.
pub(super) fn ago(at: Timestamp) -> String {
    times::ago(at, Clock::system().now())
}

/// What keeps users waiting now, above an answer; nothing if all is well, or no worker uses these stores.
pub(super) fn say_fleet(fleet: Option<&Fleet>) {
    let text = fleet.map(ToString::to_string).unwrap_or_default();
    text.lines().for_each(say);
}

/// Writes a document that has to stay byte for byte as it is, without its last line feed.
pub(super) fn verbatim(document: &str) {
    write_line(document);
}

/// Writes to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn say(text: impl Into<Shown>) {
    write_line(&fitted(text.into().as_str()));
}

/// The text as lines that a terminal need not break: it would break them within an ID.
fn fitted(text: &str) -> String {
    match Screen::current().width {
        Some(width) => wrap(text, width).join("\n"),
        None => text.to_owned(),
    }
}

fn write_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"));
    written.and_then(|()| out.flush()).ok();
}

/// A closed pipe (`| head`) is not an error.
pub(super) fn unless_closed(written: std::io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::bad(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A table for standard output: it fits the width of a terminal, and has any width in a file.
pub(super) fn table<'a, const N: usize, H: Into<Column<'a>>, C: Into<Shown>>(
    header: [H; N],
    rows: impl IntoIterator<Item = [C; N]>,
) -> Shown {
    rows_under(header, rows)
}

/// A table of one row.
pub(super) fn wide_table(header: Vec<&str>, row: Vec<String>) -> Shown {
    rows_under(header, [row])
}

fn rows_under<'a, C: Into<Shown>>(
    header: impl IntoIterator<Item = impl Into<Column<'a>>>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>,
) -> Shown {
    let clean = |cell: C| cell.into().0;
    let grid = Grid {
        columns: header.into_iter().map(Into::into).collect(),
        rows: rows
            .into_iter()
            .map(|row| row.into_iter().map(clean).collect())
            .collect(),
    };
    Shown(grid.lay_out(&Screen::current()))
}

/// A time for standard output, in whole seconds: relative and local on a terminal, RFC 3339 elsewhere.
pub(super) fn time(at: Timestamp) -> String {
    Screen::current().time(at)
}

/// Overwrites the last `drawn` rows of the terminal with the text, and returns the number of rows of the text.
pub(super) fn redraw(text: &Shown, drawn: usize) -> usize {
    let mut out = std::io::stdout().lock();
    let up = if drawn > 0 {
        format!("\x1b[{drawn}F\x1b[J")
    } else {
        String::new()
    };
    let text = fitted(text.as_str());
    let written = writeln!(out, "{up}{text}").and_then(|()| out.flush());
    // A terminal that is closed ends the process by a signal.
    written.ok();
    let width = terminal_width().unwrap_or(usize::MAX);
    text.lines()
        .map(|line| line.chars().count().div_ceil(width).max(1))
        .sum()
}

/// The width of the terminal, if standard output is one.
fn terminal_width() -> Option<usize> {
    Screen::current().width
}

/// The flags of each command that makes a change for many users.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ActArgs {
    /// Reason for the change, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = plain_line)]
    pub(crate) why: Option<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// The reason that the operator typed.
    #[arg(skip)]
    asked: OnceLock<String>,
}

impl ActArgs {
    /// Asks for confirmation if a terminal is attached. In scripts, where there is no terminal, and with `--yes`, the
    /// change is confirmed without a question. On a terminal a reason is required.
    pub(super) fn agree(&self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return self.ask_why();
        }
        if confirm(question)? {
            self.ask_why()
        } else {
            Err(CliError::bad("nothing was changed"))
        }
    }

    /// Asks for the reason if a terminal is attached and the flag is missing.
    pub(super) fn ask_why(&self) -> Result<(), CliError> {
        if self.why.is_some() || !is_on_terminal() {
            return Ok(());
        }
        if self.yes {
            return Err(CliError::usage(
                "say why, for the audit log: --why TEXT; nothing was changed",
            ));
        }
        let why = ask("Why? (for the audit log) ")?;
        let why = plain_line(&why)
            .map_err(|wrong| CliError::usage(format!("the reason {wrong}; nothing was changed")))?;
        self.asked.set(why).ok();
        Ok(())
    }

    /// Who acts, and the reason given.
    pub(super) fn operator(&self, acting: &Acting) -> Operator {
        Operator {
            who: acting.who.clone(),
            why: self.why.as_ref().or_else(|| self.asked.get()).cloned(),
        }
    }
}

pub(super) fn is_on_terminal() -> bool {
    std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
        && std::io::stderr().is_terminal()
}

fn confirm(question: &str) -> Result<bool, CliError> {
    if !is_on_terminal() {
        return Ok(true);
    }
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.as_str(), "y" | "Y" | "yes"))
}

pub(super) fn ask(question: &str) -> Result<String, CliError> {
    let mut asked = std::io::stderr().lock();
    write!(asked, "{}", Shown::from(question))
        .and_then(|()| asked.flush())
        .map_err(CliError::bad)?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(CliError::bad)?;

    Ok(answer.trim().to_owned())
}

/// Accepts only text that is safe in the audit log and on the terminals of its readers.
pub(super) fn plain_line(text: &str) -> Result<String, &'static str> {
    if printable::is_plain_line(text) {
        Ok(text.to_owned())
    } else {
        Err(printable::NOT_PLAIN)
    }
}

/// Prints one JSON document: the same data, with characters that hide or reorder others escaped.
pub(super) fn json(document: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(document).map_err(CliError::bad)?;
    write_line(&printable::json(&text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printable::{ATTACKS, is_deceptive};

    #[test]
    fn text_from_outside_never_adds_a_line_of_its_own() {
        for attack in ATTACKS {
            let one = Shown::from(format!("request  delete, by {attack}"));
            assert!(!one.as_str().chars().any(is_deceptive), "{one:?}");
            let rows = [["1", attack], [attack, "2"]];
            for (shown, lines) in [
                (table(["user", "why"], rows), 4),
                (wide_table(vec!["user"], vec![attack.to_owned()]), 3),
                ([attack, "ours"].into_iter().collect(), 2),
            ] {
                assert!(
                    !shown.as_str().chars().any(|c| is_deceptive(c) && c != '\n'),
                    "{shown:?}"
                );
                assert_eq!(shown.as_str().lines().count(), lines, "{shown}");
            }
            let paragraph = Shown::paragraph(&format!("2 faults:\n  {attack}"));
            assert!(
                paragraph
                    .as_str()
                    .lines()
                    .skip(1)
                    .all(|line| line.starts_with("  ")),
                "{paragraph}"
            );
            assert!(plain_line(attack).is_err(), "{attack:?}");
        }
        assert_eq!(
            plain_line("case 4711: „Löschung“"),
            Ok("case 4711: „Löschung“".to_owned())
        );
        assert!(
            plain_line("").is_err()
                && plain_line(" ").is_err()
                && plain_line(&"a".repeat(1001)).is_err()
        );
    }
}
