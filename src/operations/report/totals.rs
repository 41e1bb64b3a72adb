//! The sums of the report. Each of the three divisions of the rows adds up to all rows.

use serde::Serialize;

use super::row::{Checked, Outcome, Row};
use crate::machine::DeletionOutcome;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    /// All rows.
    pub asked: u64,
    pub access_gone: AccessGone,
    pub outcomes: Outcomes,
    pub checks: Checks,
    /// Rows of users who are on hold now.
    pub on_hold: u64,
    /// Rows that are listed although it is not known when they were asked for.
    pub asked_at_unknown: u64,
    pub conversations: u64,
    pub archive_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessGone {
    pub within_target: u64,
    pub late: u64,
    /// The time of the request or of the removal is not known, or contradicts the other.
    pub unknown: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcomes {
    pub deleted: u64,
    pub refused: u64,
    pub held: u64,
    pub not_requested: u64,
    pub not_offered: u64,
    pub without_manifest: u64,
    pub cancelled: u64,
    pub open: u64,
    pub erased: u64,
    pub unreadable: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Checks {
    pub ok: u64,
    pub not_ok: u64,
    pub no_manifest: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, row: &Row) {
        self.asked += 1;
        *match row.within_target {
            Some(true) => &mut self.access_gone.within_target,
            Some(false) => &mut self.access_gone.late,
            None => &mut self.access_gone.unknown,
        } += 1;
        *self.outcome(row) += 1;
        *match row.checked {
            Checked::Ok => &mut self.checks.ok,
            Checked::NotOk => &mut self.checks.not_ok,
            Checked::NoManifest => &mut self.checks.no_manifest,
        } += 1;

        self.on_hold += u64::from(row.hold.is_some());
        self.asked_at_unknown += u64::from(row.asked_at.is_none());
        self.conversations += row.conversations.unwrap_or_default();
        self.archive_bytes += row.archive_bytes.unwrap_or_default();
    }

    fn outcome(&mut self, row: &Row) -> &mut u64 {
        let outcomes = &mut self.outcomes;
        match (row.outcome, row.deletion) {
            (Outcome::Deleted, _) => &mut outcomes.deleted,
            (Outcome::DeactivatedOnly, Some(DeletionOutcome::Refused)) => &mut outcomes.refused,
            (Outcome::DeactivatedOnly, Some(DeletionOutcome::Held)) => &mut outcomes.held,
            (Outcome::DeactivatedOnly, Some(DeletionOutcome::NotRequested)) => {
                &mut outcomes.not_requested
            }
            (Outcome::DeactivatedOnly, Some(DeletionOutcome::NotOffered)) => {
                &mut outcomes.not_offered
            }
            (Outcome::Cancelled, _) => &mut outcomes.cancelled,
            (Outcome::Open, _) => &mut outcomes.open,
            (Outcome::Erased, _) => &mut outcomes.erased,
            // A manifest that contradicts itself.
            (
                Outcome::DeactivatedOnly,
                Some(DeletionOutcome::Deleted | DeletionOutcome::AlreadyGone) | None,
            )
            | (Outcome::Unreadable, _) => &mut outcomes.unreadable,
            (Outcome::Sealed | Outcome::Archived | Outcome::Discarded | Outcome::Hidden, _) => {
                &mut outcomes.without_manifest
            }
        }
    }

    /// For people, a line each.
    pub(crate) fn lines(&self) -> [String; 4] {
        let AccessGone {
            within_target,
            late,
            unknown,
        } = self.access_gone;
        let Checks {
            ok,
            not_ok,
            no_manifest,
        } = self.checks;
        let Outcomes {
            deleted,
            refused,
            held,
            not_requested,
            not_offered,
            without_manifest,
            cancelled,
            open,
            erased,
            unreadable,
        } = self.outcomes;
        [
            format!(
                "{} asked for: access gone within the target {within_target}, late {late}, unknown {unknown}",
                self.asked
            ),
            format!(
                "{deleted} deleted, {refused} refused, {held} held, {not_requested} only to deactivate, {not_offered} not \
                 offered, {without_manifest} without a manifest, {cancelled} cancelled, {open} open, {erased} erased, \
                 {unreadable} unreadable"
            ),
            format!("checks: {ok} ok, {not_ok} not ok, {no_manifest} without a manifest"),
            format!(
                "{} on hold now; {} asked for at an unknown time; {} conversations archived",
                self.on_hold, self.asked_at_unknown, self.conversations
            ),
        ]
    }
}
