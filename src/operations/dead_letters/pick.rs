use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Letter, LetterId};
use crate::failure::Reason;
use crate::job::{BatchId, UserId};
use crate::ports::queue::{Broker, Delivery, QueueScan};
use crate::queue::QueueError;

/// Which letters are meant. What is empty picks all; the rest has to hold together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pick {
    /// Those with one of these names.
    pub ids: HashSet<LetterId>,
    /// Those of one of these users.
    pub users: HashSet<UserId>,
    pub batch: Option<BatchId>,
    /// Those given up for one of these reasons.
    pub reasons: Vec<Reason>,
    /// Those given up no earlier than then.
    pub since: Option<Timestamp>,
    /// So many of them: the oldest, where they are listed or taken off.
    pub limit: Option<usize>,
}

impl Pick {
    /// Whether it names letters or users, so that finding none is a bad answer.
    pub(crate) fn names_any(&self) -> bool {
        !self.ids.is_empty() || !self.users.is_empty()
    }

    /// Whether nothing is said: all letters are meant.
    pub(crate) fn is_all(&self) -> bool {
        !self.names_any() && self.batch.is_none() && self.reasons.is_empty() && self.since.is_none()
    }

    /// For the log of acts.
    pub(super) fn told(&self) -> Value {
        let (mut ids, mut users) = (Vec::from_iter(&self.ids), Vec::from_iter(&self.users));
        ids.sort_unstable();
        users.sort_unstable();
        json!({
            "letters": ids, "users": users, "batch": self.batch, "reasons": self.reasons,
            "since": self.since, "limit": self.limit,
        })
    }

    /// Whether this letter is meant, the limit aside.
    pub(crate) fn takes(&self, letter: &Letter) -> bool {
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && (self.users.is_empty()
                || letter
                    .user_id
                    .is_some_and(|user| self.users.contains(&user)))
            && (self.batch.is_none() || self.batch == letter.batch_id)
            && (self.reasons.is_empty() || self.reasons.contains(&letter.reason))
            && self
                .since
                .is_none_or(|since| letter.dead_lettered_at.is_some_and(|at| at >= since))
    }
}

/// One pass over the letters that stood in the queue when it began. Whatever it gives stays in the queue
/// unless it is acknowledged before [`Self::close`].
pub(crate) struct Pass(Box<dyn QueueScan>);

impl Pass {
    /// Begins at the head of the queue.
    pub(crate) async fn begin(broker: &dyn Broker) -> Result<Self, QueueError> {
        broker.scan_dead_letters().await.map(Self)
    }

    pub(crate) async fn next(&mut self) -> Result<Option<(Letter, Delivery)>, QueueError> {
        let delivery = self.0.next().await?;
        Ok(delivery.map(|delivery| (Letter::read(&delivery.envelope), delivery)))
    }

    /// Gives all back that was not acknowledged.
    pub(crate) async fn close(self) -> Result<(), QueueError> {
        self.0.close().await
    }
}

/// The letters that are meant, as they stand now, the oldest first; and how many more there are than the limit.
/// The queue's own order says nothing: what is given back is put in anyhow.
pub(crate) async fn look(
    broker: &dyn Broker,
    pick: &Pick,
) -> Result<(Vec<Letter>, usize), QueueError> {
    let mut letters = BTreeMap::new();
    let (mut seen, mut more) = (0_u64, 0);
    let mut pass = Pass::begin(broker).await?;
    while let Some((letter, _delivery)) = pass.next().await? {
        if pick.takes(&letter) {
            seen += 1;
            letters.insert((letter.dead_lettered_at, seen), letter);
            if pick.limit.is_some_and(|limit| letters.len() > limit) {
                letters.pop_last();
                more += 1;
            }
        }
    }
    pass.close().await?;
    Ok((letters.into_values().collect(), more))
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::envelope;
    use super::*;
    use crate::queue::headers::dead_letter;

    #[test]
    fn all_that_is_said_has_to_hold() {
        let user = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
        let body = format!(r#"{{"userId":"{user}","batchId":"b-1"}}"#);
        let headers = || {
            vec![
                (dead_letter::REASON, "api_rejected".into()),
                (dead_letter::AT, "2026-11-02T00:00:00Z".into()),
            ]
        };
        let letter = Letter::read(&envelope(&body, headers()));
        let all = Pick::default();
        assert!(all.is_all() && all.takes(&letter));
        let meant = Pick {
            ids: [letter.id.clone()].into(),
            users: [user.parse().unwrap()].into(),
            batch: "b-1".parse().ok(),
            reasons: vec![Reason::Poison, Reason::ApiRejected],
            since: "2026-11-02T00:00:00Z".parse().ok(),
            limit: None,
        };
        assert!(meant.takes(&letter) && meant.names_any() && !meant.is_all());
        let others = [
            Pick {
                ids: ["0123456789abcdef".parse().unwrap()].into(),
                ..meant.clone()
            },
            Pick {
                users: ["00000000-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()].into(),
                ..meant.clone()
            },
            Pick {
                batch: "b-2".parse().ok(),
                ..meant.clone()
            },
            Pick {
                reasons: vec![Reason::Poison],
                ..meant.clone()
            },
            Pick {
                since: "2026-11-02T00:00:01Z".parse().ok(),
                ..meant
            },
        ];
        assert!(others.iter().all(|other| !other.takes(&letter)));
        let malformed = Letter::read(&envelope("x", headers()));
        assert!(others.iter().all(|other| !other.takes(&malformed)));
    }
}
