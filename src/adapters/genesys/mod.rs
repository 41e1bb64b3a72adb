//! The profile `genesys`: the API of `docs/contract/genesys-openapi.yaml`, and the only place that knows its paths, verbs
//! and documents.

mod access;
mod clearing;
mod client;
mod conversations;
mod deletion;
mod documents;
mod limits;
mod link;
mod lists;
mod paths;
mod reads;
mod routing;
mod tenant;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use client::{GenesysClient, GenesysOptions};
