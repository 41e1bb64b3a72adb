//! RabbitMQ over AMQP 0-9-1: the only place that knows the client library.

mod alarm;
mod broker;
mod connection;
mod convert;
mod error;
mod examine;
mod hosts;
mod intake;
mod login;
mod management;
mod publisher;
mod scan;
mod service;
mod topology;

pub(crate) use broker::AmqpBroker;
#[cfg(any(test, fuzzing))]
pub(crate) use convert::admits;
