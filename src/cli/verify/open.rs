//! Users whom `submit` ordered, and of whom no end is stored.

use std::io;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::exit::CliError;
use crate::cli::output::{say, time};
use crate::clock::Clock;
use crate::job::{BatchId, UserId};
use crate::operations::report::{Outcome, PARTS, Reporter, Row, Stopped, Strangers, Wanted};
use crate::operations::verify::{Schema, Verifier};
use crate::ports::ArchiveStore;

/// That many are listed for people.
const FEW: usize = 20;

/// The orders against what is stored.
#[derive(Debug, Serialize)]
pub(super) struct OpenUsers {
    open: Vec<OpenUser>,
    /// Orders that do not count, and why.
    faults: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OpenUser {
    user_id: UserId,
    asked_at: Option<Timestamp>,
    asked_by: Option<String>,
    batch_ids: Vec<BatchId>,
}

pub(super) async fn open_users(
    store: &Arc<dyn ArchiveStore>,
    downloaded: bool,
    strangers: Strangers,
) -> Result<OpenUsers, CliError> {
    let everyone = Wanted {
        since: Timestamp::MIN,
        until: Timestamp::MAX,
        batch: None,
        target: SignedDuration::ZERO,
    };
    let verifier = Verifier {
        store: Arc::clone(store),
        schema: Schema::new(),
        downloaded,
    };
    let now = Clock::system().now();
    let mut reporter = Reporter::open(verifier, everyone, strangers, now).await?;
    let mut open = Vec::new();
    for digit in PARTS.chars() {
        let read = reporter.part(digit, |row| {
            open.extend(OpenUser::of(row));
            io::Result::Ok(())
        });
        read.await.map_err(|stopped| match stopped {
            Stopped::Store(failure) => CliError::from(failure),
            Stopped::Output(error) => CliError::bad(error),
        })?;
    }
    Ok(OpenUsers {
        open,
        faults: reporter.odd_orders,
    })
}

impl OpenUser {
    fn of(row: &Row) -> Option<Self> {
        (row.outcome == Outcome::Open).then(|| Self {
            user_id: row.user_id,
            asked_at: row.asked_at,
            asked_by: row.asked_by.clone(),
            batch_ids: row.batch_ids.clone(),
        })
    }
}

impl OpenUsers {
    pub(super) const fn is_bad(&self) -> bool {
        !self.faults.is_empty()
    }

    pub(super) fn say(&self) {
        for fault in &self.faults {
            say(format!("NOT OK  the order {fault}"));
        }
        for user in self.open.iter().take(FEW) {
            let at = user.asked_at.map_or_else(String::new, time);
            let by = user.asked_by.as_deref().unwrap_or_default();
            say(format!("open  {}: ordered at {at} by {by}", user.user_id));
        }
        match self.open.len() {
            0 => say("every user whom `submit` ordered has an end, or was cancelled or given up"),
            open => {
                let more = if open > FEW {
                    "; --output json lists all"
                } else {
                    ""
                };
                say(format!(
                    "open users, whom `submit` ordered and of whom nothing is stored since: {open}. They wait, are in \
                     progress, are dead letters, or all their objects were removed{more}"
                ));
            }
        }
    }
}
