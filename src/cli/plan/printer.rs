//! Prints a plan user by user.

use std::io::{Stdout, Write as _};

use indicatif::ProgressBar;
use serde_json::json;

use super::cost::Cost;
use super::total::{Total, counted};
use crate::cli::columns;
use crate::cli::output::Output;
use crate::cli::screen::Screen;
use crate::cli::table::Rolling;
use crate::failure::Failure;
use crate::operations::plan::Plan;
use crate::operations::plans::StoredPlan;
use crate::printable;

/// The longest cells: they set the widths of the table, before its rows are known.
const LONGEST: [&str; 6] = [
    "00000000-0000-0000-0000-000000000000",
    "inactive, DeactivatedOnly",
    "held: deactivate only",
    "queues",
    "conversations",
    "on legal hold (offboarder hold list)",
];

/// Prints plans as they are made.
pub(super) struct Printer {
    output: Output,
    out: Stdout,
    bar: ProgressBar,
    table: Rolling<'static>,
    printed: u64,
}

impl Printer {
    pub(super) fn new(output: Output, bar: ProgressBar) -> Self {
        Self {
            output,
            out: std::io::stdout(),
            bar,
            table: Rolling::new(&columns::PLAN, &LONGEST, Screen::current()),
            printed: 0,
        }
    }

    pub(super) fn begin(&mut self, users: u64, cost: &Cost) -> std::io::Result<()> {
        let text = match self.output {
            Output::Json => format!(
                "{{\n  \"cost\": {},\n  \"users\": [",
                serde_json::to_string(cost)?
            ),
            Output::Table => {
                let head = lines(self.table.head());
                format!("{}\n\n{head}", cost.text(users))
            }
        };
        self.write(&text)
    }

    pub(super) fn row(&mut self, plan: &Plan) -> std::io::Result<()> {
        let text = match self.output {
            Output::Json => {
                let comma = if self.printed > 0 { "," } else { "" };
                let plan = serde_json::to_string(plan)?;
                format!("{comma}\n    {}", printable::json(&plan))
            }
            Output::Table => {
                let cells = row(plan).map(|cell| printable::line(&cell).into_owned());
                lines(self.table.row(cells.to_vec()))
            }
        };
        self.printed += 1;
        self.bar.inc(1);
        self.write(&text)
    }

    pub(super) fn end(
        &mut self,
        total: &Total,
        stored: Option<&StoredPlan>,
        failure: Option<&Failure>,
    ) -> std::io::Result<()> {
        self.bar.finish_and_clear();
        let text = match self.output {
            Output::Json => {
                let rest = json!({ "total": total, "stored": stored, "error": failure.map(|failure| &failure.text) });
                let rest = rest.to_string();
                let rest = printable::json(rest.trim_start_matches('{')).into_owned();
                format!("\n  ],\n  {rest}\n")
            }
            Output::Table => format!("{}\n{}\n", lines(self.table.foot()), total.text()),
        };
        self.write(&text)
    }

    /// Each row is shown at once; on a terminal, above the bar.
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        let out = &mut self.out;
        self.bar.suspend(|| {
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }
}

fn lines(lines: Vec<String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

fn row(plan: &Plan) -> [String; 6] {
    let active = match plan.active {
        Some(true) => "active",
        Some(false) => "inactive",
        None => "unknown to the API",
    };
    let now = plan
        .state
        .map_or_else(|| active.to_owned(), |state| format!("{active}, {state}"));
    let guard = plan
        .guard
        .iter()
        .cloned()
        .chain(plan.delete_not_before.map(|at| format!("until {at:.0}")));

    [
        plan.user_id.to_string(),
        now,
        plan.end.as_str().to_owned(),
        plan.queues.len().to_string(),
        counted(plan.conversations),
        guard.collect::<Vec<_>>().join(", "),
    ]
}
