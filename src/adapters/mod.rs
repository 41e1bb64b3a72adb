//! The outside world behind the ports. Each folder is the only place that names its vendor crate.

pub(crate) mod amqp;
mod aws;
#[cfg(test)]
mod conformance;
pub(crate) mod directory;
pub(crate) mod embedded;
pub(crate) mod genesys;
pub(crate) mod http;
#[cfg(feature = "kms")]
pub(crate) mod kms;
pub(crate) mod nice;
mod private;
mod proxy;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod stored_checkpoint;
mod tls;
pub(crate) mod tutorial;
