use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, LineStyle, Row, Table, TableStyle};

use super::exit::CliError;
use crate::acts::By;

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// For people: fits the terminal's width.
    #[default]
    Table,
    /// One document on standard output.
    Json,
}

/// The flag of every command that answers.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutputArgs {
    /// How to answer
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Output,
}

/// Writes a line to standard output. A reader that went away (`| head`) is no fault.
pub(super) fn say(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.write_all(b"\n"));
    written.and_then(|()| out.flush()).ok();
}

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table that fits the terminal; as wide as it likes where there is none.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    rows_under(header, rows)
}

/// A table of one row.
pub(super) fn wide_table(header: Vec<&str>, row: Vec<String>) -> String {
    rows_under(header, [row])
}

fn rows_under(header: impl Into<Row>, rows: impl IntoIterator<Item = impl Into<Row>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Columns of the terminal, if standard output is one.
pub(super) fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// The flags of every command that changes the world for many.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ActArgs {
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

impl ActArgs {
    /// `Err` unless it is agreed: on a terminal by an answer, elsewhere, and with `--yes`, without one.
    pub(super) fn agree(&self, question: &str) -> Result<(), CliError> {
        if confirm(question, self.yes)? { Ok(()) } else { Err(CliError::bad("nothing was changed")) }
    }

    /// Who acts, as this machine knows it, and why.
    pub(super) fn by(&self) -> By {
        By { who: who(), why: self.why.clone() }
    }
}

fn confirm(question: &str, yes: bool) -> Result<bool, CliError> {
    let somebody_is_there =
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if yes || !somebody_is_there {
        return Ok(true);
    }
    let mut asked = std::io::stderr().lock();
    write!(asked, "{question} [y/N] ").and_then(|()| asked.flush()).map_err(CliError::bad)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(CliError::bad)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn who() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host.trim())
}

/// One JSON document on standard output.
pub(super) fn json(document: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(document).map_err(CliError::bad)?;
    say(text);
    Ok(())
}
