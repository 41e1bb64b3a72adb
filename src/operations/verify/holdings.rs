//! What a store holds of users.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;

use crate::failure::Failure;
use crate::job::UserId;
use crate::manifest::{Kind, parse_key};
use crate::ports::{ArchiveStore, ObjectKey, Version};

const USER_ID_CHARS: usize = 36;

/// What a store holds of one user: all versions of all objects, and the delete markers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holdings {
    held: Vec<Held>,
    /// The store lists no versions: there may be older ones.
    older_unknown: bool,
}

#[derive(Debug, Clone)]
struct Held {
    kind: Kind,
    revision: u32,
    id: Option<String>,
    deletes: bool,
}

/// The versions of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    /// The IDs of the versions that have bytes, newest first.
    pub(super) live: Vec<Option<String>>,
    pub(super) markers: usize,
}

impl Holdings {
    /// Notes an object that a listing shows, whose versions are not known.
    pub(crate) fn note(&mut self, kind: Kind, revision: u32) {
        self.held.push(Held {
            kind,
            revision,
            id: None,
            deletes: false,
        });
    }

    /// The kinds of objects of a revision.
    pub(crate) fn kinds(&self, revision: u32) -> Vec<Kind> {
        let held = self.held.iter().filter(|held| held.revision == revision);
        held.map(|held| held.kind).collect()
    }

    /// Whether older versions of these objects are known; `None` if there are no objects.
    pub(super) fn older_known(&self) -> Option<bool> {
        (!self.is_empty()).then_some(!self.older_unknown)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn versions(&self, kind: Kind, revision: u32) -> Versions {
        let mut versions = Versions::default();
        for held in self
            .held
            .iter()
            .filter(|held| held.kind == kind && held.revision == revision)
        {
            if held.deletes {
                versions.markers += 1;
            } else {
                versions.live.push(held.id.clone());
            }
        }
        versions
    }

    /// The revisions of this kind, in order, including hidden and deleted ones.
    pub(super) fn revisions(&self, kind: Kind) -> BTreeSet<u32> {
        self.held
            .iter()
            .filter(|held| held.kind == kind)
            .map(|held| held.revision)
            .collect()
    }
}

/// The user, kind and revision of an object; `None` if the object is no evidence of a user's off-boarding.
pub(crate) fn owned(key: &ObjectKey) -> Option<(UserId, Kind, u32)> {
    let user_id = key.as_str().get(..USER_ID_CHARS)?.parse().ok()?;
    let (kind, revision) = parse_key(user_id, key)?;
    match kind {
        Kind::Archive | Kind::Sealed | Kind::Audit => Some((user_id, kind, revision)),
        Kind::Before | Kind::Fate | Kind::Reactivated(_) => None,
    }
}

/// What the store holds of one user, or of all users.
pub(crate) async fn holdings(
    store: &dyn ArchiveStore,
    user_id: Option<UserId>,
) -> Result<BTreeMap<UserId, Holdings>, Failure> {
    let prefix = user_id.map_or_else(String::new, |user_id| user_id.to_string());
    let mut all = BTreeMap::<UserId, Holdings>::new();
    let mut listed = store.versions(&prefix);

    while let Some(Version {
        key,
        id,
        deletes,
        latest: _,
        older_unknown,
        modified: _,
    }) = listed.try_next().await?
    {
        if let Some((user_id, kind, revision)) = owned(&key) {
            let holdings = all.entry(user_id).or_default();
            holdings.older_unknown |= older_unknown;
            holdings.held.push(Held {
                kind,
                revision,
                id,
                deletes,
            });
        }
    }

    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_objects_of_users_are_owned() {
        let id = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let key = |text: String| ObjectKey(text);
        assert_eq!(
            owned(&key(format!("{id}_audit.r2.json"))),
            Some((id.parse().unwrap(), Kind::Audit, 2))
        );
        for other in [
            format!("_hold_{id}.1.json"),
            "_offboarder_probe".to_owned(),
            format!("{id}.bak"),
            format!("{id}_before.json"),
            format!("{id}_fate.json"),
            format!("{id}_reactivated.json"),
        ] {
            assert_eq!(owned(&key(other.clone())), None, "{other}");
        }
        // Keys are case-sensitive: this is another object.
        assert_eq!(owned(&key(format!("{}.json", id.to_uppercase()))), None);
    }

    #[test]
    fn older_versions_are_known_unless_the_store_lists_none() {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.older_known(), None, "nothing is stored");
        holdings.note(Kind::Audit, 1);
        assert_eq!(holdings.older_known(), Some(true));
        holdings.older_unknown = true;
        assert_eq!(holdings.older_known(), Some(false));
    }
}
