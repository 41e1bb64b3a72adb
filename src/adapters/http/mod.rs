//! HTTP towards a tenant's API, whichever API it is: connections, the OAuth token, pacing by the tenant's quotas, capped
//! bodies, and errors by their cause. It knows no path and no document of any API.

mod answer;
mod api;
mod body;
mod claims;
mod conflicts;
mod connection;
mod conversation;
mod dialect;
mod document;
mod error;
mod examine;
mod issuer;
mod key_set;
mod local_quotas;
mod observed;
mod order;
mod quota;
mod rate_headers;
mod refusals;
mod retry_after;
mod row_scanner;
mod row_stream;
mod rows;
mod token;
mod token_endpoint;
mod transport;
mod witness;

pub(super) use answer::{code_of, is_the_apis};
pub(crate) use api::ApiOptions;
pub(super) use api::{Api, TWICE, Write, unwritable};
pub(super) use conflicts::Conflicts;
#[cfg(test)]
pub(super) use connection::connect;
pub(super) use conversation::conversation_facts;
pub(super) use dialect::{Dialect, STANDARD};
pub(super) use document::Document;
pub(crate) use error::ApiError;
pub(super) use examine::{NOBODY, facts_of, is_own, refused_read};
pub(crate) use key_set::KeySetUrl;
pub(crate) use local_quotas::LocalQuotas;
pub(super) use observed::{observed, seen, status_of};
pub(super) use order::{InOrder, PagesEnd};
#[cfg(any(test, fuzzing))]
pub(crate) use retry_after::retry_after;
pub(super) use row_stream::RowStream;
pub(super) use rows::Rows;
pub(crate) use rows::rows;
pub(crate) use token::Grant;
pub(super) use transport::{Permit, Reply, Request};
pub(crate) use witness::WitnessUrl;
