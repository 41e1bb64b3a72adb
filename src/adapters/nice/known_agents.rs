//! Which number ACD has for a user, as it was read a short time ago.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::numbers::Number;
use crate::job::UserId;

/// Long enough for a step, and for the one after it. A crash costs one more read.
const KNOWN_FOR: Duration = Duration::from_mins(10);
const MOST_KNOWN: usize = 10_000;

/// What ACD has for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentOf {
    Number(Number),
    /// Neither ACD nor UserHub has an agent of the user.
    Nobody,
    /// Neither of the two knows the user.
    UserGone,
}

/// What was read a short time ago.
#[derive(Default)]
pub(super) struct KnownAgents(Mutex<HashMap<UserId, (AgentOf, Instant)>>);

impl KnownAgents {
    pub(super) fn get(&self, user_id: UserId) -> Option<AgentOf> {
        let known = self.0.lock();
        let (agent, at) = known.get(&user_id)?;
        (at.elapsed() < KNOWN_FOR).then_some(*agent)
    }

    pub(super) fn keep(&self, user_id: UserId, agent: AgentOf) {
        let mut known = self.0.lock();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(user_id, (agent, Instant::now()));
    }
}
