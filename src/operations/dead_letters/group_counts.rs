//! Counts groups of dead letters, without assessing them: no call to CXone is made.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::handling::InQueueNow;
use super::scan::DeadLetterScan;
use super::tally::AccessTally;
use super::{AccessCounts, DeadLetterError, GroupState, Handling};
use crate::ports::queue::Broker;
use crate::ports::{ArchiveStore, Checkpoints};
use crate::registers::stored_groups;

/// The groups of dead letters, counted
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupCounts {
    /// All dead letters in the queue.
    pub letters: usize,
    /// All groups.
    pub groups: usize,
    /// Groups that are open: nobody ignores them, and they are not resolved.
    pub open: usize,
    /// Groups whose state is unknown, since the archive store does not answer.
    pub state_unknown: usize,
    /// Groups of which dead letters came back with the same fault after a replay.
    pub came_back: usize,
    /// Groups in which somebody still has access.
    pub with_access: usize,
    /// How many users in dead letters still have access.
    pub access: AccessCounts,
    /// Whether checkpoints were read for that. If not, it is what the dead letters say: more users than have access, never
    /// fewer.
    pub access_confirmed: bool,
    /// Fingerprints of the open groups, those with access first; at most 20.
    pub open_fingerprints: Vec<String>,
}

/// How many open groups are named.
const NAMED: usize = 20;
/// The time limit for reading checkpoints; after it the dead letters speak for themselves.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3);

/// A group during the scan.
#[derive(Default)]
struct Draft {
    count: usize,
    came_back: bool,
    last_seen: Option<Timestamp>,
    access: AccessTally,
}

/// Counts the groups of all dead letters that are in the queue now.
pub(crate) async fn count_groups(
    broker: &dyn Broker,
    checkpoints: &dyn Checkpoints,
    store: &dyn ArchiveStore,
    now: Timestamp,
) -> Result<GroupCounts, DeadLetterError> {
    let drafts = scan(broker).await?;
    let stored = stored_groups(store).await;
    let until = Instant::now() + CONFIRMED_WITHIN;

    let mut counts = GroupCounts {
        groups: drafts.len(),
        access_confirmed: true,
        ..GroupCounts::default()
    };
    let mut open = Vec::new();
    for (fingerprint, draft) in drafts {
        let claimed = draft.access.claimed();
        let reading = tokio::time::timeout_at(until, draft.access.confirmed(checkpoints));
        let access = if let Ok(Ok(confirmed)) = reading.await {
            confirmed
        } else {
            counts.access_confirmed = false;
            claimed
        };
        let queue = InQueueNow {
            count: draft.count,
            access,
            last_seen: draft.last_seen,
        };
        let state = match &stored {
            Ok(stored) => Handling::of(stored.get(&fingerprint), queue, now).state,
            Err(_away) => GroupState::Unknown,
        };

        counts.letters += draft.count;
        counts.came_back += usize::from(draft.came_back);
        counts.with_access += usize::from(access.still_there > 0);
        counts.access.add_all(access);
        match state {
            GroupState::Open => counts.open += 1,
            GroupState::Unknown => counts.state_unknown += 1,
            GroupState::Ignored | GroupState::Resolved => continue,
        }
        open.push((access.still_there, draft.count, fingerprint));
    }
    open.sort_by(|one, other| other.cmp(one));
    let named = open.into_iter().take(NAMED);
    counts.open_fingerprints = named.map(|(_, _, fingerprint)| fingerprint).collect();
    Ok(counts)
}

async fn scan(broker: &dyn Broker) -> Result<HashMap<String, Draft>, DeadLetterError> {
    let mut drafts = HashMap::<String, Draft>::new();
    let mut scan = DeadLetterScan::begin(broker).await?;
    while let Some((dead_letter, _delivery)) = scan.next().await? {
        let draft = drafts.entry(dead_letter.fingerprint.clone()).or_default();
        draft.count += 1;
        draft.came_back |= dead_letter.came_back;
        draft.last_seen = draft.last_seen.max(dead_letter.dead_lettered_at);
        draft.access.add(&dead_letter);
    }
    scan.close().await?;
    Ok(drafts)
}
