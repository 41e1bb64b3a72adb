//! What is known of a user: how far the deletion is, and what an earlier try did.

use jiff::Timestamp;

use crate::failure::Failure;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::machine::{Checkpoint, Sealing, State};
use crate::manifest::{ReactivationRecord, reactivated_key};
use crate::ports::ArchiveStore;
use crate::steps::MAX_DOCUMENT_BYTES;

pub(super) fn decided(at: Timestamp) -> String {
    format!("its deletion was decided at {at:.0}")
}

/// When the user was deleted, for people.
pub(super) fn deleted(checkpoint: &Checkpoint) -> Option<String> {
    match &checkpoint.state {
        State::Deleted { deletion, .. } => {
            let at = deletion.at.or(deletion.confirmed_at);
            let at = at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
            Some(format!("the user was deleted{at}"))
        }
        State::Archived {
            sealing: Sealing::Accepted { .. },
            ..
        } => Some("the API accepted the deletion".to_owned()),
        State::Received
        | State::QueuesCleared { .. }
        | State::Deactivated { .. }
        | State::Archived { .. }
        | State::DeactivatedOnly { .. } => None,
    }
}

/// The record of a try; `None` where it cannot be trusted, so that the user is given everything back again.
pub(super) async fn record_of(
    store: &dyn ArchiveStore,
    user_id: UserId,
    revision: u32,
    number: u32,
) -> Result<Option<ReactivationRecord>, Failure> {
    let key = reactivated_key(user_id, revision, number);
    let Some(stored) = store.read(&key, MAX_DOCUMENT_BYTES).await? else {
        return Ok(None);
    };
    let record =
        store
            .integrity()
            .open::<ReactivationRecord>(Purpose::Reactivation, key.as_str(), &stored);
    Ok(record.ok().filter(|record| record.user_id == user_id))
}
