//! Which dead letters a command or a request means.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{DeadLetter, DeadLetterId};
use crate::failure::Reason;
use crate::job::{BatchId, UserId};

/// A filter of dead letters. Each member that is not empty has to match.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeadLetterFilter {
    pub ids: HashSet<DeadLetterId>,
    pub users: HashSet<UserId>,
    pub batch: Option<BatchId>,
    pub reasons: Vec<Reason>,
    /// Only dead letters since this time.
    pub since: Option<Timestamp>,
    /// The maximum number: the oldest, where dead letters are listed, replayed or discarded.
    pub limit: Option<usize>,
}

impl DeadLetterFilter {
    /// Whether it names dead letters or users, so that it is a problem to find none.
    pub(crate) fn names_any(&self) -> bool {
        !self.ids.is_empty() || !self.users.is_empty()
    }

    /// Whether it is empty, so that it matches all dead letters.
    pub(crate) fn is_all(&self) -> bool {
        !self.names_any() && self.batch.is_none() && self.reasons.is_empty() && self.since.is_none()
    }

    /// For the audit log.
    pub(super) fn to_json(&self) -> Value {
        let mut ids = Vec::from_iter(&self.ids);
        let mut users = Vec::from_iter(&self.users);
        ids.sort_unstable();
        users.sort_unstable();

        json!({
            "letters": ids, "users": users, "batch": self.batch, "reasons": self.reasons,
            "since": self.since, "limit": self.limit,
        })
    }

    /// Whether it matches this dead letter, apart from the limit.
    pub(crate) fn matches(&self, dead_letter: &DeadLetter) -> bool {
        let is_of_user = |user| self.users.contains(&user);
        let is_since = |since| dead_letter.dead_lettered_at.is_some_and(|at| at >= since);

        (self.ids.is_empty() || self.ids.contains(&dead_letter.id))
            && (self.users.is_empty() || dead_letter.user_id.is_some_and(is_of_user))
            && (self.batch.is_none() || self.batch == dead_letter.batch_id)
            && (self.reasons.is_empty() || self.reasons.contains(&dead_letter.reason))
            && self.since.is_none_or(is_since)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::tests::envelope;
    use super::*;
    use crate::queue::headers::dead_letter;

    #[test]
    fn each_given_member_has_to_match() {
        let user = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let body = format!(r#"{{"userId":"{user}","batchId":"b-1"}}"#);
        let headers = || {
            vec![
                (dead_letter::REASON, "api_rejected".into()),
                (dead_letter::AT, "2026-11-02T00:00:00Z".into()),
            ]
        };
        let dead_letter = DeadLetter::read(&envelope(&body, headers()));
        let all = DeadLetterFilter::default();
        assert!(all.is_all() && all.matches(&dead_letter));
        let meant = DeadLetterFilter {
            ids: [dead_letter.id.clone()].into(),
            users: [user.parse().unwrap()].into(),
            batch: "b-1".parse().ok(),
            reasons: vec![Reason::Poison, Reason::ApiRejected],
            since: "2026-11-02T00:00:00Z".parse().ok(),
            limit: None,
        };
        assert!(meant.matches(&dead_letter) && meant.names_any() && !meant.is_all());
        let others = [
            DeadLetterFilter {
                ids: ["0123456789abcdef".parse().unwrap()].into(),
                ..meant.clone()
            },
            DeadLetterFilter {
                users: ["00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()].into(),
                ..meant.clone()
            },
            DeadLetterFilter {
                batch: "b-2".parse().ok(),
                ..meant.clone()
            },
            DeadLetterFilter {
                reasons: vec![Reason::Poison],
                ..meant.clone()
            },
            DeadLetterFilter {
                since: "2026-11-02T00:00:01Z".parse().ok(),
                ..meant
            },
        ];
        assert!(others.iter().all(|other| !other.matches(&dead_letter)));
        let malformed = DeadLetter::read(&envelope("x", headers()));
        assert!(others.iter().all(|other| !other.matches(&malformed)));
    }
}
