//! The names of the objects of a plan.

use crate::failure::Failure;
use crate::guards::approval::{ActKind, Stored};
use crate::job::{PlanName, UserId};
use crate::ports::{ArchiveStore, ObjectKey};

pub(super) const PREFIX: &str = "_plan_";

/// What is stored under the name of a plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Plan,
    Act(ActKind, u32),
    Moved(UserId),
    Stale,
}

/// What all keys of a plan begin with.
pub(super) fn prefix_of(name: &PlanName) -> String {
    format!("{PREFIX}{name}.")
}

pub(super) fn act_key(name: &PlanName, kind: ActKind, number: u32) -> ObjectKey {
    let word = kind.as_str();
    ObjectKey(if kind.is_only_one() {
        format!("{PREFIX}{name}.{word}.json")
    } else {
        format!("{PREFIX}{name}.{word}.{number}.json")
    })
}

pub(super) fn moved_key(name: &PlanName, user_id: UserId) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{name}.moved.{user_id}.json"))
}

pub(super) fn stale_key(name: &PlanName) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{name}.stale.json"))
}

/// What a key is; `None` if we would not have written it.
pub(super) fn parse(name: &PlanName, key: &ObjectKey) -> Option<Entry> {
    let rest = key.as_str().strip_prefix(&prefix_of(name))?;
    let entry = match rest.strip_suffix(".json") {
        None if rest == "json" => return Some(Entry::Plan),
        None => return None,
        Some("stale") => Entry::Stale,
        Some(rest) => match rest.split_once('.') {
            Some(("moved", user_id)) => Entry::Moved(user_id.parse().ok()?),
            Some((word, number)) => Entry::Act(kind(word, false)?, number.parse().ok()?),
            None => Entry::Act(kind(rest, true)?, 1),
        },
    };
    let written = match &entry {
        Entry::Act(_, 0) => return None,
        Entry::Act(kind, number) => act_key(name, *kind, *number),
        Entry::Moved(user_id) => moved_key(name, *user_id),
        Entry::Stale | Entry::Plan => return Some(entry),
    };
    (written == *key).then_some(entry)
}

fn kind(word: &str, is_only_one: bool) -> Option<ActKind> {
    let is_kind = |kind: &ActKind| kind.as_str() == word && kind.is_only_one() == is_only_one;
    ActKind::ALL.into_iter().find(is_kind)
}

/// The names of all plans, with the time at which each was stored, the newest first.
pub(crate) async fn stored_plans(
    store: &dyn ArchiveStore,
) -> Result<Vec<Stored<PlanName>>, Failure> {
    let listed = store.list(PREFIX).await?;
    let mut plans: Vec<Stored<PlanName>> = listed
        .into_iter()
        .filter_map(|listed| {
            let name = listed.key.as_str().strip_prefix(PREFIX)?;
            Some(Stored {
                at: listed.modified,
                value: name.strip_suffix(".json")?.parse().ok()?,
            })
        })
        .collect();
    plans.sort_unstable_by(|one, other| (other.at, &other.value).cmp(&(one.at, &one.value)));
    Ok(plans)
}
