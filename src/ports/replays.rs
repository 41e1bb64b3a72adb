//! What is noted of replays, so that a crash leaves no doubt and the next assessment rests on what was seen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::job::UserId;

/// How far the replay of a dead letter got, for the next try after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplayNote {
    /// The broker has the message; only the dead letter has to be removed.
    pub published: bool,
    /// When the user's checkpoint was last saved before the message was published, if there was
    /// one.
    pub saved_before: Option<Timestamp>,
}

/// The last replay of a group of dead letters: whom to read to find out what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupReplay {
    /// When it began. Each message that it published carries the same time.
    pub at: Timestamp,
    /// How many messages it has published.
    pub count: u64,
    /// The first ones of them.
    pub followed: Vec<ReplayedUser>,
}

/// A user whose dead letter was replayed, and the checkpoint right before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplayedUser {
    pub user_id: UserId,
    /// The last completed state that the dead letter named; empty if unknown.
    pub state: String,
    pub saved_before: Option<Timestamp>,
    pub given_up_before: Option<Timestamp>,
}
