//! Signed notes and their keys in the form of c2sp.org/signed-note, with Ed25519. The form of the private key is that of Go's
//! `golang.org/x/mod/sumdb/note`, so that other programs can use the same files.
//!
//! The crate `signed_note` is not used: it brings a second Ed25519, a second `sha2`, `base64` and `rand`, and `aws-lc-rs` is here
//! through TLS.
//!
//! Witnesses sign with keys of another type, after c2sp.org/tlog-cosignature.

mod signing_keys;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub(crate) use signing_keys::SigningKeys;

/// What a private key begins with, as text.
const PRIVATE: &str = "PRIVATE+KEY+";
/// The signature type that c2sp.org/signed-note gives to Ed25519.
const ED25519_NOTE: u8 = 1;
/// The one of c2sp.org/tlog-cosignature with Ed25519.
const ED25519_COSIGNATURE: u8 = 4;
const KEY_BYTES: usize = 32;
/// What a line with a signature begins with.
const SIGNATURE: &str = "\u{2014} ";
const NAME_RULE: &str =
    "a name such as example.com/log: visible characters, no blank and no plus, at most 200 bytes";

/// The name of a key, and of the log that it signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(String);

impl KeyName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > 200 || text.contains(odd) {
            return Err(format!("is not {NAME_RULE}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public half of a key, as `name+ID+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey<const TYPE: u8> {
    name: KeyName,
    public: [u8; KEY_BYTES],
}

/// The public key of a log.
pub(crate) type VerifierKey = PublicKey<ED25519_NOTE>;
/// The public key of a witness.
pub(crate) type WitnessKey = PublicKey<ED25519_COSIGNATURE>;

/// A note: its text with the last line feed, and the names and bytes of its signatures.
struct Note<'a> {
    text: &'a str,
    signatures: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Note<'a> {
    fn parse(note: &'a str) -> Option<Self> {
        if note.contains(|c: char| c.is_ascii_control() && c != '\n') {
            return None;
        }
        let end = note.rfind("\n\n")?;
        let lines = note.get(end + 2..)?.strip_suffix('\n')?.split('\n');
        let signature = |line: &'a str| {
            let rest = line.strip_prefix(SIGNATURE)?;
            let parts = rest.split_once(' ')?;
            Some((parts.0, STANDARD.decode(parts.1).ok()?))
        };
        Some(Self {
            text: note.get(..=end)?,
            signatures: lines.map(signature).collect::<Option<_>>()?,
        })
    }
}

impl<const TYPE: u8> PublicKey<TYPE> {
    pub(crate) const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Whether it is the same key, under any name.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// What follows the ID in each signature of a note that has the name and the ID of this key.
    fn ours<'n>(&self, note: &'n Note<'_>) -> impl Iterator<Item = &'n [u8]> {
        let id = self.id();
        let name = self.name.as_str().to_owned();
        let ours = move |signature: &'n (&str, Vec<u8>)| {
            let bytes = signature.1.split_first_chunk::<4>()?;
            (signature.0 == name && *bytes.0 == id).then_some(bytes.1)
        };
        note.signatures.iter().filter_map(ours)
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        key.verify(message, signature).is_ok()
    }

    /// The ID in hex.
    pub(crate) fn id_text(&self) -> String {
        hex::encode(self.id())
    }

    /// The first four bytes of the SHA-256 of name and key.
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', TYPE])
            .chain_update(self.public)
            .finalize();
        digest.first_chunk().copied().unwrap_or_default()
    }
}

impl VerifierKey {
    /// Of a key whose private half is elsewhere.
    #[cfg(feature = "kms")]
    pub(crate) const fn new(name: KeyName, public: [u8; KEY_BYTES]) -> Self {
        Self { name, public }
    }

    /// The line of a note with a signature that was made elsewhere; `None` if this key did not sign this text.
    pub(crate) fn line_with(&self, text: &str, signature: &[u8; 64]) -> Option<String> {
        self.has_signed(text.as_bytes(), signature)
            .then(|| line(self.name.as_str(), &[&self.id(), signature]))
    }

    /// The text of a note that this key signed, with its last line feed. Signatures of other keys are ignored.
    pub(crate) fn open<'a>(&self, note: &'a str) -> Option<&'a str> {
        let note = Note::parse(note)?;
        let mut ours = self.ours(&note).peekable();
        ours.peek()?;
        let text = note.text.as_bytes();
        ours.all(|signature| self.has_signed(text, signature))
            .then_some(note.text)
    }
}

impl WitnessKey {
    /// When the witness cosigned this note, in seconds since 1970; `None` if it did not.
    pub(crate) fn cosigned_at(&self, note: &str) -> Option<u64> {
        let note = Note::parse(note)?;
        let time = |signature: &[u8]| {
            let parts = signature.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*parts.0);
            let message = cosigned(time, note.text);
            self.has_signed(message.as_bytes(), parts.1).then_some(time)
        };
        let times: Option<Vec<u64>> = self.ours(&note).map(time).collect();
        times?.into_iter().max()
    }
}

/// What a witness signs.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

impl<const TYPE: u8> fmt::Display for PublicKey<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id_text();
        write!(f, "{}+{id}+{}", self.name, encode(TYPE, &self.public))
    }
}

/// The private half of a key. It has no `Serialize`, and `Debug` shows the public half only.
#[derive(Clone)]
pub(crate) struct SigningKey {
    verifier: VerifierKey,
    seed: [u8; KEY_BYTES],
}

impl SigningKey {
    /// A new key from the random numbers of the operating system.
    pub(crate) fn generate(name: KeyName) -> Result<Self, &'static str> {
        let mut seed = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut seed)
            .map_err(|_unspecified| "the operating system gives no random numbers")?;
        Self::from_seed(name, seed)
    }

    fn from_seed(name: KeyName, seed: [u8; KEY_BYTES]) -> Result<Self, &'static str> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_unspecified| "it is no Ed25519 key")?;
        let public = <[u8; KEY_BYTES]>::try_from(pair.public_key().as_ref())
            .map_err(|_length| "it is no Ed25519 key")?;
        let verifier = VerifierKey { name, public };
        Ok(Self { verifier, seed })
    }

    /// The half that anybody may have.
    pub(crate) const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The note of a text that ends with a line feed.
    pub(crate) fn sign(&self, text: &str) -> Result<String, &'static str> {
        Ok(format!("{text}\n{}", self.signature(text)?))
    }

    /// The line with the signature of a text.
    pub(crate) fn signature(&self, text: &str) -> Result<String, &'static str> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed)
            .map_err(|_unspecified| "it is no Ed25519 key")?;
        let signature = pair.sign(text.as_bytes());
        let name = self.verifier.name.as_str();
        Ok(line(name, &[&self.verifier.id(), signature.as_ref()]))
    }

    /// What a service answers that has this key.
    #[cfg(test)]
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap();
        pair.sign(message).as_ref().try_into().unwrap()
    }

    /// The key of a witness that has this one.
    #[cfg(test)]
    pub(crate) fn as_witness(&self) -> WitnessKey {
        WitnessKey {
            name: self.verifier.name.clone(),
            public: self.verifier.public,
        }
    }

    /// The line with which a witness that has this key cosigns a text.
    #[cfg(test)]
    pub(crate) fn cosign(&self, time: u64, text: &str) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap();
        let signature = pair.sign(cosigned(time, text).as_bytes());
        let id = self.as_witness().id();
        let name = self.verifier.name.as_str();
        line(name, &[&id, &time.to_be_bytes(), signature.as_ref()])
    }

    /// The whole key as text, for the file that keeps it.
    pub(crate) fn to_secret_text(&self) -> String {
        let id = hex::encode(self.verifier.id());
        format!(
            "{PRIVATE}{}+{id}+{}",
            self.verifier.name,
            encode(ED25519_NOTE, &self.seed)
        )
    }
}

impl FromStr for SigningKey {
    type Err = String;

    /// The text is not repeated in the answer.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = || {
            "is no private key of signed notes; make one with `offboarder evidence key`".to_owned()
        };
        let rest = text.trim_end().strip_prefix(PRIVATE).ok_or_else(odd)?;
        // The base64 of a key may have a plus, too.
        let mut parts = rest.splitn(3, '+');
        let mut next = || parts.next().ok_or_else(odd);
        let name: KeyName = next()?.parse()?;
        let id = next()?;
        let encoded = next()?;
        let bytes = STANDARD.decode(encoded).map_err(|_base64| odd())?;
        let seed = match bytes.split_first() {
            Some((&ED25519_NOTE, seed)) => {
                <[u8; KEY_BYTES]>::try_from(seed).map_err(|_length| odd())?
            }
            Some(_) | None => return Err(odd()),
        };
        let key = Self::from_seed(name, seed)?;
        if hex::encode(key.verifier.id()) != id {
            return Err("has an ID of another key; copy the whole line of its file".to_owned());
        }
        Ok(key)
    }
}

/// Whether a text is one line of a note with a signature, and nothing else.
pub(crate) fn is_signature(text: &str) -> bool {
    let note = format!("\n\n{text}");
    Note::parse(&note).is_some_and(|note| note.text == "\n" && note.signatures.len() == 1)
}

impl<const TYPE: u8> FromStr for PublicKey<TYPE> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let odd = || match TYPE {
            ED25519_COSIGNATURE => {
                "is no key of a witness with Ed25519 (c2sp.org/tlog-cosignature)".to_owned()
            }
            _ => "is no verifier key of Ed25519, as `offboarder evidence key` prints it".to_owned(),
        };
        let mut parts = text.splitn(3, '+');
        let mut next = || parts.next().ok_or_else(odd);
        let name: KeyName = next()?.parse()?;
        let id = next()?;
        let bytes = STANDARD.decode(next()?).map_err(|_base64| odd())?;
        let public = match bytes.split_first() {
            Some((kind, public)) if *kind == TYPE => {
                <[u8; KEY_BYTES]>::try_from(public).map_err(|_length| odd())?
            }
            Some(_) | None => return Err(odd()),
        };
        let key = Self { name, public };
        if hex::encode(key.id()) != id {
            return Err("has an ID of another key; copy all of it".to_owned());
        }
        Ok(key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifier)
    }
}

fn encode(kind: u8, key: &[u8; KEY_BYTES]) -> String {
    STANDARD.encode([&[kind], key.as_slice()].concat())
}

/// A line of a note with a signature.
fn line(name: &str, bytes: &[&[u8]]) -> String {
    format!("{SIGNATURE}{name} {}\n", STANDARD.encode(bytes.concat()))
}

#[cfg(test)]
mod tests;
