//! Revisions that have an archive or a before-image, and no manifest: the request was cancelled, and a later one began a revision of its own.

use std::collections::BTreeSet;

use super::holdings::Holdings;
use crate::failure::Failure;
use crate::job::UserId;
use crate::manifest::{Kind, parse_key};
use crate::ports::ArchiveStore;
use crate::registers::StopRegister;

/// The revisions that a cancellation ended. Without an order that may have been about the user there are none: then the
/// manifest was removed.
pub(super) async fn skipped(
    store: &dyn ArchiveStore,
    user_id: UserId,
    holdings: &Holdings,
) -> Result<BTreeSet<u32>, Failure> {
    let recorded: BTreeSet<u32> = holdings.revisions(Kind::Audit).into_iter().collect();
    let last = recorded.last().copied().unwrap_or(0);
    let mut skipped: BTreeSet<u32> = (1..last)
        .filter(|revision| !recorded.contains(revision))
        .collect();
    if skipped.is_empty() {
        return Ok(skipped);
    }
    // One that was cancelled before its archive left a before-image at most.
    let archived = holdings.revisions(Kind::Archive);
    if !skipped.is_subset(&archived) {
        let keys = store.keys(&user_id.to_string()).await?;
        let begun: BTreeSet<u32> = keys
            .iter()
            .filter_map(|key| parse_key(user_id, key))
            .filter(|(kind, _)| *kind == Kind::Before)
            .map(|(_, revision)| revision)
            .collect();
        skipped.retain(|revision| archived.contains(revision) || begun.contains(revision));
    }

    let orders = StopRegister::default().fresh(store).await?;
    Ok(if orders.may_have_cancelled(user_id) {
        skipped
    } else {
        BTreeSet::new()
    })
}

/// The revision that a manifest has to name as the one before it; 0 if it is the first.
pub(super) fn before(revision: u32, skipped: &BTreeSet<u32>) -> u32 {
    let earlier = (1..revision).rev();
    earlier
        .into_iter()
        .find(|earlier| !skipped.contains(earlier))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_the_last_one_that_no_cancellation_skipped() {
        assert_eq!(before(1, &BTreeSet::new()), 0);
        assert_eq!(before(3, &BTreeSet::new()), 2);
        assert_eq!(before(2, &BTreeSet::from([1])), 0);
        assert_eq!(before(4, &BTreeSet::from([2, 3])), 1);
    }
}
