//! RabbitMQ: names, declarations, connections, publishing with confirms.

mod connection;
mod consumer;
mod dead_queue;
mod door;
mod error;
mod examine;
mod headers;
mod publisher;
mod topology;
mod trace;

pub(crate) use connection::Broker;
pub(crate) use consumer::{Intake, acknowledge};
pub(crate) use dead_queue::DeadQueue;
#[cfg(any(test, fuzzing))]
pub(crate) use door::admits;
pub(crate) use door::{bare, clean_headers};
pub(crate) use error::QueueError;
pub(crate) use examine::{TopologyFault, examine};
pub(crate) use headers::{
    Headers, as_long, event_properties, letter, long, plain, plain_properties, text, without_letter,
};
pub(crate) use lapin::BasicProperties;
pub(crate) use lapin::message::Delivery;
pub(crate) use publisher::Publisher;
pub(crate) use topology::{
    DEAD_EXCHANGE, DEAD_QUEUE, DEATHS_HEADER, EVENTS_EXCHANGE, EXCHANGE, REFUSED_HEADER,
    REVISION_HEADER, STAND_IN_HEADER, WAIT_HEADER, WAIT_LEFT_HEADER, WAITS, declare, wait_exchange,
    wait_for,
};
pub(crate) use trace::{delivery_span, following, onward, replayed};
