//! Orders the erasure of what the archive store has of one user. Who may delete there removes the objects: no process of ours
//! has that right.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::guards::Hold;
use crate::job::UserId;
use crate::manifest::{Kind, parse_key};
use crate::operations::report::copies_of;
use crate::ports::{ArchiveStore, ObjectKey, Version};
use crate::registers::audit_log::{AuditLog, Change, Operator};
use crate::registers::{hold_of, order_erasure};

/// What came of the order.
#[derive(Debug)]
pub(crate) enum Ordered {
    /// All versions of the objects that are to be removed.
    Objects(Vec<Version>),
    NothingStored,
    OnHold(Hold),
    /// An archive or a seal has no manifest yet.
    InProgress,
}

/// Records in the audit log, and in a record of its own that `verify` and `report` read, that everything of a user is about to
/// be removed. Nothing is recorded of a user on hold, or in progress.
pub(crate) async fn erase(
    store: &Arc<dyn ArchiveStore>,
    clock: &Clock,
    operator: &Operator,
    user_id: UserId,
) -> Result<Ordered, Failure> {
    if let Some(hold) = hold_of(&**store, user_id).await? {
        return Ok(Ordered::OnHold(hold));
    }
    let mut objects = store.all_versions(&user_id.to_string()).await?;
    if objects.is_empty() {
        return Ok(Ordered::NothingStored);
    }
    let keys: BTreeSet<&ObjectKey> = objects.iter().map(|version| &version.key).collect();
    if is_in_progress(user_id, &keys) {
        return Ok(Ordered::InProgress);
    }
    let holds = format!("_hold_{user_id}.");
    objects.extend(store.all_versions(&holds).await?);
    for copy in copies_of(&**store, user_id).await? {
        objects.extend(store.all_versions(copy.as_str()).await?);
    }

    let keys: BTreeSet<ObjectKey> = objects.iter().map(|version| version.key.clone()).collect();
    let change = Change {
        what: "evidence erase",
        count: keys.len(),
        details: json!({ "userId": user_id }),
    };
    let audit_log = AuditLog::new(Arc::clone(store), clock.clone());
    let recorded = audit_log.record(operator, change).await?;
    let keys = keys.into_iter().collect();
    order_erasure(&**store, user_id, keys, &recorded, clock.now()).await?;
    Ok(Ordered::Objects(objects))
}

/// Whether there is an archive or a seal that no manifest comes after.
fn is_in_progress(user_id: UserId, keys: &BTreeSet<&ObjectKey>) -> bool {
    let parsed = || keys.iter().filter_map(|key| parse_key(user_id, key));
    let last = |wanted: fn(Kind) -> bool| {
        let of_kind = parsed().filter(|(kind, _)| wanted(*kind));
        of_kind.map(|(_, revision)| revision).max()
    };
    last(|kind| matches!(kind, Kind::Archive | Kind::Sealed)) > last(|kind| kind == Kind::Audit)
}
