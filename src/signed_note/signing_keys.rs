//! Two keys at once, while one replaces the other.

use std::str::FromStr;

use super::{KeyName, SigningKey, VerifierKey};

/// The keys of who writes a log: the current one, and while it is replaced also the one before.
#[derive(Debug, Clone)]
pub(crate) struct SigningKeys {
    current: SigningKey,
    before: Option<SigningKey>,
}

impl SigningKeys {
    pub(crate) const fn name(&self) -> &KeyName {
        self.current.verifier.name()
    }

    /// The current key comes first.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &VerifierKey> {
        let keys = std::iter::once(&self.current).chain(&self.before);
        keys.map(SigningKey::verifier)
    }

    /// The note of a text that ends with a line feed, signed with each key.
    pub(crate) fn sign(&self, text: &str) -> Result<String, &'static str> {
        let note = self.current.sign(text)?;
        Ok(match &self.before {
            Some(before) => note + &before.signature(text)?,
            None => note,
        })
    }
}

impl From<SigningKey> for SigningKeys {
    fn from(current: SigningKey) -> Self {
        Self {
            current,
            before: None,
        }
    }
}

impl FromStr for SigningKeys {
    type Err = String;

    /// A line for each key. No text of a line is repeated in the answer.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let current: SigningKey = lines.next().unwrap_or_default().parse()?;
        let before: Option<SigningKey> = lines.next().map(str::parse).transpose()?;
        let differs = |key: &SigningKey| key.verifier.name != current.verifier.name;
        match (before, lines.next()) {
            (_, Some(_)) => {
                Err("has more than two keys: the current one and the one before it".to_owned())
            }
            (Some(key), None) if differs(&key) => Err("has keys of two logs".to_owned()),
            (before, None) => Ok(Self { current, before }),
        }
    }
}
