//! The outside world behind the ports. Each folder is the only place that names its vendor crate.

pub(crate) mod amqp;
pub(crate) mod cxone;
pub(crate) mod directory;
pub(crate) mod embedded;
mod private;
pub(crate) mod redis;
pub(crate) mod s3;
pub(crate) mod stored_checkpoint;
