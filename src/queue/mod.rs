//! Messages in our own types: what a message carries, the name of each header, exchange and queue, and the allow-list
//! that decides which headers of a publisher count. Pure: only `adapters::amqp` speaks to RabbitMQ.

mod allow_list;
mod delay;
mod envelope;
mod error;
mod fingerprint;
pub(crate) mod headers;
pub(crate) mod names;
mod properties;
pub(crate) mod redelivery;
mod successor;
mod trace;
mod value;

#[cfg(any(test, fuzzing))]
pub(crate) use allow_list::{MAX_HEADER_BYTES, MAX_SHOWN_BYTES, SHOWN_DEPTH, weight_of};
pub(crate) use allow_list::{admit, admit_dead_letter};
pub(crate) use delay::delay_headers;
pub(crate) use envelope::{Envelope, Incoming};
pub(crate) use error::QueueError;
pub(crate) use fingerprint::fingerprint;
pub(crate) use properties::{AddedHeaders, Properties};
pub(crate) use successor::{bare, event_properties, successor, without_dead_letter};
pub(crate) use trace::{delivery_span, following, onward, replayed};
pub(crate) use value::HeaderValue;
