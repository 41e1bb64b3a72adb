//! Prints answers: tables for people, JSON for programs; and asks before a change.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, LineStyle, Row, Table, TableStyle};

use super::exit::CliError;
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
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
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

/// Writes to standard output. A closed pipe (`| head`) is not an error.
pub(super) fn say(text: impl Into<Shown>) {
    write_line(text.into().as_str());
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

const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table that fits the width of the terminal, or of any width if standard output is no terminal.
pub(super) fn table<const N: usize, C: Into<Shown>>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [C; N]>,
) -> Shown {
    rows_under(header, rows)
}

/// A table of one row.
pub(super) fn wide_table(header: Vec<&str>, row: Vec<String>) -> Shown {
    rows_under(header, [row])
}

fn rows_under<C: Into<Shown>>(
    header: impl Into<Row>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>,
) -> Shown {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row.into_iter().map(Into::into).collect::<Vec<Shown>>());
    }
    Shown(table.to_string())
}

/// The width of the terminal, if standard output is one.
pub(super) fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// The flags of each command that makes a change for many users.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ActArgs {
    /// Reason for the change, for the audit log
    #[arg(long, value_name = "TEXT", value_parser = plain_line)]
    pub(crate) why: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

impl ActArgs {
    /// Asks for confirmation if a terminal is attached. In scripts, where there is no terminal, and with `--yes`, the
    /// change is confirmed without a question.
    pub(super) fn agree(&self, question: &str) -> Result<(), CliError> {
        if confirm(question, self.yes)? {
            Ok(())
        } else {
            Err(CliError::bad("nothing was changed"))
        }
    }

    /// The user of this machine, and the reason given.
    pub(super) fn operator(&self) -> Operator {
        Operator {
            who: who(),
            why: self.why.clone(),
        }
    }
}

fn confirm(question: &str, yes: bool) -> Result<bool, CliError> {
    let is_on_terminal = std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
        && std::io::stderr().is_terminal();
    if yes || !is_on_terminal {
        return Ok(true);
    }
    let mut asked = std::io::stderr().lock();
    write!(asked, "{} [y/N] ", Shown::from(question))
        .and_then(|()| asked.flush())
        .map_err(CliError::bad)?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(CliError::bad)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Accepts only text that is safe in the audit log and on the terminals of its readers.
fn plain_line(text: &str) -> Result<String, &'static str> {
    if printable::is_plain_line(text) {
        Ok(text.to_owned())
    } else {
        Err(printable::NOT_PLAIN)
    }
}

fn who() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let who = format!("{}@{}", user.as_deref().unwrap_or("unknown"), host.trim());
    printable::line(&who).into_owned()
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
