//! The profile `cxone`: NICE's published API, as in `docs/contract/cxone-published-openapi.yaml`, and the only place that
//! knows its paths, verbs and documents.
//!
//! UserHub knows an employee by a UUID, and ACD an agent by a number. An employee may be no agent; that counts only where
//! both say so.

mod access;
mod account;
mod agents;
mod client;
mod contacts;
mod documents;
mod facts;
mod giving_back;
mod known_agents;
mod lists;
mod numbers;
mod own;
mod own_key;
mod page_link;
mod paths;
mod reads;
mod repeated_writes;
mod routing;
mod survey;
mod survey_words;
mod tenant;
#[cfg(test)]
mod tests;
mod user_survey;

pub(crate) use client::Client;
