//! The profile `tutorial`: the API of `docs/contract/cxone-openapi.yaml`, and the only place that knows its paths, verbs and
//! documents.

mod account;
mod clearing;
mod client;
mod deletion;
mod documents;
mod giving_back;
mod link;
mod page;
mod paths;
mod reads;
mod routing;
mod tenant;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use client::Client;
#[cfg(any(test, fuzzing))]
pub(crate) use link::NextPage;
#[cfg(any(test, fuzzing))]
pub(crate) use page::parse as parse_page;
