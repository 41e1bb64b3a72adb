use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Letter, LetterId, Pass};
use crate::ports::queue::{Broker, Delivery};
use crate::queue::QueueError;

/// How long letters that are not meant are out of everybody's sight.
const HELD: Duration = Duration::from_secs(30);

/// Gives the letters of a set that was frozen before, each once, in as many passes as that takes: a broker
/// takes offence at deliveries that are held for long. Letters that arrive meanwhile are not among them.
pub(super) struct Sweep<'a> {
    broker: &'a dyn Broker,
    wanted: HashSet<LetterId>,
    pass: Option<Pass>,
    found: bool,
    until: Instant,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(broker: &'a dyn Broker, letters: &[Letter]) -> Self {
        let wanted = letters.iter().map(|letter| letter.id.clone()).collect();
        Self {
            broker,
            wanted,
            pass: None,
            found: false,
            until: Instant::now(),
        }
    }

    /// The next of them; it goes back to the queue unless it is acknowledged. `None` when all were given, or
    /// the rest is not in the queue any more.
    pub(super) async fn next(&mut self) -> Result<Option<(Letter, Delivery)>, QueueError> {
        while !self.wanted.is_empty() {
            let mut pass = match self.pass.take() {
                Some(pass) if self.found && Instant::now() >= self.until => {
                    pass.close().await?;
                    self.begin().await?
                }
                Some(pass) => pass,
                None => self.begin().await?,
            };
            if let Some((letter, delivery)) = pass.next().await? {
                self.pass = Some(pass);
                if self.wanted.remove(&letter.id) {
                    self.found = true;
                    return Ok(Some((letter, delivery)));
                }
            } else {
                pass.close().await?;
                if !self.found {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    async fn begin(&mut self) -> Result<Pass, QueueError> {
        self.found = false;
        self.until = Instant::now() + HELD;
        Pass::begin(self.broker).await
    }

    /// Gives back what was not taken off; the names of those that were not found.
    pub(super) async fn close(self) -> Result<HashSet<LetterId>, QueueError> {
        if let Some(pass) = self.pass {
            pass.close().await?;
        }
        Ok(self.wanted)
    }
}
