//! What was seen of a user when the plan was made, and whether that is so still.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A plan as a whole stops if more than one user in this many moved.
const MOVED_ONE_IN: u64 = 20;
/// One user who moved stops no plan, however small.
const MOVED_AT_LEAST: u64 = 2;

/// What was read of a user
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Observed {
    /// SCIM `active`; `None` where the API does not show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// What routes work to the user: queues, skills, groups; in order.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Which off-boarding of the user it would be, from 1. A user who was off-boarded, and was hired again, has the next
    /// one.
    pub incarnation: u32,
}

/// How a user is not as the plan saw the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The user may sign in again.
    Active,
    Incarnation,
    /// The account has another name, so that it may be another person's.
    Name,
    /// Something routes work to the user that did not when the plan was made.
    Queue(String),
}

impl Moved {
    /// For people.
    pub(crate) fn as_text(&self) -> String {
        match self {
            Self::Active => "the user is active again".to_owned(),
            Self::Incarnation => "the user was off-boarded and hired again since".to_owned(),
            Self::Name => "the account has another user name".to_owned(),
            Self::Queue(queue) => {
                format!("the user is in a queue that the plan did not see: {queue}")
            }
        }
    }
}

impl Observed {
    /// How `now`, which is read after we removed the access, differs from this. That the user is inactive and in fewer
    /// queues is our own work.
    pub(crate) fn moved(&self, now: &Self) -> Option<Moved> {
        if now.active == Some(true) {
            return Some(Moved::Active);
        }
        self.differs(now)
    }

    /// The same, of a user whose access nobody removed yet.
    pub(crate) fn differs(&self, now: &Self) -> Option<Moved> {
        if self.incarnation != now.incarnation {
            return Some(Moved::Incarnation);
        }
        // An API may stop showing the name of an account that is inactive.
        if now.user_name.is_some() && self.user_name != now.user_name {
            return Some(Moved::Name);
        }
        if self.active == Some(false) && now.active == Some(true) {
            return Some(Moved::Active);
        }
        let gained = now.queues.iter().find(|queue| !self.queues.contains(queue));
        gained.cloned().map(Moved::Queue)
    }
}

/// Whether too many users of a plan moved, and the plan as a whole stops.
pub(crate) const fn is_stale(moved: u64, deletions: u64) -> bool {
    moved >= MOVED_AT_LEAST && moved.saturating_mul(MOVED_ONE_IN) > deletions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Observed {
        Observed {
            active: Some(true),
            user_name: Some("ada@example.com".to_owned()),
            queues: vec!["a".to_owned(), "b".to_owned()],
            incarnation: 1,
        }
    }

    #[test]
    fn what_we_did_ourselves_is_no_move() {
        let now = Observed {
            active: Some(false),
            queues: Vec::new(),
            ..seen()
        };
        assert_eq!(seen().moved(&now), None);
        let unnamed = Observed {
            active: None,
            user_name: None,
            queues: vec!["b".to_owned()],
            incarnation: 1,
        };
        assert_eq!(seen().moved(&unnamed), None);
        assert_eq!(seen().differs(&seen()), None);
    }

    #[test]
    fn a_user_who_is_back_or_has_more_moved() {
        let inactive = || Observed {
            active: Some(false),
            ..seen()
        };
        assert_eq!(seen().moved(&seen()), Some(Moved::Active));
        assert_eq!(inactive().differs(&seen()), Some(Moved::Active));
        let mut now = inactive();
        now.incarnation = 2;
        assert_eq!(seen().moved(&now), Some(Moved::Incarnation));
        let mut now = inactive();
        now.user_name = Some("bob@example.com".to_owned());
        assert_eq!(seen().moved(&now), Some(Moved::Name));
        let mut now = inactive();
        now.queues.push("c".to_owned());
        assert_eq!(seen().moved(&now), Some(Moved::Queue("c".to_owned())));
    }

    #[test]
    fn more_than_one_user_in_twenty_stops_the_plan_and_one_alone_does_not() {
        assert!(!is_stale(1, 1));
        assert!(is_stale(2, 2));
        assert!(is_stale(2, 39));
        assert!(!is_stale(2, 40));
        assert!(!is_stale(50, 1000));
        assert!(is_stale(51, 1000));
    }
}
