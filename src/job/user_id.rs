//! The ID of a user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

// Only parsing makes a `UserId`, so that no other text reaches a URL, a key or a path.
/// ID of a user: a UUID in canonical lower-case form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = "uuid", example = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11")]
pub(crate) struct UserId(Uuid);

/// The text is no UUID of the hyphenated form (RFC 9562 section 4).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID such as 3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11")]
pub(crate) struct InvalidUserId;

impl FromStr for UserId {
    type Err = InvalidUserId;

    fn from_str(text: &str) -> Result<Self, InvalidUserId> {
        // `Uuid` also accepts braces, URNs and bare hex, but the API uses only the hyphenated form.
        if text.len() != 36 {
            return Err(InvalidUserId);
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_not_a_uuid| InvalidUserId)
    }
}

impl UserId {
    /// Messages and files may also spell it without hyphens.
    pub(crate) fn in_message(text: &str) -> Option<Self> {
        matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok().map(Self))?
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_upper_case_id_is_shown_in_lower_case() {
        let id: UserId = "3F1F0D4E-9A51-4B4B-8F6C-1F9A4F9B7C11".parse().unwrap();
        assert_eq!(id.to_string(), "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11");
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in [
            "",
            "{3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11}",
            "3f1f0d4e9a514b4b8f6c1f9a4f9b7c11",
            "urn:uuid:3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11",
            "../../../../../../../../../../etc/pass",
        ] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_is_safe_in_a_path(text in ".{36}") {
            if let Ok(id) = text.parse::<UserId>() {
                prop_assert!(id.to_string().bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
            }
        }
    }
}
