//! Names that are the SHA-256 of what is stored: an object that was changed no longer has its name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

fn is_digest(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 64 && text.bytes().all(is_digit)
}

macro_rules! digest_name {
    ($(#[$doc:meta])* $name:ident, $wrong:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
        pub(crate) struct $name(String);

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if is_digest(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($wrong)
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

digest_name! {
    /// Name of a part of an order of `submit`: the SHA-256 of what is stored, in lower-case hex. So a part that was changed
    /// no longer has its name.
    OrderName, "the name of an order is 64 digits of lower-case hex"
}

digest_name! {
    /// Name of a plan, or of a part of its users: the SHA-256 of its canonical JSON, in lower-case hex.
    PlanName, "the name of a plan is 64 digits of lower-case hex"
}
