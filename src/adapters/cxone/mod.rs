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

pub(crate) use client::{Answered, Client, Options, Write};
pub(crate) use deletion::DeleteAnswer;
pub(crate) use document::{QueueId, RoutingProfile, ScimUser};
pub(crate) use error::CxoneError;
pub(crate) use look::{Look, Seen};
pub(crate) use page::{NextPage, Page};
pub(crate) use quota::Alone;
#[cfg(any(test, fuzzing))]
pub(crate) use retry_after::retry_after;
