//! Acts of operators that are objects with consecutive numbers, `{prefix}{number}.json`: each act is a new object,
//! written once, and the last one counts. Whoever may write to the bucket can invent objects, and whoever may delete can
//! hide them; so whatever is not as we would have written it is in doubt, and doubt restricts.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Class, Code, Failure};
use crate::integrity::Purpose;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// The largest act that is read.
const MAX_ACT_BYTES: usize = 64 * 1024;
/// How often an act is numbered again because somebody else took its number.
const MAX_TRIES: usize = 32;
/// How many objects that are not ours one act may name.
const MAX_PASSED_OVER: usize = 100;

/// An act of such a sequence.
pub(super) trait Numbered: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// What its code is for.
    const PURPOSE: Purpose;

    /// Objects that the person who acted has seen, and that no longer put the sequence in doubt.
    fn passes_over(&self) -> &[String];

    /// The same act, which passes these objects over.
    fn passing_over(&self, objects: Vec<String>) -> Self;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Latest<T> {
    /// There was never an act.
    Nothing,
    Act(T),
    /// What is stored is not what we would have written; the text says which object, and why.
    Doubtful(String),
}

/// The objects of one sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    prefix: String,
    /// Of the last act; the numbers from 1 to it are all there. 0 where there is none.
    last: u32,
    /// What is stored there besides: numbers that are out of line, hidden objects, other names.
    odd: Vec<String>,
}

impl Sequence {
    /// Reads the names of one sequence.
    pub(super) async fn list(store: &dyn ArchiveStore, prefix: &str) -> Result<Self, Failure> {
        let (keys, hidden) = futures_util::try_join!(store.keys(prefix), store.hidden(prefix))?;
        Ok(Self::of(prefix, &keys, &hidden))
    }

    /// Of these names; those of other prefixes are passed over.
    pub(super) fn of(prefix: &str, keys: &[ObjectKey], hidden: &[ObjectKey]) -> Self {
        let mut numbers = Vec::new();
        let mut odd: Vec<String> = Vec::new();
        for key in keys.iter().filter(|key| key.as_str().starts_with(prefix)) {
            match number_of(prefix, key) {
                Some(number) => numbers.push(number),
                None => odd.push(key.as_str().to_owned()),
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let in_line = (1_u32..)
            .zip(&numbers)
            .take_while(|(expected, number)| expected == *number)
            .count();
        let (line, beyond) = numbers.split_at(in_line);
        odd.extend(beyond.iter().map(|number| key(prefix, *number).0));
        // Only what a delete marker hides for good; a name that is written again is listed.
        let hidden = hidden
            .iter()
            .filter(|hidden| hidden.as_str().starts_with(prefix));
        odd.extend(hidden.map(|hidden| hidden.as_str().to_owned()));
        odd.sort_unstable();
        odd.dedup();
        Self {
            prefix: prefix.to_owned(),
            last: line.last().copied().unwrap_or(0),
            odd,
        }
    }

    /// The number of the last act; 0 where there is none.
    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    /// What the sequence says. One object is read at most.
    pub(super) async fn latest<T: Numbered>(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Latest<T>, Failure> {
        let act: Option<T> = if self.last == 0 {
            None
        } else {
            let key = key(&self.prefix, self.last);
            let doubtful =
                |why: &str| Ok(Latest::Doubtful(format!("{}: {why}", store.full_key(&key))));
            let stored = match store.read(&key, MAX_ACT_BYTES).await {
                Ok(Some(stored)) => stored,
                Ok(None) => return doubtful("it was there a moment ago, and is gone"),
                // None of ours is so large, and one object stops nobody else.
                Err(failure) if failure.class == Class::Defect => {
                    return doubtful("it is too large");
                }
                Err(failure) => return Err(failure),
            };
            match store.integrity().open(T::PURPOSE, key.as_str(), &stored) {
                Ok(act) => Some(act),
                Err(untrusted) => return doubtful(&untrusted.to_string()),
            }
        };
        let passed_over = act.as_ref().map_or(&[] as &[String], T::passes_over);
        if let Some(odd) = self.odd.iter().find(|odd| !passed_over.contains(odd)) {
            let full_key = store.full_key(&ObjectKey(odd.clone()));
            return Ok(Latest::Doubtful(format!(
                "{full_key} is hidden by a delete marker, or its number is out of line"
            )));
        }
        Ok(act.map_or(Latest::Nothing, Latest::Act))
    }
}

/// Stores an act as the last one, and returns its number once the sequence reads back as the act says. Objects that
/// are not ours are passed over from then on, and named in the act.
pub(super) async fn append<T: Numbered + PartialEq>(
    store: &dyn ArchiveStore,
    prefix: &str,
    act: &T,
) -> Result<u32, Failure> {
    for _ in 0..MAX_TRIES {
        let sequence = Sequence::list(store, prefix).await?;
        if sequence.odd.len() > MAX_PASSED_OVER {
            let text = format!(
                "{} objects under {} are not ours; somebody who may delete versions has to remove them",
                sequence.odd.len(),
                store.full_key(&ObjectKey(prefix.to_owned()))
            );
            return Err(Failure::new(Class::Defect, Code::ArchiveConflict, text));
        }
        let Some(number) = sequence.last.checked_add(1) else {
            break;
        };
        let act = act.passing_over(sequence.odd);
        let body = serde_json::to_vec(&act)
            .map_err(|error| Failure::internal("cannot write a numbered record", error))?;
        let key = key(prefix, number);
        let body = store.integrity().sign(T::PURPOSE, key.as_str(), body);
        // Somebody else may have acted a moment ago; then ours is the next act.
        if store.put_once(&key, Bytes::from(body), None).await? == PutOnce::AlreadyThere {
            continue;
        }
        // Read back in the way in which the guards look. The name may have been hidden before: then later ones follow.
        let sequence = Sequence::list(store, prefix).await?;
        match sequence.latest::<T>(store).await? {
            Latest::Act(latest) if sequence.last >= number && latest == act => return Ok(number),
            Latest::Act(_) => {}
            Latest::Nothing => {
                let text = format!(
                    "{} was stored, and a listing of {} does not show it: no guard would see it; use a store, and \
                     a prefix in OFFBOARDER_ARCHIVE_URL, that lists what it holds",
                    store.full_key(&key),
                    store.location()
                );
                return Err(Failure::new(Class::Systemic, Code::ArchiveRejected, text));
            }
            // Ours filled a gap: what comes after it counts as well, and the next act comes after that.
            Latest::Doubtful(_) if sequence.last > number => {}
            Latest::Doubtful(why) => {
                return Err(Failure::new(
                    Class::Transient,
                    Code::ArchiveConflict,
                    format!("{why}; do it again"),
                ));
            }
        }
    }
    let text = format!(
        "no number was free under {} in {MAX_TRIES} tries; do it again",
        store.full_key(&ObjectKey(prefix.to_owned()))
    );
    Err(Failure::new(Class::Transient, Code::ArchiveConflict, text))
}

fn key(prefix: &str, number: u32) -> ObjectKey {
    ObjectKey(format!("{prefix}{number}.json"))
}

fn number_of(prefix: &str, listed: &ObjectKey) -> Option<u32> {
    let number = listed
        .as_str()
        .strip_prefix(prefix)?
        .strip_suffix(".json")?
        .parse()
        .ok()?;
    (number > 0 && key(prefix, number) == *listed).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_act_that_is_too_large_is_in_doubt_and_fails_nobody() {
        use crate::adapters::directory::DirectoryStore;
        use crate::registers::PauseAct;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("_pause.1.json"),
            " ".repeat(MAX_ACT_BYTES + 1),
        )
        .unwrap();
        let store = DirectoryStore::open(directory.path()).unwrap();
        let latest = Sequence::list(&store, "_pause.")
            .await
            .unwrap()
            .latest::<PauseAct>(&store)
            .await
            .unwrap();
        assert!(
            matches!(&latest, Latest::Doubtful(why) if why.contains("too large")),
            "{latest:?}"
        );
    }

    fn keys(names: &[&str]) -> Vec<ObjectKey> {
        names
            .iter()
            .map(|name| ObjectKey(format!("_pause.{name}")))
            .collect()
    }

    fn sequence(names: &[&str], hidden: &[&str]) -> (u32, Vec<String>) {
        let sequence = Sequence::of("_pause.", &keys(names), &keys(hidden));
        let odd = sequence
            .odd
            .iter()
            .map(|odd| odd.trim_start_matches("_pause.").to_owned())
            .collect();
        (sequence.last, odd)
    }

    #[test]
    fn the_last_number_of_an_unbroken_line_counts() {
        assert_eq!(sequence(&[], &[]), (0, vec![]));
        assert_eq!(sequence(&["2.json", "1.json", "3.json"], &[]), (3, vec![]));
        let ten: Vec<String> = (1..=10).map(|number| format!("{number}.json")).collect();
        let ten: Vec<&str> = ten.iter().map(String::as_str).collect();
        assert_eq!(sequence(&ten, &[]), (10, vec![]));
    }

    #[test]
    fn whatever_we_would_not_have_written_is_odd() {
        assert_eq!(
            sequence(&["1.json", "4294967295.json"], &[]),
            (1, vec!["4294967295.json".to_owned()])
        );
        assert_eq!(
            sequence(&["1.json", "3.json"], &[]),
            (1, vec!["3.json".to_owned()]),
            "2 vanished"
        );
        assert_eq!(
            sequence(&["2.json"], &[]),
            (0, vec!["2.json".to_owned()]),
            "1 vanished"
        );
        assert_eq!(
            sequence(&[], &["1.json"]),
            (0, vec!["1.json".to_owned()]),
            "1 is hidden"
        );
        for odd in [
            "011.json",
            "0.json",
            "x.json",
            "+1.json",
            "4294967296.json",
            "1.txt",
            "1.json.bak",
        ] {
            assert_eq!(sequence(&[odd], &[]), (0, vec![odd.to_owned()]), "{odd}");
        }
    }
}
