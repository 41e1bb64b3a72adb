//! The client against small servers that answer as the OpenAPI document says, or as it leaves open.

mod access;
mod account;
mod agents;
mod contacts;
mod own;
mod reads;
mod routing;
mod server;
mod survey;
