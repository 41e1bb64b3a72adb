//! The integrity key, which only the workers and operators of this deployment have. It proves that
//! one of them wrote a record in Redis or in the archive store: write access to a store is not
//! enough.
//!
//! A code is HMAC-SHA256 (RFC 2104, FIPS 198-1) over the purpose, the name and the bytes of a
//! record, so that a record that is copied to another name, or used for another purpose, has no
//! valid code.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use sha2::Sha256;

use crate::secret::Secret;

/// The shortest key, in bytes: as long as the output of the hash (RFC 2104, section 3).
pub(crate) const SHORTEST_KEY: usize = 32;

/// A document with a code ends with this, the code in hex, and [`CLOSE`].
const OPEN: &str = ",\"integrity\":\"hmac-sha256:";
const CLOSE: &str = "\"}";
const HEX_BYTES: usize = 64;

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A checkpoint in Redis or in the embedded store.
    Checkpoint,
    /// The sealed evidence of a user.
    Seal,
    /// A legal hold that was set or lifted.
    Hold,
    /// A pause that began or ended.
    Pause,
    /// An entry of the audit log.
    AuditLog,
    /// What an operator decided about a group of dead letters.
    DeadLetterGroup,
    /// A cancellation, or a pause of a batch.
    StopOrder,
    /// An operation with its set, or how it ended.
    Operation,
    /// A part of an order of `submit`.
    Order,
    /// That a person let waiting users on.
    LetOn,
    /// What a user had before an off-boarding.
    Before,
    /// Whether a user is deleted or reactivated.
    Fate,
    /// What a reactivation gave back.
    Reactivation,
    /// A plan, or a part of its users.
    Plan,
    /// What a person decided about a plan.
    PlanAct,
    /// The rule of approvals in force.
    ApprovalRule,
    /// That a record was written, for the evidence log.
    Announcement,
    /// A session of the console.
    Session,
    /// That objects of a user were removed for good.
    Erasure,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Seal => "seal",
            Self::Hold => "hold",
            Self::Pause => "pause",
            Self::AuditLog => "audit-log",
            Self::DeadLetterGroup => "dead-letter-group",
            Self::StopOrder => "stop-order",
            Self::Operation => "operation",
            Self::Order => "order",
            Self::LetOn => "let-on",
            Self::Before => "before",
            Self::Fate => "fate",
            Self::Reactivation => "reactivation",
            Self::Plan => "plan",
            Self::PlanAct => "plan-act",
            Self::ApprovalRule => "approval-rule",
            Self::Announcement => "announcement",
            Self::Session => "session",
            Self::Erasure => "erasure",
        }
    }
}

/// Why a stored document does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrusted {
    /// The document has no code, or one that was made with another key.
    #[error("it has no valid integrity code")]
    NoValidCode,
    /// The document has another form.
    #[error("it cannot be read")]
    Unreadable,
}

/// Makes and checks codes. Without a key every record counts that can be read.
#[derive(Clone, Default)]
pub(crate) struct Integrity(Option<Arc<[u8]>>);

impl Integrity {
    /// Uses this key; without one nothing is authenticated.
    pub(crate) fn new(key: Option<&Secret>) -> Self {
        Self(key.map(|key| Arc::from(key.expose().as_bytes())))
    }

    /// Whether there is a key.
    pub(crate) const fn has_key(&self) -> bool {
        self.0.is_some()
    }

    fn mac(&self, purpose: Purpose, name: &str, bytes: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_deref()?).ok()?;
        for part in [purpose.as_str().as_bytes(), name.as_bytes(), bytes] {
            // With the length before each part, no two lists of parts have the same bytes.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        Some(mac)
    }

    /// The code of a record, in hex; `None` without a key.
    pub(crate) fn code(&self, purpose: Purpose, name: &str, bytes: &[u8]) -> Option<String> {
        Some(hex::encode(
            self.mac(purpose, name, bytes)?.finalize().into_bytes(),
        ))
    }

    /// Whether this is the code of the record. Without a key every record passes.
    pub(crate) fn admits(
        &self,
        purpose: Purpose,
        name: &str,
        bytes: &[u8],
        code: Option<&str>,
    ) -> bool {
        let Some(mac) = self.mac(purpose, name, bytes) else {
            return !self.has_key();
        };
        let code = code.and_then(|code| hex::decode(code).ok());
        // Compares in constant time.
        code.is_some_and(|code| mac.verify_slice(&code).is_ok())
    }

    /// Adds the code to a JSON object, as its last member `integrity`. Without a key the bytes stay
    /// as they are.
    pub(crate) fn sign(&self, purpose: Purpose, name: &str, mut document: Vec<u8>) -> Vec<u8> {
        let end = document.trim_ascii_end().len();
        document.truncate(end);
        let Some(code) = self.code(purpose, name, &document) else {
            return document;
        };
        if document.pop() == Some(b'}') {
            document.extend_from_slice(OPEN.as_bytes());
            document.extend_from_slice(code.as_bytes());
            document.extend_from_slice(CLOSE.as_bytes());
        }
        document
    }

    /// Reads a document that [`Self::sign`] wrote. With a key the document must have a valid code;
    /// without one a code is ignored.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        name: &str,
        stored: &[u8],
    ) -> Result<T, Untrusted> {
        if self.has_key() {
            let (document, code) = split(stored).ok_or(Untrusted::NoValidCode)?;
            if !self.admits(purpose, name, &document, Some(code)) {
                return Err(Untrusted::NoValidCode);
            }
        }
        serde_json::from_slice(stored).map_err(|_not_ours| Untrusted::Unreadable)
    }
}

/// The document as it was before [`Integrity::sign`].
pub(crate) fn without_code(stored: &[u8]) -> Cow<'_, [u8]> {
    split(stored).map_or(Cow::Borrowed(stored), |(document, _code)| {
        Cow::Owned(document)
    })
}

/// The document without its code, and the code.
fn split(stored: &[u8]) -> Option<(Vec<u8>, &str)> {
    let rest = stored.strip_suffix(CLOSE.as_bytes())?;
    let (rest, code) = rest.split_at_checked(rest.len().checked_sub(HEX_BYTES)?)?;
    let mut document = rest.strip_suffix(OPEN.as_bytes())?.to_vec();
    document.push(b'}');
    Some((document, std::str::from_utf8(code).ok()?))
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.has_key() {
            "Integrity(***)"
        } else {
            "Integrity(no key)"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with_key(key: &str) -> Integrity {
        Integrity::new(Some(&Secret::new(key)))
    }

    fn ours() -> Integrity {
        with_key("a key of thirty-two characters ..")
    }

    #[test]
    fn a_signed_document_opens_only_under_its_own_name_and_purpose() {
        let body = serde_json::to_vec_pretty(&json!({ "held": true, "who": "ada" })).unwrap();
        let signed = ours().sign(Purpose::Hold, "_hold_x.1.json", body.clone());
        let open = |key: &Integrity, purpose, name: &str| key.open::<Value>(purpose, name, &signed);
        assert_eq!(
            open(&ours(), Purpose::Hold, "_hold_x.1.json").unwrap()["held"],
            json!(true)
        );
        for (key, purpose, name) in [
            (ours(), Purpose::Hold, "_hold_x.2.json"),
            (ours(), Purpose::Pause, "_hold_x.1.json"),
            (
                with_key("another key of thirty-two octets !"),
                Purpose::Hold,
                "_hold_x.1.json",
            ),
        ] {
            assert_eq!(
                open(&key, purpose, name),
                Err(Untrusted::NoValidCode),
                "{name}"
            );
        }
        assert_eq!(&*without_code(&signed), body.trim_ascii_end());
        assert_eq!(&*without_code(b"{}"), b"{}");
        // A deployment without a key, or an older release, reads the same members.
        let read = Integrity::default()
            .open::<Value>(Purpose::Hold, "x", &signed)
            .unwrap();
        assert_eq!(read["who"], json!("ada"));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let signed = ours().sign(Purpose::Seal, "s", br#"{"a":1,"b":"two"}"#.to_vec());
        assert!(ours().open::<Value>(Purpose::Seal, "s", &signed).is_ok());
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            let opened = ours().open::<Value>(Purpose::Seal, "s", &changed);
            assert!(
                opened.is_err(),
                "byte {at} of {}",
                String::from_utf8_lossy(&changed)
            );
        }
        for cut in 0..signed.len() {
            assert!(
                ours()
                    .open::<Value>(Purpose::Seal, "s", &signed[..cut])
                    .is_err(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn with_a_key_a_document_without_a_code_does_not_count() {
        let bare = br#"{"held":false}"#;
        assert_eq!(
            ours().open::<Value>(Purpose::Hold, "h", bare),
            Err(Untrusted::NoValidCode)
        );
        assert!(
            Integrity::default()
                .open::<Value>(Purpose::Hold, "h", bare)
                .is_ok()
        );
        assert_eq!(
            Integrity::default().open::<Value>(Purpose::Hold, "h", b"{"),
            Err(Untrusted::Unreadable)
        );
    }

    #[test]
    fn the_parts_of_a_code_are_separate_and_the_key_is_never_shown() {
        let key = ours();
        let code = |name: &str, bytes: &[u8]| key.code(Purpose::Checkpoint, name, bytes).unwrap();
        assert_ne!(code("ab", b"c"), code("a", b"bc"));
        assert!(key.admits(Purpose::Checkpoint, "a", b"b", Some(&code("a", b"b"))));
        for wrong in [None, Some(""), Some("zz"), Some("00")] {
            assert!(
                !key.admits(Purpose::Checkpoint, "a", b"b", wrong),
                "{wrong:?}"
            );
        }
        assert_eq!(
            format!("{key:?} {:?}", Integrity::default()),
            "Integrity(***) Integrity(no key)"
        );
    }
}
