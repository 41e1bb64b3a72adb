//! Records of operators that are objects with consecutive numbers, `{prefix}{number}.json`. Each
//! record is a new object, written once, and the last one counts. A program that may write to the
//! bucket can add objects, and one that may delete can hide them. So anything that is not as we
//! would have written it puts the sequence in doubt, and doubt means the safer answer: on hold,
//! paused.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Class, Code, Failure};
use crate::integrity::Purpose;
use crate::ports::{ArchiveStore, ObjectKey, PutOnce};

/// The largest record that is read.
const MAX_RECORD_BYTES: usize = 64 * 1024;
/// How often a record is numbered again because another process took its number.
const MAX_TRIES: usize = 32;
/// How many objects that we did not write one record may name.
const MAX_PASSED_OVER: usize = 100;

/// A record of such a sequence.
pub(super) trait Numbered: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// What the integrity code of a record is made for.
    const PURPOSE: Purpose;

    /// Objects that were there when the operator acted; they no longer put the sequence in doubt.
    fn passes_over(&mut self) -> &mut Vec<String>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Latest<T> {
    /// There was never a record.
    Nothing,
    Record(T),
    /// What is stored is not what we would have written; the text says which object, and why.
    Doubtful(String),
}

/// The objects of one sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    prefix: String,
    /// The number of the last record; all numbers from 1 to it are there. 0 where there is none.
    last: u32,
    /// The other objects under the prefix: numbers after a gap, hidden objects, other names.
    odd: Vec<String>,
}

impl Sequence {
    /// Lists the objects of one sequence.
    pub(super) async fn list(store: &dyn ArchiveStore, prefix: &str) -> Result<Self, Failure> {
        let listed = store.shown_and_hidden(prefix).await?;
        Ok(Self::of(prefix, &listed.0, &listed.1))
    }

    /// The sequence of these keys; those of other prefixes are ignored.
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
        let after_a_gap = numbers.split_off(in_line);
        odd.extend(after_a_gap.iter().map(|number| key(prefix, *number).0));

        // Only what a delete marker still hides; a key that was written again is listed.
        let hidden = hidden
            .iter()
            .filter(|hidden| hidden.as_str().starts_with(prefix));
        odd.extend(hidden.map(|hidden| hidden.as_str().to_owned()));
        odd.sort_unstable();
        odd.dedup();

        Self {
            prefix: prefix.to_owned(),
            last: numbers.last().copied().unwrap_or(0),
            odd,
        }
    }

    /// The number of the last record; 0 where there is none.
    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    /// Reads one record; `None` if it cannot be believed.
    pub(super) async fn record<T: Numbered>(
        &self,
        store: &dyn ArchiveStore,
        number: u32,
    ) -> Result<Option<T>, Failure> {
        let key = key(&self.prefix, number);
        match store.read(&key, MAX_RECORD_BYTES).await {
            Ok(Some(stored)) => {
                let opened = store.integrity().open(T::PURPOSE, key.as_str(), &stored);
                Ok(opened.ok())
            }
            Ok(None) => Ok(None),
            Err(failure) if failure.class == Class::Defect => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads the last record. At most one object is read.
    pub(super) async fn latest<T: Numbered>(
        &self,
        store: &dyn ArchiveStore,
    ) -> Result<Latest<T>, Failure> {
        let mut record: Option<T> = if self.last == 0 {
            None
        } else {
            let key = key(&self.prefix, self.last);
            let doubtful =
                |why: &str| Ok(Latest::Doubtful(format!("{}: {why}", store.full_key(&key))));
            let stored = match store.read(&key, MAX_RECORD_BYTES).await {
                Ok(Some(stored)) => stored,
                Ok(None) => return doubtful("it was there a moment ago, and is gone"),
                // We write no such record. An error here would stop all other users, too.
                Err(failure) if failure.class == Class::Defect => {
                    return doubtful("it is too large");
                }
                Err(failure) => return Err(failure),
            };
            match store.integrity().open(T::PURPOSE, key.as_str(), &stored) {
                Ok(record) => Some(record),
                Err(untrusted) => return doubtful(&untrusted.to_string()),
            }
        };

        let passed_over = record.as_mut().map(T::passes_over);
        let counts = |odd: &&String| {
            passed_over
                .as_ref()
                .is_none_or(|known| !known.contains(odd))
        };
        if let Some(odd) = self.odd.iter().find(counts) {
            let full_key = store.full_key(&ObjectKey(odd.clone()));
            return Ok(Latest::Doubtful(format!(
                "{full_key} is hidden by a delete marker, or its number is out of line"
            )));
        }
        Ok(record.map_or(Latest::Nothing, Latest::Record))
    }
}

/// Stores a record as the last one, and returns its number once the sequence reads back as the
/// record says. Objects that we did not write are named in the record, and ignored from then on.
pub(super) async fn append<T: Numbered + PartialEq>(
    store: &dyn ArchiveStore,
    prefix: &str,
    record: &T,
) -> Result<u32, Failure> {
    for _ in 0..MAX_TRIES {
        let sequence = Sequence::list(store, prefix).await?;
        if sequence.odd.len() > MAX_PASSED_OVER {
            return Err(too_many_odd(store, prefix, sequence.odd.len()));
        }
        let Some(number) = sequence.last.checked_add(1) else {
            break;
        };

        let mut record = record.clone();
        *record.passes_over() = sequence.odd;
        let body = serde_json::to_vec(&record)
            .map_err(|error| Failure::internal("cannot write a numbered record", error))?;
        let key = key(prefix, number);
        let body = store.integrity().sign(T::PURPOSE, key.as_str(), body);
        // Another operator may have acted a moment ago; then ours is the next record.
        if store.put_once(&key, Bytes::from(body), None).await? == PutOnce::AlreadyThere {
            continue;
        }

        // Read back in the way in which the guards read. The key may have been hidden by a delete
        // marker before: then later records follow.
        let sequence = Sequence::list(store, prefix).await?;
        match sequence.latest::<T>(store).await? {
            Latest::Record(latest) if sequence.last >= number && latest == record => {
                return Ok(number);
            }
            Latest::Record(_) => {}
            Latest::Nothing => return Err(not_listed(store, &key)),
            // Ours filled a gap: what comes after it counts as well, and the next record follows
            // that.
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

fn too_many_odd(store: &dyn ArchiveStore, prefix: &str, count: usize) -> Failure {
    let text = format!(
        "{count} objects under {} were not written by offboarder; an operator who may delete versions \
         has to remove them",
        store.full_key(&ObjectKey(prefix.to_owned()))
    );
    Failure::new(Class::Defect, Code::ArchiveConflict, text)
}

fn not_listed(store: &dyn ArchiveStore, key: &ObjectKey) -> Failure {
    let text = format!(
        "{} was stored, and a listing of {} does not show it: no guard would see it; use a store, and \
         a prefix in OFFBOARDER_ARCHIVE_URL, that lists its objects",
        store.full_key(key),
        store.location()
    );
    Failure::new(Class::Systemic, Code::ArchiveRejected, text)
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
#[path = "sequence_tests.rs"]
mod tests;
