//! What operators decide about groups of dead letters.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Handling;
use super::error::DeadLetterError;
use super::filter::GroupName;
use super::handling::{InQueueNow, still_has_access};
use super::pick::{fingerprints, unique};
use super::scan::DeadLetterScan;
use super::tally::AccessTally;
use crate::clock::Clock;
use crate::ports::queue::Broker;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{Decision, StoredGroup, decide, stored_group, stored_groups};

/// Where groups of dead letters, and decisions about them, are.
pub(crate) struct DeadLetterGroups<'a> {
    pub broker: &'a dyn Broker,
    pub checkpoints: &'a dyn Checkpoints,
    pub store: &'a Arc<dyn ArchiveStore>,
    pub clock: &'a Clock,
}

/// What an operator changes about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupChange {
    /// Replaces the note; an empty one removes it.
    Note(String),
    Ignore {
        until: Timestamp,
    },
    Resolve {
        release: Option<String>,
    },
    Reopen,
}

/// A group that an operator changed
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupChanged {
    /// The fingerprint of the group.
    pub group: String,
    /// The number of dead letters of the group in the queue.
    #[serde(rename = "letters")]
    pub count: usize,
    /// The state now.
    pub handling: Handling,
}

impl GroupChange {
    /// The words of the command.
    const fn what(&self) -> &'static str {
        match self {
            Self::Note(_) => "dead-letters note",
            Self::Ignore { .. } => "dead-letters ignore",
            Self::Resolve { .. } => "dead-letters resolve",
            Self::Reopen => "dead-letters reopen",
        }
    }

    fn details(&self, group: &str) -> serde_json::Value {
        match self {
            Self::Note(note) => json!({ "group": group, "note": note }),
            Self::Ignore { until } => json!({ "group": group, "until": until }),
            Self::Resolve { release } => json!({ "group": group, "release": release }),
            Self::Reopen => json!({ "group": group }),
        }
    }

    /// The decision and the note after the change.
    fn apply(&self, before: Option<StoredGroup>) -> (Decision, Option<String>) {
        let (decision, note) = match before {
            Some(StoredGroup::Record(record)) => (record.decision, record.note),
            // What is in doubt counts as open.
            Some(StoredGroup::Doubtful(_)) | None => (Decision::Open, None),
        };
        match self {
            Self::Note(text) => (decision, Some(text.clone()).filter(|text| !text.is_empty())),
            Self::Ignore { until } => (Decision::Ignored { until: *until }, note),
            Self::Resolve { release } => {
                let release = release.clone();
                (Decision::Resolved { release }, note)
            }
            Self::Reopen => (Decision::Open, note),
        }
    }
}

impl DeadLetterGroups<'_> {
    /// Records the change in the audit log, then makes it. A group in which somebody may still have access is not ignored.
    pub(crate) async fn change(
        &self,
        name: &GroupName,
        change: &GroupChange,
        operator: &Operator,
    ) -> Result<GroupChanged, DeadLetterError> {
        let group = self.find(name).await?;
        let queue = self.in_queue(&group).await?;
        if let GroupChange::Ignore { .. } = change
            && let Some(who) = still_has_access(queue.access)
        {
            return Err(DeadLetterError::Refused(format!(
                "group {group} is not ignored: {who}; `offboarder dead-letters list --group {group}` says who"
            )));
        }

        let audit_log = AuditLog::new(Arc::clone(self.store), self.clock.clone());
        let entry = Change {
            what: change.what(),
            count: queue.count,
            details: change.details(&group),
        };
        let recorded = audit_log.record(operator, entry).await?;
        let before = stored_group(&**self.store, &group).await?;
        let after = change.apply(before);
        let now = self.clock.now();
        let record = decide(&**self.store, &group, after.0, after.1, &recorded, now).await?;
        let stored = StoredGroup::Record(record);
        Ok(GroupChanged {
            count: queue.count,
            handling: Handling::of(Some(&stored), queue, now),
            group,
        })
    }

    /// The fingerprint of a group in the queue, or of one about which something was decided.
    async fn find(&self, name: &GroupName) -> Result<String, DeadLetterError> {
        let mut known: BTreeSet<String> = fingerprints(self.broker).await?;
        known.extend(stored_groups(&**self.store).await?.into_keys());
        let name = unique(name, &known)?;
        Ok(name.as_str().to_owned())
    }

    async fn in_queue(&self, group: &str) -> Result<InQueueNow, DeadLetterError> {
        let mut access = AccessTally::default();
        let mut count = 0;
        let mut last_seen = None;
        let mut scan = DeadLetterScan::begin(self.broker).await?;
        while let Some((dead_letter, _delivery)) = scan.next().await? {
            if dead_letter.fingerprint == group {
                count += 1;
                access.add(&dead_letter);
                last_seen = last_seen.max(dead_letter.dead_lettered_at);
            }
        }
        scan.close().await?;

        Ok(InQueueNow {
            count,
            access: access.counts(self.checkpoints).await,
            last_seen,
        })
    }
}
