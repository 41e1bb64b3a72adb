use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

use clap::ValueEnum;
use jiff::Timestamp;

use super::unknown::unknown;
use crate::cli::exit::{CliError, Exit};
use crate::job::BatchId;
use crate::operations::batches::{Reported, column_names, csv, report};
use crate::operations::users::UserFilter;
use crate::ports::batches::Batches;
use crate::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the batch
    #[arg(value_name = "B")]
    batch: BatchId,
    /// Form of the report
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Form {
    /// CSV with a header
    #[default]
    Csv,
    /// One JSON document
    Json,
}

pub(super) async fn run(
    args: &Args,
    batches: &dyn Batches,
    now: Timestamp,
) -> Result<Exit, CliError> {
    let all = UserFilter::default();
    let (mut rows, mut next) = report(batches, &args.batch, &all, 0, now).await?;
    if rows.is_empty() && next.is_none() {
        return Err(unknown(&args.batch));
    }
    let mut printer = Printer::new(args.output, batches, &args.batch).await?;
    let mut exit = Exit::Ok;
    loop {
        if rows.iter().any(|row| row.dead_letter.is_some()) {
            exit = Exit::Bad;
        }
        match printer.print(rows) {
            // A closed pipe (`| head`) is not an error.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Ok),
            result => result.map_err(CliError::bad)?,
        }
        let Some(from) = next else { break };
        (rows, next) = report(batches, &args.batch, &all, from, now).await?;
    }

    match printer.end() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::bad(error)),
        Ok(()) | Err(_) => Ok(exit),
    }
}

/// Prints rows as they arrive, so that memory use does not grow with the batch.
enum Printer {
    Csv {
        out: BufWriter<Stdout>,
        names: Vec<String>,
        is_first: bool,
    },
    Json(BufWriter<Stdout>, u64),
}

impl Printer {
    async fn new(form: Form, batches: &dyn Batches, batch: &BatchId) -> Result<Self, CliError> {
        Ok(match form {
            Form::Csv => Self::Csv {
                out: BufWriter::new(std::io::stdout()),
                names: column_names(batches, batch).await?,
                is_first: true,
            },
            Form::Json => Self::Json(BufWriter::new(std::io::stdout()), 0),
        })
    }

    fn print(&mut self, rows: Vec<Reported>) -> io::Result<()> {
        match self {
            Self::Csv {
                out,
                names,
                is_first,
            } => {
                let text = csv(rows, names, std::mem::take(is_first));
                out.write_all(&text.map_err(io::Error::from)?)
            }
            Self::Json(out, printed) => {
                for row in rows {
                    out.write_all(if *printed == 0 {
                        b"{\"users\":[\n"
                    } else {
                        b",\n"
                    })?;
                    *printed += 1;
                    out.write_all(printable::json(&serde_json::to_string(&row)?).as_bytes())?;
                }
                Ok(())
            }
        }
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Csv { mut out, .. } => out.flush(),
            Self::Json(mut out, printed) => {
                let head: &[u8] = if printed == 0 { b"{\"users\":[" } else { b"" };
                out.write_all(head)
                    .and_then(|()| out.write_all(b"\n]}\n"))
                    .and_then(|()| out.flush())
            }
        }
    }
}
