//! What operators decided about groups of dead letters: ignored for a time, resolved in a release, a note. The records
//! are signed, numbered objects of the archive store, as holds are: a Redis that lost its data must not lose a decision,
//! and must not be able to hide a group. Where what is stored is in doubt, the group is open.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::audit_log::Recorded;

/// What an operator decided about a group of dead letters
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Decision {
    /// Somebody has to act.
    Open,
    /// Nobody has to act for now. At least one of the two ends it.
    Ignored {
        /// Nobody has to act before this time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = DateTime)]
        until: Option<Timestamp>,
        /// Nobody has to act before the queue has this many dead letters of the group.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            rename = "untilLetters"
        )]
        until_count: Option<usize>,
    },
    /// The cause is fixed.
    Resolved {
        /// The release that has the fix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<String>,
    },
}

/// What stays with a group whatever is decided about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct GroupTexts {
    /// For the next operator.
    pub note: Option<String>,
    /// Who takes care of the group.
    pub owner: Option<String>,
}

/// The last decision about a group, its note and its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    #[serde(flatten)]
    pub decision: Decision,
    /// For the next operator. It stays until another one takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who takes care of the group, until another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The operator of the last change.
    pub who: String,
    /// Why, in the words of that operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub at: Timestamp,
    /// Objects that we did not write; with this record they no longer put the sequence in doubt.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "passesOver")]
    pub passes_over: Vec<String>,
}

impl Numbered for GroupRecord {
    const PURPOSE: Purpose = Purpose::DeadLetterGroup;

    fn passes_over(&mut self) -> &mut Vec<String> {
        &mut self.passes_over
    }
}

/// What is stored about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoredGroup {
    Record(GroupRecord),
    /// The text says which object is in doubt, and why.
    Doubtful(String),
}

const PREFIX: &str = "_group_";
const READS_AT_ONCE: usize = 16;

/// What the keys of a group's records begin with: `_group_{fingerprint}.{number}.json`.
fn prefix_of(fingerprint: &str) -> String {
    format!("{PREFIX}{fingerprint}.")
}

/// What is stored about all groups, by fingerprint.
pub(crate) async fn stored_groups(
    store: &dyn ArchiveStore,
) -> Result<BTreeMap<String, StoredGroup>, Failure> {
    let listed = store.shown_and_hidden(PREFIX).await?;
    let mut fingerprints: Vec<String> = listed
        .0
        .iter()
        .chain(&listed.1)
        .filter_map(fingerprint_of)
        .collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();

    let sequences = fingerprints.into_iter().map(|fingerprint| {
        let sequence = Sequence::of(&prefix_of(&fingerprint), &listed.0, &listed.1);
        async move {
            let stored = stored(store, &sequence).await?;
            Ok::<_, Failure>((fingerprint, stored))
        }
    });
    let stored: Vec<_> = stream::iter(sequences)
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    let stored = stored.into_iter();
    Ok(stored
        .filter_map(|(fingerprint, stored)| Some((fingerprint, stored?)))
        .collect())
}

/// What is stored about one group.
pub(crate) async fn stored_group(
    store: &dyn ArchiveStore,
    fingerprint: &str,
) -> Result<Option<StoredGroup>, Failure> {
    let sequence = Sequence::list(store, &prefix_of(fingerprint)).await?;
    stored(store, &sequence).await
}

/// At most `limit` decisions about a group, the newest first, and how many older ones there are. `None` in the place of
/// one that cannot be believed.
pub(crate) async fn group_history(
    store: &dyn ArchiveStore,
    fingerprint: &str,
    limit: u32,
) -> Result<(Vec<Option<GroupRecord>>, u32), Failure> {
    let sequence = Sequence::list(store, &prefix_of(fingerprint)).await?;
    let last = sequence.last();
    let older = last.saturating_sub(limit);
    let records = (older + 1..=last)
        .rev()
        .map(|number| sequence.record(store, number));
    let records = stream::iter(records).buffered(READS_AT_ONCE);
    Ok((records.try_collect().await?, older))
}

async fn stored(
    store: &dyn ArchiveStore,
    sequence: &Sequence,
) -> Result<Option<StoredGroup>, Failure> {
    Ok(match sequence.latest(store).await? {
        Latest::Nothing => None,
        Latest::Record(record) => Some(StoredGroup::Record(record)),
        Latest::Doubtful(why) => Some(StoredGroup::Doubtful(why)),
    })
}

/// Stores a decision about a group, and reads it back.
pub(crate) async fn decide(
    store: &dyn ArchiveStore,
    fingerprint: &str,
    decision: Decision,
    texts: GroupTexts,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<GroupRecord, Failure> {
    let operator = recorded.operator();
    let record = GroupRecord {
        decision,
        note: texts.note,
        owner: texts.owner,
        who: operator.who.clone(),
        why: operator.why.clone(),
        at,
        passes_over: Vec::new(),
    };
    append(store, &prefix_of(fingerprint), &record).await?;

    Ok(record)
}

fn fingerprint_of(key: &ObjectKey) -> Option<String> {
    let fingerprint = key.as_str().strip_prefix(PREFIX)?.split('.').next()?;
    let is_hex = |one: u8| one.is_ascii_digit() || (b'a'..=b'f').contains(&one);
    (fingerprint.len() == 12 && fingerprint.bytes().all(is_hex)).then(|| fingerprint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    const GROUP: &str = "2d1f5436374b";

    fn ours(directory: &std::path::Path) -> DirectoryStore {
        let integrity = Integrity::new(Some(&Secret::new(&"k".repeat(32))));
        let store = DirectoryStore::open(directory).unwrap();
        store.with_integrity(integrity)
    }

    #[tokio::test]
    async fn the_last_decision_counts_and_other_groups_have_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let store = ours(directory.path());
        let recorded = Recorded::in_a_test("ada", Some("fixed"));
        let at = Timestamp::from_second(1_000).unwrap();
        assert_eq!(stored_group(&store, GROUP).await.unwrap(), None);
        let ignored = Decision::Ignored {
            until: Some(at),
            until_count: None,
        };
        let resolved = Decision::Resolved {
            release: Some("0.3.0".to_owned()),
        };
        for decision in [ignored, Decision::Open, resolved.clone()] {
            let texts = GroupTexts {
                note: Some("see #7".to_owned()),
                owner: Some("bob".to_owned()),
            };
            let deciding = decide(&store, GROUP, decision, texts, &recorded, at);
            deciding.await.unwrap();
        }
        let none = GroupTexts::default();
        let other = decide(&store, "000000000000", Decision::Open, none, &recorded, at);
        other.await.unwrap();

        let all = stored_groups(&store).await.unwrap();
        assert_eq!(all.len(), 2);
        let Some(StoredGroup::Record(record)) = all.get(GROUP) else {
            panic!("{all:?}")
        };
        assert_eq!(
            (
                &record.decision,
                record.note.as_deref(),
                record.who.as_str()
            ),
            (&resolved, Some("see #7"), "ada")
        );
        assert_eq!(record.owner.as_deref(), Some("bob"));
        let one = stored_group(&store, GROUP).await.unwrap();
        assert_eq!(one.as_ref(), all.get(GROUP));

        let all = group_history(&store, GROUP, 2).await.unwrap();
        let decisions: Vec<_> = all.0.into_iter().map(|one| one.unwrap().decision).collect();
        assert_eq!((decisions, all.1), (vec![resolved, Decision::Open], 1));
    }

    #[tokio::test]
    async fn a_record_of_a_stranger_puts_the_group_in_doubt() {
        let directory = tempfile::tempdir().unwrap();
        let store = ours(directory.path());
        let forged = directory.path().join(format!("_group_{GROUP}.1.json"));
        let text = r#"{"state":"resolved","who":"eve","at":"2026-01-01T00:00:00Z"}"#;
        std::fs::write(&forged, text).unwrap();
        let all = stored_groups(&store).await.unwrap();
        assert!(
            matches!(all.get(GROUP), Some(StoredGroup::Doubtful(_))),
            "{all:?}"
        );
        let history = group_history(&store, GROUP, 2).await.unwrap();
        assert_eq!(history, (vec![None], 0));
    }

    #[test]
    fn a_group_that_an_earlier_release_ignored_is_read() {
        let text = r#"{"state":"ignored","until":"2026-12-01T00:00:00Z","who":"ada","at":"2026-01-01T00:00:00Z"}"#;
        let record: GroupRecord = serde_json::from_str(text).unwrap();
        let expected = Decision::Ignored {
            until: "2026-12-01T00:00:00Z".parse().ok(),
            until_count: None,
        };
        assert_eq!((record.decision, record.owner), (expected, None));
    }
}
