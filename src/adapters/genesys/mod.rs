//! The profile `genesys`: the API of `docs/contract/genesys-openapi.yaml`, and the only place that knows its paths, verbs
//! and documents.

mod access;
mod clearing;
mod client;
mod conversations;
mod deletion;
mod documents;
mod giving_back;
mod grants;
mod limits;
mod link;
mod lists;
mod paths;
mod reads;
mod repeated_writes;
mod routing;
mod survey;
mod tenant;
#[cfg(test)]
mod tests;
mod user_survey;
mod users;

pub(crate) use client::{GenesysClient, GenesysOptions};
