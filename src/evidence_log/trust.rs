//! Which steps count. A log may get another key: for a time its steps are signed with both keys and name them, and from the
//! first step on that the new key signed alone the old one does not count any more.

use super::step::{self, Added, Checkpoint, Step, Stored};
use super::tree::Frontier;
use crate::failure::Failure;
use crate::ports::ArchiveStore;
use crate::signed_note::VerifierKey;

/// The keys of a log, while it is read from one step to the next.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// Keys that signed no step so far.
    unseen: Vec<VerifierKey>,
    /// In the order in which they came.
    seen: Vec<VerifierKey>,
    /// Those of `seen` before this place were replaced.
    replaced: usize,
}

/// What a step is.
pub(super) enum Judged {
    /// No key signed it that counts here.
    Foreign,
    /// It does not follow from the step before.
    Broken(Step),
    Follows(Step, Added),
}

impl Trust {
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a VerifierKey>) -> Self {
        Self {
            unseen: keys.into_iter().cloned().collect(),
            seen: Vec::new(),
            replaced: 0,
        }
    }

    /// The keys that count now.
    fn current(&self) -> impl Iterator<Item = &VerifierKey> {
        self.seen.iter().skip(self.replaced).chain(&self.unseen)
    }

    /// A key that counts now and signed this checkpoint.
    fn signer(&self, checkpoint: &str) -> Option<&VerifierKey> {
        self.current()
            .find(|key| Checkpoint::open(checkpoint, key).is_some())
    }

    /// What the checkpoint says, if a key of the log ever signed it.
    pub(super) fn known(&self, note: &str) -> Option<Checkpoint> {
        let mut keys = self.seen.iter().chain(&self.unseen);
        keys.find_map(|key| Checkpoint::open(note, key))
    }

    /// Reads a step, if it counts now. It may be out of turn.
    pub(super) async fn read(
        &self,
        store: &dyn ArchiveStore,
        number: u32,
    ) -> Result<Option<Step>, Failure> {
        let stored = step::read(store, number).await?;
        Ok(stored.and_then(|stored| self.open(stored)))
    }

    fn open(&self, stored: Stored) -> Option<Step> {
        let key = self.signer(&stored.checkpoint)?;
        stored.open(key)
    }

    /// The next step, after this tree.
    pub(super) fn judge(&mut self, stored: Stored, before: &Frontier) -> Judged {
        let Some(step) = self.open(stored) else {
            return Judged::Foreign;
        };
        let Some(added) = step.after(before) else {
            return Judged::Broken(step);
        };
        self.note(&step.checkpoint, &added.heading.keys);
        Judged::Follows(step, added)
    }

    fn note(&mut self, checkpoint: &str, named: &[String]) {
        let has_signed = |key: &VerifierKey| Checkpoint::open(checkpoint, key).is_some();
        let named = named.iter().filter_map(|key| key.parse().ok());
        self.unseen.extend(named.filter(has_signed));
        for key in std::mem::take(&mut self.unseen) {
            if self.seen.contains(&key) {
                continue;
            }
            if has_signed(&key) {
                self.seen.push(key);
            } else {
                self.unseen.push(key);
            }
        }
        let oldest = self.seen.iter().position(has_signed).unwrap_or(0);
        self.replaced = self.replaced.max(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signed_note::SigningKey;

    fn key() -> SigningKey {
        SigningKey::generate("example.com/log".parse().unwrap()).unwrap()
    }

    const TEXT: &str = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    #[test]
    fn a_key_that_was_replaced_counts_no_more_and_the_new_one_is_learned() {
        let keys = [key(), key(), key()];
        let note = |signers: &[usize]| {
            let mut note = format!("{TEXT}\n");
            for signer in signers {
                note.push_str(&keys[*signer].signature(TEXT).unwrap());
            }
            note
        };
        let name = |number: usize| keys[number].verifier().to_string();
        let counts = |trust: &Trust, signers: &[usize]| trust.signer(&note(signers)).is_some();

        // Who knows the old key only, and who was given both in either order.
        for known in [vec![0], vec![0, 1], vec![1, 0]] {
            let mut trust = Trust::new(known.iter().map(|number| keys[*number].verifier()));
            trust.note(&note(&[0]), &[]);
            assert!(counts(&trust, &[0]), "{known:?}");
            trust.note(&note(&[1, 0]), &[name(1), name(0)]);
            assert!(counts(&trust, &[0]) && counts(&trust, &[1]), "{known:?}");
            // A worker that has the old key only.
            trust.note(&note(&[0]), &[]);
            assert!(counts(&trust, &[1]), "{known:?}");
            trust.note(&note(&[1]), &[]);
            assert!(counts(&trust, &[1]) && !counts(&trust, &[0]), "{known:?}");
            assert!(!counts(&trust, &[2]), "{known:?}");
        }
    }

    #[test]
    fn a_key_that_is_named_and_did_not_sign_is_not_learned() {
        let keys = [key(), key()];
        let mut trust = Trust::new([keys[0].verifier()]);
        let signed = |key: &SigningKey| key.sign(TEXT).unwrap();
        trust.note(&signed(&keys[0]), &[keys[1].verifier().to_string()]);
        assert!(trust.signer(&signed(&keys[0])).is_some());
        assert!(trust.signer(&signed(&keys[1])).is_none());
    }
}
