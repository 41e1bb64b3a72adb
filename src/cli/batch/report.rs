use std::io::{self, BufWriter, ErrorKind, Stdout, Write as _};

use clap::ValueEnum;
use jiff::Timestamp;

use super::unknown::unknown;
use crate::cli::exit::{CliError, Exit};
use crate::job::BatchId;
use crate::operations::batches::{Reported, Standing, column_names, report};
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
    let (mut rows, mut next) = report(batches, &args.batch, 0, now).await?;
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
        (rows, next) = report(batches, &args.batch, from, now).await?;
    }

    match printer.end() {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::bad(error)),
        Ok(()) | Err(_) => Ok(exit),
    }
}

/// Prints rows as they arrive, so that memory use does not grow with the batch.
enum Printer {
    Csv(Box<csv::Writer<Stdout>>, Vec<String>),
    Json(BufWriter<Stdout>, u64),
}

impl Printer {
    async fn new(form: Form, batches: &dyn Batches, batch: &BatchId) -> Result<Self, CliError> {
        Ok(match form {
            Form::Csv => {
                let names = column_names(batches, batch).await?;
                let mut out = csv::WriterBuilder::new()
                    .has_headers(false)
                    .from_writer(std::io::stdout());
                // A closed pipe shows again at the first row.
                out.write_record(&header(&names).map_err(CliError::bad)?)
                    .ok();
                Self::Csv(Box::new(out), names)
            }
            Form::Json => Self::Json(BufWriter::new(std::io::stdout()), 0),
        })
    }

    fn print(&mut self, rows: Vec<Reported>) -> io::Result<()> {
        for row in rows {
            match self {
                Self::Csv(out, names) => {
                    let mut row = row.for_spreadsheets();
                    let columns = std::mem::take(&mut row.columns);
                    let cells: Vec<String> = names
                        .iter()
                        .map(|name| printable::cell(columns.get(name).unwrap_or_default()))
                        .collect();
                    out.serialize((row, cells)).map_err(io::Error::from)?;
                }
                Self::Json(out, printed) => {
                    out.write_all(if *printed == 0 {
                        b"{\"users\":[\n"
                    } else {
                        b",\n"
                    })?;
                    *printed += 1;
                    out.write_all(printable::json(&serde_json::to_string(&row)?).as_bytes())?;
                }
            }
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Csv(mut out, _) => out.flush(),
            Self::Json(mut out, printed) => {
                let head: &[u8] = if printed == 0 { b"{\"users\":[" } else { b"" };
                out.write_all(head)
                    .and_then(|()| out.write_all(b"\n]}\n"))
                    .and_then(|()| out.flush())
            }
        }
    }
}

/// Our columns, then those of the input file, which have a prefix because offboarder did not check them.
fn header(names: &[String]) -> Result<csv::StringRecord, csv::Error> {
    let mut ours = csv::Writer::from_writer(Vec::new());
    let nobody = "00000000-0000-0000-0000-000000000000".parse();
    let nobody = nobody.map_err(io::Error::other)?;
    ours.serialize(Reported::unknown(nobody, Standing::NotBegun))?;
    let ours = ours.into_inner().unwrap_or_default();
    let mut header = csv::Reader::from_reader(ours.as_slice()).headers()?.clone();
    header.extend(names.iter().map(|name| format!("file.{name}")));
    Ok(header)
}
