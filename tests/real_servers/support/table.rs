//! One row for each trial of `make test-backends`, which prints them as a table.

use std::any::Any;
use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// What the name of a trial that has a row begins with.
pub(crate) const PREFIX: &str = "backends: ";
/// A file that gets the rows, in Markdown.
const TABLE: &str = "OFFBOARDER_BACKENDS_TABLE";

#[derive(Default)]
struct Row {
    backend: Option<String>,
    verdict: Option<String>,
}

thread_local! {
    static ROW: RefCell<Row> = RefCell::default();
}

/// What the trial of this thread is about, with the versions as the servers say them.
pub(crate) fn backend(name: impl Into<String>) {
    ROW.with_borrow_mut(|row| row.backend = Some(name.into()));
}

/// What the trial of this thread found, if that is not simply that it works.
pub(crate) fn verdict(found: impl Into<String>) {
    ROW.with_borrow_mut(|row| row.verdict = Some(found.into()));
}

/// Runs a trial and writes its row, also when it fails.
pub(crate) fn record(name: &str, run: impl FnOnce()) {
    ROW.set(Row::default());
    let begun = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(run));
    let seconds = begun.elapsed().as_secs();

    let row = ROW.take();
    let backend = row.backend.unwrap_or_else(|| "see there".to_owned());
    let verdict = match &ended {
        Ok(()) => row.verdict.unwrap_or_else(|| "works".to_owned()),
        Err(panic) => format!("**FAILS**: {}", first_line(panic.as_ref())),
    };
    let what = name.strip_prefix(PREFIX).unwrap_or(name);
    write(&format!("| {backend} | {what} | {verdict} | {seconds} |"));
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

fn first_line(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let line = text
        .and_then(|text| text.lines().next())
        .unwrap_or("no text");
    line.chars().take(200).collect::<String>().replace('|', "/")
}

fn write(row: &str) {
    eprintln!("{row}");
    let Some(path) = std::env::var_os(TABLE) else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| writeln!(file, "{row}"));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
