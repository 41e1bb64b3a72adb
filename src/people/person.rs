//! A person: name, role, and the digest of a key.

use sha2::{Digest as _, Sha256};

use super::role::Role;

const LONGEST_NAME: usize = 64;

/// The SHA-256 of a key. A key has 256 random bits, so that no slow hash is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct KeyDigest(pub(super) [u8; 32]);

impl KeyDigest {
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// Says which key it is, and nothing that helps to find it.
    pub(crate) fn mark(&self) -> String {
        let digest = Sha256::digest(self.0);
        hex::encode(digest.get(..8).unwrap_or(&digest))
    }

    pub(super) fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub name: String,
    pub role: Role,
    /// `None`: a proxy signs the person in.
    pub key: Option<KeyDigest>,
    /// An admin's second key, which approves a plan without anybody else.
    pub break_glass_key: Option<KeyDigest>,
}

#[cfg(test)]
impl Person {
    pub(crate) fn keyless(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            key: None,
            break_glass_key: None,
        }
    }
}

/// Whether this can be the name of a person: it is shown in logs and in the audit log, and a proxy names it in a claim.
pub(crate) fn is_name(text: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(is_fine)
}

/// What [`is_name`] accepts.
pub(crate) const NAME_RULE: &str = "has to be 1 to 64 letters, digits and . - _ @ +";
