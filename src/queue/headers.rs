//! The name of each header that we read or write. Some are part of the contract, and messages of earlier releases
//! carry them: the texts never change.

/// Each header that starts with this is ours. The allow-list drops it from messages that others published.
pub(crate) const OURS: &str = "x-offboarder-";

/// The job is not due before this: milliseconds since 1970.
pub(crate) const NOT_BEFORE: &str = "x-offboarder-not-before";
/// Milliseconds that a delayed job still has to wait when it comes back: the part of the delay that is longer than
/// its queue's. It depends on no clock, since the clock of the worker that delayed the job may be an hour ahead.
pub(crate) const DELAY_LEFT: &str = "x-offboarder-wait-left";
/// The login of a foreign publisher, as RabbitMQ checked it (property `user_id`).
pub(crate) const PUBLISHED_BY: &str = "x-offboarder-published-by";
/// Why a message is too large or too deep to be worked on, for people.
pub(crate) const REFUSED: &str = "x-offboarder-refused";
/// Which off-boarding of a user who came back the job is about.
pub(crate) const REVISION: &str = "x-offboarder-revision";
/// How many workers died with this message in flight before it was last requeued.
pub(crate) const DEATHS: &str = "x-offboarder-deaths";
/// The user is not held back for want of an order: its access is removed, or an operator replays it. It outlasts a Redis
/// that loses its data.
pub(crate) const ADMITTED: &str = "x-offboarder-admitted";
/// Milliseconds since 1970. The message is a placeholder for a job whose work was under way then; or it replays a
/// dead letter that was written just before.
pub(crate) const PLACEHOLDER_SINCE: &str = "x-offboarder-stand-in";
/// One or two spans, as `traceparent` has them, with a comma between: the delivery, or the replay, that this message
/// took the place of. They are links, since a job that waits has one trace and many deliveries.
pub(crate) const TRACE_LINK: &str = "x-offboarder-trace-link";

/// The part of an order of `submit` that names the user. Anybody may claim one, so it has no prefix of ours: workers read
/// the order. A publisher has a login of its own, whose headers with our prefix are dropped.
pub(crate) const ORDER: &str = "offboarding-order";

/// W3C trace context.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// W3C trace context.
pub(crate) const TRACESTATE: &str = "tracestate";

/// RabbitMQ's own: how often a quorum queue delivered the message before.
pub(crate) const DELIVERY_COUNT: &str = "x-delivery-count";
/// RabbitMQ's own: how it dead-lettered the message.
pub(crate) const DEATH: &str = "x-death";

/// The headers of a dead letter; the first six are the contract's.
pub(crate) mod dead_letter {
    /// A [`crate::failure::Reason`].
    pub(crate) const REASON: &str = "x-offboarder-reason";
    /// The last failure, for people.
    pub(crate) const ERROR: &str = "x-offboarder-error";
    /// The last completed state; empty when it is not known.
    pub(crate) const STATE: &str = "x-offboarder-state";
    pub(crate) const ATTEMPTS: &str = "x-offboarder-attempts";
    pub(crate) const AT: &str = "x-offboarder-dead-lettered-at";
    pub(crate) const WORKER: &str = "x-offboarder-worker";
    /// The [`crate::failure::Code`] of the last failure, if it has one.
    pub(crate) const CODE: &str = "x-offboarder-code";
    /// The step that failed; empty when it is not known.
    pub(crate) const STEP: &str = "x-offboarder-step";
    /// How often this job was replayed. The replayed message keeps it, and so does the next dead letter.
    pub(crate) const REPLAYS: &str = "x-offboarder-replays";

    /// The fingerprint of the fault that was replayed last. The next dead letter keeps it: with the same fingerprint,
    /// the fault came back.
    pub(crate) const REPLAYED_FAULT: &str = "x-offboarder-replayed-fault";
    /// When that replay began (RFC 3339).
    pub(crate) const REPLAYED_AT: &str = "x-offboarder-replayed-at";

    /// The headers that a replay drops: they describe only this dead letter.
    pub(crate) const OF_THIS_DEAD_LETTER: [&str; 9] = [
        REASON,
        ERROR,
        STATE,
        ATTEMPTS,
        AT,
        WORKER,
        CODE,
        STEP,
        super::REFUSED,
    ];
}
