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

pub use connection::Broker;
pub use consumer::{Intake, acknowledge};
pub use dead_queue::DeadQueue;
pub(crate) use door::admits;
pub use door::{bare, clean_headers};
pub use error::QueueError;
pub use examine::{TopologyFault, examine};
pub use headers::{
    Headers, as_long, event_properties, letter, long, plain, plain_properties, text, without_letter,
};
pub use lapin::BasicProperties;
pub use lapin::message::Delivery;
pub use publisher::Publisher;
pub use topology::{
    DEAD_EXCHANGE, DEAD_QUEUE, DEATHS_HEADER, EVENTS_EXCHANGE, EXCHANGE, PUBLISHED_BY_HEADER,
    REFUSED_HEADER, REVISION_HEADER, STAND_IN_HEADER, Source, WAIT_HEADER, WAIT_LEFT_HEADER, WAITS,
    declare, wait_exchange, wait_for,
};
pub use trace::{LINK_HEADER, delivery_span, following, onward, replayed};
