//! Reads the audit log: a page of entries that match, or one entry.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::failure::Failure;
use crate::job::UserId;
use crate::registers::audit_log::{AuditEntry, AuditLog, written_at};

/// How many entries are read in one round.
const PAGE: usize = 100;
/// The number of entries that one page reads at most.
const READ_AT_MOST: usize = 2000;

/// Which entries are meant; each given condition has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    /// A part of the operator's name, in any case.
    pub who: Option<String>,
    /// What the command begins with: `hold` means `hold add` and `hold remove`.
    pub what: Option<String>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Only entries that name this user.
    pub user: Option<UserId>,
}

/// A page of the audit log
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditPage {
    /// Newest first.
    #[serde(rename = "acts")]
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins; null after the last one.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub next_cursor: Option<Uuid>,
}

impl AuditFilter {
    fn admits_time(&self, at: Timestamp) -> bool {
        let is_since = self.since.is_none_or(|since| at >= since);
        is_since && self.until.is_none_or(|until| at < until)
    }

    fn admits(&self, entry: &AuditEntry) -> bool {
        let who = self.who.as_ref().map(|who| who.to_lowercase());
        let is_who = who.is_none_or(|who| entry.who.to_lowercase().contains(&who));
        let what = self.what.as_deref();
        let is_what = what.is_none_or(|what| entry.what.starts_with(what));
        let user = self.user.map(|user_id| user_id.to_string());
        let is_user = user.is_none_or(|user_id| entry.details.to_string().contains(&user_id));
        is_who && is_what && is_user
    }
}

/// A page of at most `limit` entries behind `cursor`.
pub(crate) async fn page(
    log: &AuditLog,
    filter: &AuditFilter,
    cursor: Option<Uuid>,
    limit: usize,
) -> Result<AuditPage, Failure> {
    let mut ids = log.ids().await?;
    ids.retain(|id| {
        cursor.is_none_or(|cursor| *id < cursor) && filter.admits_time(written_at(*id))
    });

    page_of(log, filter, &ids, limit, READ_AT_MOST).await
}

/// A page of at most `limit` of these entries, of which it reads at most `most`. It reads many at once also near its end, where
/// a rare entry is missing: else each would be a round trip of its own.
async fn page_of(
    log: &AuditLog,
    filter: &AuditFilter,
    ids: &[Uuid],
    limit: usize,
    most: usize,
) -> Result<AuditPage, Failure> {
    let mut page = AuditPage {
        entries: Vec::new(),
        next_cursor: None,
    };
    let oldest = ids.last().copied();
    for next in ids.get(..most.min(ids.len())).unwrap_or(ids).chunks(PAGE) {
        for entry in log.entries(next).await? {
            let id = entry.id;
            if filter.admits(&entry) {
                page.entries.push(entry);
            }
            if page.entries.len() >= limit {
                page.next_cursor = Some(id).filter(|_| Some(id) != oldest);
                return Ok(page);
            }
        }
    }
    let last_read = most.checked_sub(1).and_then(|last| ids.get(last).copied());
    page.next_cursor = last_read.filter(|_| last_read != oldest);
    Ok(page)
}

/// At most `limit` entries, newest first, however many have to be read.
pub(crate) async fn all(
    log: &AuditLog,
    filter: &AuditFilter,
    limit: usize,
) -> Result<Vec<AuditEntry>, Failure> {
    let mut ids = log.ids().await?;
    ids.retain(|id| filter.admits_time(written_at(*id)));
    let page = page_of(log, filter, &ids, limit, ids.len()).await?;
    Ok(page.entries)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::clock::Clock;
    use crate::registers::audit_log::{Change, Operator};

    const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    struct Scene {
        log: AuditLog,
        _directory: tempfile::TempDir,
    }

    /// Entries of ada and bob, in turn; each third one names the user.
    async fn scene(entries: usize) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let log = AuditLog::new(Arc::new(store), Clock::system());
        for number in 0..entries {
            let operator = Operator {
                who: ["Ada@host", "bob, by the admin API"][number % 2].to_owned(),
                why: None,
            };
            let change = Change {
                what: ["hold add", "hold remove", "pause"][number % 3],
                count: number,
                details: match number % 3 {
                    0 => json!({ "users": [USER] }),
                    _ => Value::Null,
                },
            };
            log.record(&operator, change).await.unwrap();
        }
        Scene {
            log,
            _directory: directory,
        }
    }

    impl Scene {
        async fn counts(&self, filter: &AuditFilter, limit: usize) -> Vec<u64> {
            let mut counts = Vec::new();
            let mut cursor = None;
            loop {
                let page = page(&self.log, filter, cursor, limit).await.unwrap();
                assert!(page.entries.len() <= limit);
                counts.extend(page.entries.iter().map(|entry| entry.count));
                cursor = page.next_cursor;
                if cursor.is_none() {
                    let all = all(&self.log, filter, 1000).await.unwrap();
                    assert!(
                        all.iter()
                            .map(|entry| entry.count)
                            .eq(counts.iter().copied())
                    );
                    return counts;
                }
            }
        }
    }

    #[tokio::test]
    async fn each_entry_comes_once_newest_first_whatever_the_limit_is() {
        let scene = scene(23).await;
        let newest_first: Vec<u64> = (0..23).rev().collect();
        for limit in [1, 4, 23, 100] {
            assert_eq!(
                scene.counts(&AuditFilter::default(), limit).await,
                newest_first
            );
        }
    }

    #[tokio::test]
    async fn the_filters_are_the_operator_the_command_the_user_and_the_time() {
        let scene = scene(12).await;
        let filter = |text: &str| AuditFilter {
            who: Some(text.to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(scene.counts(&filter("ada"), 5).await, [10, 8, 6, 4, 2, 0]);
        let hold = AuditFilter {
            what: Some("hold".to_owned()),
            ..filter("BOB")
        };
        assert_eq!(scene.counts(&hold, 5).await, [9, 7, 3, 1]);
        let user = AuditFilter {
            user: Some(USER.parse().unwrap()),
            ..AuditFilter::default()
        };
        assert_eq!(scene.counts(&user, 2).await, [9, 6, 3, 0]);

        let all = scene.log.list(None, 100).await.unwrap();
        let times = AuditFilter {
            since: Some(written_at(all[8].id)),
            until: Some(written_at(all[2].id)),
            ..AuditFilter::default()
        };
        let within = scene.counts(&times, 100).await;
        assert!(
            within.iter().all(|count| (2..=9).contains(count)),
            "{within:?}"
        );
        assert_eq!(scene.counts(&filter("eve"), 100).await, [0_u64; 0]);
    }
}
