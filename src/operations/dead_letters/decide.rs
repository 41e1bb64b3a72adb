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
use super::past::{GroupHistory, HISTORY_AT_MOST, PastDecision};
use super::pick::{fingerprints, unique};
use super::scan::DeadLetterScan;
use super::tally::AccessTally;
use crate::clock::Clock;
use crate::ports::queue::Broker;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{
    Decision, GroupTexts, StoredGroup, decide, group_history, stored_group, stored_groups,
};

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
    /// Replaces the owner; an empty one removes it.
    Owner(String),
    /// Until a time, or until this many more dead letters of the group are in the queue than now.
    Ignore {
        until: Option<Timestamp>,
        more: Option<usize>,
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
            Self::Owner(_) => "dead-letters owner",
            Self::Ignore { .. } => "dead-letters ignore",
            Self::Resolve { .. } => "dead-letters resolve",
            Self::Reopen => "dead-letters reopen",
        }
    }

    fn details(&self, group: &str) -> serde_json::Value {
        match self {
            Self::Note(note) => json!({ "group": group, "note": note }),
            Self::Owner(owner) => json!({ "group": group, "owner": owner }),
            Self::Ignore { until, more } => {
                json!({ "group": group, "until": until, "moreLetters": more })
            }
            Self::Resolve { release } => json!({ "group": group, "release": release }),
            Self::Reopen => json!({ "group": group }),
        }
    }

    /// The decision and the texts after the change, while the queue has `count` dead letters of the group.
    fn apply(&self, before: Option<StoredGroup>, count: usize) -> (Decision, GroupTexts) {
        let (mut decision, mut texts) = match before {
            Some(StoredGroup::Record(record)) => {
                let texts = GroupTexts {
                    note: record.note,
                    owner: record.owner,
                };
                (record.decision, texts)
            }
            // What is in doubt counts as open.
            Some(StoredGroup::Doubtful(_)) | None => (Decision::Open, GroupTexts::default()),
        };
        let filled = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        match self {
            Self::Note(text) => texts.note = filled(text),
            Self::Owner(text) => texts.owner = filled(text),
            Self::Ignore { until, more } => {
                decision = Decision::Ignored {
                    until: *until,
                    until_count: more.map(|more| count.saturating_add(more)),
                };
            }
            Self::Resolve { release } => {
                let release = release.clone();
                decision = Decision::Resolved { release };
            }
            Self::Reopen => decision = Decision::Open,
        }
        (decision, texts)
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
        let after = change.apply(before, queue.count);
        let now = self.clock.now();
        let record = decide(&**self.store, &group, after.0, after.1, &recorded, now).await?;
        let stored = StoredGroup::Record(record);
        Ok(GroupChanged {
            count: queue.count,
            handling: Handling::of(Some(&stored), queue, now),
            group,
        })
    }

    /// What was decided about a group before, the newest first.
    pub(crate) async fn history(&self, name: &GroupName) -> Result<GroupHistory, DeadLetterError> {
        // A whole fingerprint needs no look into the queue, which would hide it from others.
        let group = match name.whole() {
            Some(group) => group.to_owned(),
            None => self.find(name).await?,
        };
        let (records, older) = group_history(&**self.store, &group, HISTORY_AT_MOST).await?;
        Ok(GroupHistory {
            group,
            decisions: records
                .into_iter()
                .map(|record| record.map(PastDecision::of))
                .collect(),
            older,
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
