//! RabbitMQ's memory and disk alarms: it blocks connections that publish until the alarm is over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{Connection, Event};
use tokio::time::Instant;

/// Why the broker takes no messages, while it takes none: `low on memory`, `low on disk`.
#[derive(Clone, Default)]
pub(super) struct Alarm(Arc<parking_lot::Mutex<Blocked>>);

#[derive(Default)]
struct Blocked {
    because: Option<String>,
    /// When an alarm was last over.
    until: Option<Instant>,
}

impl Alarm {
    pub(super) fn set(&self, reason: Option<String>) {
        let mut blocked = self.0.lock();
        if blocked.because.is_some() && reason.is_none() {
            blocked.until = Some(Instant::now());
        }
        blocked.because = reason;
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.0.lock().because.clone()
    }

    /// Returns once what began at `since` had the time `within` without an alarm: a backpressure of the broker is no
    /// lost confirm.
    pub(super) async fn time_without_alarm(&self, since: Instant, within: Duration) {
        let mut until = since + within;
        loop {
            tokio::time::sleep_until(until).await;
            let now = Instant::now();
            let over = {
                let blocked = self.0.lock();
                if blocked.because.is_some() {
                    Some(now)
                } else {
                    blocked.until
                }
            };
            until = over.map_or(until, |over| over.max(since) + within);
            if until <= now {
                return;
            }
        }
    }

    /// Listens as long as the connection lives.
    pub(super) fn watch(&self, connection: &Connection) {
        let alarm = self.clone();
        let mut events = connection.events_listener();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(
                            reason,
                            "RabbitMQ takes no messages: work waits until its alarm is over"
                        );
                        alarm.set(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!("RabbitMQ takes messages again");
                        alarm.set(None);
                    }
                    Event::Error(_) => alarm.set(None),
                    _ => {}
                }
            }
        });
    }
}

/// Why an alarm blocks this connection; never ends while none does. RabbitMQ says so only to a connection that publishes.
pub(super) async fn blocked(connection: &Connection) -> String {
    let mut events = connection.events_listener();
    while let Some(event) = events.next().await {
        if let Event::ConnectionBlocked(reason) = event {
            return reason;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_confirm_has_its_time_without_the_time_of_an_alarm() {
        let alarm = Alarm::default();
        let begun = Instant::now();
        alarm.time_without_alarm(begun, WITHIN).await;
        assert_eq!(begun.elapsed().as_secs(), 30);

        let begun = Instant::now();
        let blocked = alarm.clone();
        let waiting = tokio::spawn(async move { alarm.time_without_alarm(begun, WITHIN).await });
        tokio::time::sleep(Duration::from_secs(10)).await;
        blocked.set(Some("low on memory".to_owned()));
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert!(!waiting.is_finished(), "an alarm is no lost confirm");
        blocked.set(None);
        let over = Instant::now();
        waiting.await.unwrap();
        assert_eq!(over.elapsed().as_secs(), 30);
    }
}
