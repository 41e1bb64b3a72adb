//! Legal holds. They are objects of the archive store, since a Redis that forgot one would let a user be
//! deleted. A hold that is in doubt holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::sequence::{Latest, Numbered, Sequence, append};
use crate::failure::Failure;
use crate::guards::Hold;
use crate::integrity::Purpose;
use crate::job::UserId;
use crate::ports::{ArchiveStore, ObjectKey};
use crate::registers::audit_log::Recorded;

impl Numbered for Hold {
    const PURPOSE: Purpose = Purpose::Hold;

    fn passes_over(&self) -> &[String] {
        &self.passes_over
    }

    fn passing_over(&self, passes_over: Vec<String>) -> Self {
        Self {
            passes_over,
            ..self.clone()
        }
    }
}

/// A user who is on hold, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OnHold {
    /// Who.
    pub user_id: UserId,
    /// By whom.
    pub who: String,
    /// Why, as was said.
    pub why: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl OnHold {
    /// This user, by this act.
    pub(crate) fn new(user_id: UserId, hold: Hold) -> Self {
        Self {
            user_id,
            who: hold.who,
            why: hold.why,
            at: hold.at,
        }
    }
}

const PREFIX: &str = "_hold_";
const AT_ONCE: usize = 16;

/// What the names of a user's acts begin with: `_hold_{userId}.{number}.json`.
fn prefix_of(user_id: UserId) -> String {
    format!("{PREFIX}{user_id}.")
}

/// Puts a user on hold or takes the user off hold, and reads the result back in the way in which the guards read it.
/// Returns the number of the record.
pub(crate) async fn set_hold(
    store: &dyn ArchiveStore,
    user_id: UserId,
    held: bool,
    recorded: &Recorded,
    at: Timestamp,
) -> Result<u32, Failure> {
    let operator = recorded.operator();
    let hold = Hold {
        held,
        who: operator.who.clone(),
        why: operator.why.clone(),
        at,
        passes_over: Vec::new(),
    };

    append(store, &prefix_of(user_id), &hold).await
}

/// The acts that are stored of each user.
#[derive(Debug, Clone, Default)]
pub(crate) struct HoldActs(BTreeMap<UserId, Sequence>);

impl HoldActs {
    /// Those of everybody: two listings, and nothing is read.
    pub(crate) async fn list(store: &dyn ArchiveStore) -> Result<Self, Failure> {
        let (keys, hidden) = futures_util::try_join!(store.keys(PREFIX), store.hidden(PREFIX))?;
        let mut by_user: BTreeMap<UserId, [Vec<ObjectKey>; 2]> = BTreeMap::new();
        for (place, keys) in [keys, hidden].into_iter().enumerate() {
            for key in keys {
                if let Some(names) =
                    user_of(&key).and_then(|user| by_user.entry(user).or_default().get_mut(place))
                {
                    names.push(key);
                }
            }
        }
        let sequences = by_user.into_iter().map(|(user_id, [keys, hidden])| {
            (user_id, Sequence::of(&prefix_of(user_id), &keys, &hidden))
        });
        Ok(Self(sequences.collect()))
    }

    /// Whether anything is stored of this user.
    pub(crate) fn names(&self, user_id: UserId) -> bool {
        self.0.contains_key(&user_id)
    }

    /// Only those of these users.
    pub(crate) fn retain(&mut self, users: &BTreeSet<UserId>) {
        self.0.retain(|user_id, _| users.contains(user_id));
    }

    /// Those who are on hold, by user.
    pub(crate) async fn holds(
        self,
        store: &Arc<dyn ArchiveStore>,
    ) -> Result<Vec<(UserId, Hold)>, Failure> {
        let mut holds: Vec<(UserId, Hold)> = stream::iter(self.0)
            .map(|(user_id, sequence)| {
                let store = Arc::clone(store);
                async move { Ok::<_, Failure>((user_id, hold(&*store, &sequence).await?)) }
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|(user_id, hold)| async move { Ok(hold.map(|hold| (user_id, hold))) })
            .try_collect()
            .await?;
        holds.sort_by_key(|(user_id, _)| *user_id);
        Ok(holds)
    }
}

/// The hold that a user is on.
pub(crate) async fn hold_of(
    store: &dyn ArchiveStore,
    user_id: UserId,
) -> Result<Option<Hold>, Failure> {
    hold(store, &Sequence::list(store, &prefix_of(user_id)).await?).await
}

/// The same, where at least `noted` acts were noted elsewhere: should fewer be stored, then some vanished.
pub(crate) async fn hold_of_noted(
    store: &dyn ArchiveStore,
    user_id: UserId,
    noted: u32,
) -> Result<Option<Hold>, Failure> {
    let sequence = Sequence::list(store, &prefix_of(user_id)).await?;
    let hold = hold(store, &sequence).await?;
    let vanished = || {
        let last = sequence.last();
        Hold::doubtful(format!(
            "{noted} acts on the hold were stored, and {last} are there"
        ))
    };
    Ok(hold.or_else(|| (sequence.last() < noted).then(vanished)))
}

async fn hold(store: &dyn ArchiveStore, sequence: &Sequence) -> Result<Option<Hold>, Failure> {
    Ok(match sequence.latest::<Hold>(store).await? {
        Latest::Nothing => None,
        Latest::Act(hold) => hold.held.then_some(hold),
        Latest::Doubtful(why) => Some(Hold::doubtful(why)),
    })
}

fn user_of(key: &ObjectKey) -> Option<UserId> {
    key.as_str()
        .strip_prefix(PREFIX)?
        .split_once('.')?
        .0
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::directory::DirectoryStore;
    use crate::integrity::Integrity;
    use crate::secret::Secret;

    const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
    const LIFTED: &str = r#"{"held":false,"who":"eve","at":"2026-01-01T00:00:00Z"}"#;

    fn user() -> UserId {
        ID.parse().unwrap()
    }

    async fn set(store: &DirectoryStore, user_id: UserId, held: bool) -> u32 {
        let recorded = Recorded::in_a_test("legal", Some("case 4711"));
        set_hold(store, user_id, held, &recorded, Timestamp::now())
            .await
            .unwrap()
    }

    fn store(directory: &std::path::Path, key: Option<&str>) -> DirectoryStore {
        let integrity = Integrity::new(key.map(Secret::new).as_ref());
        DirectoryStore::open(directory)
            .unwrap()
            .with_integrity(integrity)
    }

    fn with_key(directory: &std::path::Path) -> DirectoryStore {
        store(directory, Some("a key of thirty-two characters .."))
    }

    async fn held_by(store: &DirectoryStore) -> Option<String> {
        hold_of(store, user()).await.unwrap().map(|hold| hold.who)
    }

    #[tokio::test]
    async fn a_hold_holds_until_it_is_lifted_with_a_key_and_without() {
        for key in [None, Some("a key of thirty-two characters ..")] {
            let directory = tempfile::tempdir().unwrap();
            let store = store(directory.path(), key);
            assert_eq!(held_by(&store).await, None);
            assert_eq!(set(&store, user(), true).await, 1);
            assert_eq!(held_by(&store).await.as_deref(), Some("legal"));
            assert_eq!(set(&store, user(), false).await, 2);
            assert_eq!(held_by(&store).await, None);
            assert_eq!(set(&store, user(), true).await, 3);
            assert_eq!(held_by(&store).await.as_deref(), Some("legal"));
        }
    }

    #[tokio::test]
    async fn a_strangers_object_never_lifts_a_hold_and_counts_as_one() {
        for (name, body) in [
            ("2.json", LIFTED),
            ("3.json", LIFTED),
            ("4294967295.json", LIFTED),
            ("4294967296.json", LIFTED),
            ("x.json", LIFTED),
            ("2.json", "{"),
        ] {
            for on_hold in [true, false] {
                let directory = tempfile::tempdir().unwrap();
                let store = with_key(directory.path());
                set(&store, user(), on_hold).await;
                std::fs::write(directory.path().join(format!("_hold_{ID}.{name}")), body).unwrap();
                assert_eq!(
                    held_by(&store).await.as_deref(),
                    Some("unknown"),
                    "{name}, {on_hold}"
                );
                // A person who has the key looks at it and decides; what was odd is passed over from then on.
                set(&store, user(), true).await;
                assert_eq!(held_by(&store).await.as_deref(), Some("legal"), "{name}");
                set(&store, user(), false).await;
                assert_eq!(held_by(&store).await, None, "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_vanished_hold_holds() {
        let directory = tempfile::tempdir().unwrap();
        let store = with_key(directory.path());
        for held in [true, false, true] {
            set(&store, user(), held).await;
        }
        let vanish = |number: u32| {
            std::fs::remove_file(directory.path().join(format!("_hold_{ID}.{number}.json")))
                .unwrap();
        };
        vanish(1);
        assert_eq!(
            held_by(&store).await.as_deref(),
            Some("unknown"),
            "the line has a gap"
        );
        vanish(3);
        vanish(2);
        assert_eq!(held_by(&store).await, None, "the store forgot all of it");
        let hold = hold_of_noted(&store, user(), 3).await.unwrap();
        assert!(
            hold.unwrap().why.unwrap().contains("3 acts"),
            "the note did not"
        );
        assert_eq!(hold_of_noted(&store, user(), 0).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_listing_of_all_says_the_same_as_the_look_at_one() {
        let directory = tempfile::tempdir().unwrap();
        let other: UserId = "00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let lifted: UserId = "11111111-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap();
        let store = with_key(directory.path());
        set(&store, user(), true).await;
        std::fs::write(
            directory.path().join(format!("_hold_{other}.7.json")),
            LIFTED,
        )
        .unwrap();
        std::fs::write(directory.path().join("_hold_nobody.1.json"), LIFTED).unwrap();
        for held in [true, false] {
            set(&store, lifted, held).await;
        }
        let store: Arc<dyn ArchiveStore> = Arc::new(store);
        let holds = HoldActs::list(&*store)
            .await
            .unwrap()
            .holds(&store)
            .await
            .unwrap();
        let who: Vec<_> = holds
            .iter()
            .map(|(user_id, hold)| (*user_id, hold.who.as_str()))
            .collect();
        assert_eq!(who, [(other, "unknown"), (user(), "legal")]);
    }
}
