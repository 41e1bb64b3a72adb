//! The keys that sign a log: those that this process holds, and one in another service.

use std::sync::Arc;

use crate::failure::{Class, Code, Failure};
use crate::ports::NoteSigner;
use crate::signed_note::{KeyName, SigningKey, SigningKeys, VerifierKey};

/// At least one. Of two, one replaces the other, and both sign.
#[derive(Clone)]
pub(crate) enum Signers {
    /// From a file or a variable.
    Local(SigningKeys),
    Remote(Arc<dyn NoteSigner>),
    Both(SigningKeys, Arc<dyn NoteSigner>),
}

impl Signers {
    fn parts(&self) -> (Option<&SigningKeys>, Option<&dyn NoteSigner>) {
        match self {
            Self::Local(keys) => (Some(keys), None),
            Self::Remote(signer) => (None, Some(&**signer)),
            Self::Both(keys, signer) => (Some(keys), Some(&**signer)),
        }
    }

    pub(super) fn name(&self) -> &KeyName {
        match self {
            Self::Local(keys) | Self::Both(keys, _) => keys.name(),
            Self::Remote(signer) => signer.verifier().name(),
        }
    }

    /// The keys that this process holds come first.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &VerifierKey> {
        let (keys, signer) = self.parts();
        let local = keys.into_iter().flat_map(SigningKeys::verifiers);
        local.chain(signer.map(NoteSigner::verifier))
    }

    /// The note of a text that ends with a line feed, signed with each key. A signature that another service made is checked
    /// before it is used.
    pub(super) async fn sign(&self, text: &str) -> Result<String, Failure> {
        let (keys, signer) = self.parts();
        let mut note = match keys {
            Some(keys) => keys
                .sign(text)
                .map_err(|why| Failure::internal("cannot sign a checkpoint", why))?,
            None => format!("{text}\n"),
        };
        if let Some(signer) = signer {
            let signature = signer.sign(text.as_bytes()).await?;
            let line = signer.verifier().line_with(text, &signature);
            note.push_str(&line.ok_or_else(|| foreign(signer.verifier()))?);
        }
        Ok(note)
    }
}

fn foreign(expected: &VerifierKey) -> Failure {
    let text = format!(
        "the signature of the evidence log is not one of {expected}; if an alias names another key of AWS KMS now, let it name the \
         one before again, and replace the key as docs/audit.md says"
    );
    Failure::new(Class::Transient, Code::EvidenceKeyUnusable, text)
}

impl From<SigningKeys> for Signers {
    fn from(keys: SigningKeys) -> Self {
        Self::Local(keys)
    }
}

impl From<SigningKey> for Signers {
    fn from(key: SigningKey) -> Self {
        SigningKeys::from(key).into()
    }
}

#[cfg(test)]
#[path = "signers_tests.rs"]
mod tests;
