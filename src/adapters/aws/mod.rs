//! What all clients of AWS share: the sources of their settings, their HTTP client, and how their errors are shown.

mod http_client;
mod shared;
mod texts;

pub(super) use shared::load;
#[cfg(feature = "kms")]
pub(super) use texts::is_of_credentials;
pub(super) use texts::{cut, innermost};
