//! The recent deletions, as far as the archive store shows them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::job::UserId;
use crate::manifest::{Kind, parse_key};
use crate::ports::{Listed, ObjectKey};

/// The clocks of worker, store and Redis may differ by this.
const SLACK: Duration = Duration::from_mins(15);

/// The users whose deletion the store shows in the last `window`: every deletion has a seal before it and a manifest after
/// it. Some seals still wait for their deletion and some manifests are of none, so this counts too many rather than too
/// few. The window ends with the newest object, in case this worker's clock is ahead of the store's.
pub(super) fn deletions_seen(
    listed: &[Listed],
    window: Duration,
    now: Timestamp,
) -> HashMap<UserId, Timestamp> {
    let window =
        SignedDuration::try_from(window.saturating_add(SLACK)).unwrap_or(SignedDuration::MAX);
    let newest = listed.iter().map(|listed| listed.modified).max();
    let since = newest
        .map_or(now, |newest| newest.min(now))
        .checked_sub(window)
        .unwrap_or(Timestamp::MIN);

    let mut seen = HashMap::new();
    for Listed { key, modified } in listed {
        if let Some(user_id) = evidence_of(key).filter(|_| *modified > since) {
            let latest = seen.entry(user_id).or_insert(*modified);
            *latest = (*latest).max(*modified);
        }
    }
    seen
}

/// The user of a seal or manifest.
fn evidence_of(key: &ObjectKey) -> Option<UserId> {
    const USER_ID_CHARS: usize = 36;
    let user_id = key.as_str().get(..USER_ID_CHARS)?.parse().ok()?;
    match parse_key(user_id, key)?.0 {
        Kind::Sealed | Kind::Audit => Some(user_id),
        Kind::Archive | Kind::Before | Kind::Fate | Kind::Reactivated(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_manifests_of_the_window_count_once_for_each_user() {
        let id = |number: u8| format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11");
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let listed = |name: String, second| Listed {
            key: ObjectKey(name),
            modified: at(second),
        };
        let objects = [
            listed(format!("{}_sealed.json", id(1)), 9_000),
            listed(format!("{}_audit.json", id(1)), 9_500),
            listed(format!("{}.json", id(2)), 9_500),
            listed(format!("{}_audit.r2.json", id(3)), 9_900),
            listed(format!("{}_sealed.json", id(4)), 1_000),
            listed(format!("_hold_{}.1.json", id(5)), 9_900),
            listed(format!("{}_audit.json", id(6).to_uppercase()), 9_900),
            listed("ä".repeat(30), 9_900),
        ];
        let expected = [(1, 9_500), (3, 9_900)]
            .map(|(number, second)| (id(number).parse().unwrap(), at(second)));
        for clock in [10_000, 1_000_000] {
            let seen = deletions_seen(&objects, Duration::from_hours(1), at(clock));
            assert_eq!(seen, HashMap::from(expected), "at {clock}");
        }
    }
}
