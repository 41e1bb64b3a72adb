//! What the check found, and how it is printed.

use std::sync::Arc;

use indicatif::HumanBytes;
use jiff::Timestamp;
use serde_json::json;

use super::limits::{Checks, cannot_find};
use super::log::LogArgs;
use super::open::{OpenUsers, open_users};
use crate::cli::columns;
use crate::cli::evidence::say_log;
use crate::cli::exit::{CliError, Exit};
use crate::cli::output::{Output, json as print_json, say, table};
use crate::clock::Clock;
use crate::evidence_log::LogReport;
use crate::failure::Failure;
use crate::operations::report::Strangers;
use crate::operations::verify::{Checked, Checker, KnownManifests, Verdict};
use crate::ports::ArchiveStore;

/// The table lists users without findings only if there are at most this many users.
const FEW: usize = 20;

/// What was asked for.
pub(super) struct Asked<'a> {
    /// Not only users who were named.
    pub everyone: bool,
    pub log: &'a LogArgs,
    pub output: Output,
}

pub(super) struct Report {
    pub location: String,
    /// What was checked is a download.
    pub downloaded: bool,
    /// The digests in the checkpoints were compared.
    pub compared: bool,
    pub verdicts: Vec<Verdict>,
    /// Why the remaining users were not checked.
    pub stopped_by: Option<Failure>,
    /// An operator stopped the check.
    pub was_stopped: bool,
    log: Option<LogReport>,
    /// Orders against what is stored; `None` if users were named.
    open: Option<OpenUsers>,
}

impl Report {
    pub(super) fn of(place: &Checker, checked: Checked) -> Self {
        Self {
            downloaded: place.verifier.downloaded,
            compared: !matches!(place.known_manifests, KnownManifests::None),
            verdicts: checked.verdicts,
            stopped_by: checked.stopped_by,
            ..Self::of_operation(place.verifier.store.location())
        }
    }

    /// Of an operation that did not say anything yet.
    pub(super) fn of_operation(location: String) -> Self {
        Self {
            location,
            downloaded: false,
            compared: true,
            verdicts: Vec::new(),
            stopped_by: None,
            was_stopped: false,
            log: None,
            open: None,
        }
    }

    /// What is checked beside single users: the evidence log, and whether every order has an end.
    pub(super) async fn check_everything(
        &mut self,
        asked: &Asked<'_>,
        store: &Arc<dyn ArchiveStore>,
        no_files: &Strangers,
    ) -> Result<(), CliError> {
        self.log = asked.log.check(&**store).await?;
        if asked.everyone {
            let open = open_users(store, self.downloaded, no_files.clone()).await?;
            self.open = Some(open);
        }
        Ok(())
    }

    pub(super) fn end(self, asked: &Asked<'_>) -> Result<Exit, CliError> {
        self.print(asked, Clock::system().now())?;
        let log_is_bad = self
            .log
            .as_ref()
            .is_some_and(|log| !log.findings.is_empty());
        let order_is_bad = self.open.as_ref().is_some_and(OpenUsers::is_bad);
        let is_bad = self.was_stopped
            || log_is_bad
            || order_is_bad
            || self.verdicts.iter().any(|verdict| !verdict.ok);
        match self.stopped_by {
            Some(failure) if !is_bad => Err(failure.into()),
            Some(_) | None => Ok(if is_bad { Exit::Bad } else { Exit::Ok }),
        }
    }

    fn print(&self, asked: &Asked<'_>, now: Timestamp) -> Result<(), CliError> {
        let bad = self.verdicts.iter().filter(|verdict| !verdict.ok).count();
        let (archives, bytes) = self
            .verdicts
            .iter()
            .fold((0, 0), |(archives, bytes), verdict| {
                (archives + verdict.archives, bytes + verdict.bytes)
            });
        let location = &self.location;

        if asked.output == Output::Json {
            let mut document = json!({
                "location": location,
                "downloaded": self.downloaded,
                "checkedAt": now,
                "totals": { "users": self.verdicts.len(), "bad": bad, "archives": archives, "bytes": bytes },
                "stoppedBy": self.stopped_by,
                "cannotFind": self.cannot_find(asked),
                "users": self.verdicts,
            });
            if let Some(members) = document.as_object_mut() {
                let log = self.log.iter().map(|log| ("evidenceLog", json!(log)));
                let open = self.open.iter().map(|open| ("orders", json!(open)));
                members.extend(log.chain(open).map(|one| (one.0.to_owned(), one.1)));
            }
            return print_json(&document);
        }
        let without_findings = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.ok && self.verdicts.len() <= FEW);
        let findings = self.verdicts.iter().flat_map(|verdict| {
            verdict.findings.iter().map(|finding| {
                [
                    verdict.user_id.to_string(),
                    "NOT OK".to_owned(),
                    format!("{}: {}", finding.object, finding.text),
                ]
            })
        });
        let rows: Vec<_> = without_findings.map(row).chain(findings).collect();
        if !rows.is_empty() {
            say(table(columns::VERIFY, rows));
        }
        let users = self.verdicts.len();
        let limit = if self.downloaded {
            "; a download has no versions and locks, so these were not checked"
        } else {
            ""
        };
        say(format!(
            "{users} users checked in {location}, {bad} not ok; {archives} archives read ({}){limit}",
            HumanBytes(bytes)
        ));
        if self.was_stopped {
            say("an operator stopped the check: the other users were not checked");
        }
        self.open.iter().for_each(OpenUsers::say);
        self.log.iter().for_each(say_log);
        for what in self.cannot_find(asked) {
            say(format!("this check cannot find: {what}"));
        }

        Ok(())
    }
    /// What the check cannot find.
    fn cannot_find(&self, asked: &Asked<'_>) -> Vec<&'static str> {
        let older = |verdict: &Verdict| verdict.older_versions == Some(false);
        let checks = Checks {
            downloaded: self.downloaded,
            compared: self.compared,
            older_unlisted: self.verdicts.iter().any(older),
        };
        cannot_find(&checks, asked.everyone, asked.log)
    }
}

/// The row of a user without findings.
fn row(verdict: &Verdict) -> [String; 3] {
    let state = verdict
        .state
        .map_or_else(String::new, |state| format!("{state}, "));
    let manifests = match verdict.manifests {
        1 => "1 manifest".to_owned(),
        more => format!("{more} manifests"),
    };
    let under_way = if verdict.under_way {
        "; an off-boarding is in progress"
    } else {
        ""
    };
    let not_compared = match verdict.compared {
        Some(false) => "; the digest in the checkpoint was not compared: it could not be read",
        Some(true) | None => "",
    };
    let read = HumanBytes(verdict.bytes);

    [
        verdict.user_id.to_string(),
        "ok".to_owned(),
        format!("{state}{manifests}, {read} of archives{under_way}{not_compared}"),
    ]
}
