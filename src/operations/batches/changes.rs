//! Which entries of the audit log are about a batch.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::failure::Failure;
use crate::job::{BatchId, UserId};
use crate::ports::batches::Batches;
use crate::registers::audit_log::{AuditEntry, AuditLog, written_at};

/// More entries of 48 hours are not read; those are the newest.
const ENTRIES_AT_MOST: usize = 2000;
/// What stops or continues the users of every batch.
const OF_ALL: [&str; 4] = ["pause", "pause --intake", "resume", "resume --intake"];

/// The entries since a time, newest first. Entries never change, so that those that were read before are not read again.
pub(crate) async fn recent(
    log: &AuditLog,
    since: Timestamp,
    before: &[AuditEntry],
) -> Result<Vec<AuditEntry>, Failure> {
    let mut ids = log.ids().await?;
    ids.retain(|id| written_at(*id) >= since);
    ids.truncate(ENTRIES_AT_MOST);
    let known: HashSet<_> = before.iter().map(|entry| entry.id).collect();
    let missing = ids.iter().filter(|id| !known.contains(*id)).copied();
    let missing: Vec<_> = missing.collect();
    let mut entries = log.entries(&missing).await?;

    let wanted: HashSet<_> = ids.into_iter().collect();
    let kept = before.iter().filter(|entry| wanted.contains(&entry.id));
    entries.extend(kept.cloned());
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
    Ok(entries)
}

/// Those that name the batch or a user of it, or stop and continue all users.
pub(crate) async fn about(
    batches: &dyn Batches,
    batch: &BatchId,
    entries: &[AuditEntry],
) -> Result<Vec<AuditEntry>, Failure> {
    let named: HashSet<UserId> = entries.iter().flat_map(users).collect();
    let named: Vec<UserId> = named.into_iter().collect();
    let members = if named.is_empty() {
        Vec::new()
    } else {
        batches.users_in(batch, &named).await?
    };
    let members: HashSet<UserId> = members.into_iter().collect();
    let is_meant = |entry: &&AuditEntry| {
        OF_ALL.contains(&entry.what.as_str())
            || names(&entry.details, batch)
            || users(entry).any(|user| members.contains(&user))
    };
    Ok(entries.iter().filter(is_meant).cloned().collect())
}

/// The users whom an entry names.
fn users(entry: &AuditEntry) -> impl Iterator<Item = UserId> {
    let details = &entry.details;
    let lists = [details.pointer("/users"), details.pointer("/of/user")];
    let named = lists.into_iter().flatten();
    let named = named.filter_map(Value::as_array).flatten();
    let one = details.get("user").and_then(Value::as_str);
    let named = named.filter_map(Value::as_str).chain(one);
    named.filter_map(|user| user.parse().ok())
}

/// Whether an entry names the batch itself: as its object, or as a filter of dead letters.
fn names(details: &Value, batch: &BatchId) -> bool {
    let batch = batch.to_string();
    let named = [details.pointer("/batch"), details.pointer("/of/batch")];
    let mut named = named.into_iter().flatten();
    named.any(|named| named.as_str() == Some(&batch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const USER: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

    fn entry(details: Value) -> AuditEntry {
        AuditEntry {
            id: Uuid::nil(),
            at: Timestamp::UNIX_EPOCH,
            who: "ada".to_owned(),
            what: "hold add".to_owned(),
            why: None,
            count: 1,
            details,
        }
    }

    #[test]
    fn an_entry_names_a_batch_by_itself_by_a_filter_and_by_its_users() {
        let batch: BatchId = "b-1".parse().unwrap();
        for details in [
            json!({ "batch": "b-1", "until": null }),
            json!({ "of": { "batch": "b-1" }, "canary": true }),
        ] {
            assert!(names(&details, &batch), "{details}");
        }
        for details in [
            json!({ "batch": "b-11" }),
            json!({ "queue": "b-1" }),
            Value::Null,
        ] {
            assert!(!names(&details, &batch), "{details}");
        }
        for details in [
            json!({ "users": [USER, "odd"] }),
            json!({ "user": USER }),
            json!({ "of": { "user": [USER] } }),
        ] {
            let named: Vec<_> = users(&entry(details)).collect();
            assert_eq!(named, [USER.parse().unwrap()]);
        }
    }
}
