//! The CXone API: the only place that knows its paths, verbs and bodies (`docs/contract/cxone-openapi.yaml`).

mod account;
mod answer;
mod client;
mod deletion;
mod document;
mod error;
mod http;
mod look;
mod page;
mod quota;
mod refusals;
mod retry_after;
#[cfg(test)]
mod tests;
mod token;
mod transport;

pub use account::Account;
pub use client::{Answered, Client, Options, Write};
pub use deletion::DeleteAnswer;
pub use document::{Queue, QueueId, RoutingProfile, ScimUser};
pub use error::CxoneError;
pub use look::{Look, Seen};
pub use page::{NextPage, Page};
pub use quota::Alone;
pub(crate) use retry_after::retry_after;
pub use transport::Permit;
