//! HTTP towards a tenant's API, whichever API it is: connections, the OAuth token, pacing by the tenant's quotas, capped
//! bodies, and errors by their cause. It knows no path and no document of any API.

mod answer;
mod body;
mod connection;
mod document;
mod error;
mod quota;
mod refusals;
mod retry_after;
mod token;
mod token_endpoint;
mod transport;

pub(super) use answer::{code_of, is_scim_error, is_the_apis};
pub(super) use connection::connect;
pub(super) use document::Document;
pub(crate) use error::ApiError;
pub(crate) use quota::LocalQuotas;
pub(super) use quota::Quota;
pub(super) use refusals::Refusals;
#[cfg(any(test, fuzzing))]
pub(crate) use retry_after::retry_after;
pub(super) use token::Tokens;
pub(super) use transport::{Permit, Reply, Request, Transport};
