//! What witnesses said of steps: `_log_cosignature_{number}.{ID of the key}.txt`, each a line of a note, written once.

use std::collections::BTreeMap;

use crate::failure::{Class, Failure};
use crate::ports::{ArchiveStore, ObjectKey};
use crate::signed_note::{WitnessKey, is_signature};

const PREFIX: &str = "_log_cosignature_";
const MAX_BYTES: usize = 8 * 1024;

pub(super) fn key(number: u32, witness: &WitnessKey) -> ObjectKey {
    ObjectKey(format!("{PREFIX}{number}.{}.txt", witness.id_text()))
}

/// The keys of all, by the number of the step.
pub(super) async fn list(
    store: &dyn ArchiveStore,
) -> Result<BTreeMap<u32, Vec<ObjectKey>>, Failure> {
    let mut all = BTreeMap::<u32, Vec<ObjectKey>>::new();
    for key in store.keys(PREFIX).await? {
        let rest = key.as_str().strip_prefix(PREFIX);
        let number = rest.and_then(|rest| rest.split_once('.')?.0.parse().ok());
        if let Some(number) = number {
            all.entry(number).or_default().push(key);
        }
    }
    Ok(all)
}

/// The checkpoint with the lines that these objects have. What is no line of a note is left out.
pub(super) async fn added(
    store: &dyn ArchiveStore,
    mut checkpoint: String,
    keys: &[ObjectKey],
) -> Result<String, Failure> {
    for key in keys {
        let line = match store.read(key, MAX_BYTES).await {
            Ok(line) => line.unwrap_or_default(),
            // We write no such object.
            Err(failure) if failure.class == Class::Defect => continue,
            Err(failure) => return Err(failure),
        };
        if let Ok(line) = str::from_utf8(&line)
            && is_signature(line)
        {
            checkpoint.push_str(line);
        }
    }
    Ok(checkpoint)
}
