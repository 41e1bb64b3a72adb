//! The three limits on how often a message is delivered again after a worker died with it in flight, in the order in
//! which they act. They count different things, so that no single counter can lose a message or keep a harmful one.

/// Deaths of workers or connections, as the message counts them ([`super::Envelope::deaths`]). From here on the
/// intake isolates the message: the worker runs it while nothing else is in flight, so that it harms no others if it
/// was the cause.
pub(crate) const SUSPICIOUS_DEATHS: i64 = 2;

/// Deaths of workers in a row, each after it claimed the user, which the checkpoint store counts. After this many the
/// driver gives the user up.
pub(crate) const POISON_DEATHS: u32 = 5;

/// RabbitMQ's own limit for a queue of jobs (`x-delivery-limit`): the last resort, for a message that never gets as
/// far as a claim, where [`POISON_DEATHS`] act. RabbitMQ dead-letters the
/// message without a reason of ours. A job queue's arguments cannot be changed later.
pub(crate) const BROKER_DELIVERY_LIMIT: i32 = 20;
