//! The outside, made to fit the ports. Each folder is the only place that names its vendor crate.

pub mod amqp;
pub mod cxone;
pub mod directory;
pub mod embedded;
mod private;
pub mod redis;
pub mod s3;
