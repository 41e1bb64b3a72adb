//! The names of our exchanges and queues, and the delays that have a queue. `docs/contract` fixes them: publishers,
//! dashboards and alerts use these names.

use std::time::Duration;

/// Takes jobs; the routing key of a [`crate::job::Source`] leads to its queue.
pub(crate) const JOBS_EXCHANGE: &str = "offboarding";
pub(crate) const DEAD_LETTER_EXCHANGE: &str = "offboarding.dead";
/// Keeps dead letters until an operator replays or discards them.
pub(crate) const DEAD_LETTER_QUEUE: &str = "offboarding.dead";
/// Takes result events. We bind no queue to it; systems that want the events do.
pub(crate) const EVENTS_EXCHANGE: &str = "offboarding.events";

const DELAYED: &str = "offboarding.wait.";

/// The delays that a job can have. Each has a queue of its own, because RabbitMQ expires messages only at the head
/// of a queue: a short delay behind a long one would last as long as the long one.
pub(crate) const DELAYS: [Duration; 8] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(2),
];

/// The longest delay that is not over `remaining`, or the shortest there is. A job that is not due when it comes
/// back is delayed again.
pub(crate) fn delay_for(remaining: Duration) -> Duration {
    let [shortest, ..] = DELAYS;
    DELAYS
        .into_iter()
        .rfind(|delay| *delay <= remaining)
        .unwrap_or(shortest)
}

/// The exchange of a delay, and the queue behind it. A message keeps its routing key there, so that RabbitMQ routes
/// it back to the queue that it came from.
pub(crate) fn delay_exchange(delay: Duration) -> String {
    format!("{DELAYED}{}s", delay.as_secs())
}

/// Whether jobs wait in a queue of this name, in this release or another.
pub(crate) fn is_delay(queue: &str) -> bool {
    queue.starts_with(DELAYED)
}

/// Whether `offboarder topology` declares a queue of this name, in this release or another.
pub(crate) fn is_ours(queue: &str) -> bool {
    queue.starts_with("offboarding.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_never_overshoots_except_for_the_shortest() {
        assert_eq!(delay_for(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(
            delay_for(Duration::from_millis(2999)),
            Duration::from_secs(1)
        );
        assert_eq!(delay_for(Duration::from_secs(3)), Duration::from_secs(3));
        assert_eq!(delay_for(Duration::from_secs(599)), Duration::from_mins(2));
        assert_eq!(
            delay_for(Duration::from_secs(1_000_000)),
            Duration::from_hours(2)
        );
    }
}
