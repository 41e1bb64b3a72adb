//! Takes the user out of routing: which writes, in which order.

use std::collections::HashSet;

use uuid::Uuid;

use super::client::GenesysClient;
use super::documents::{Group, GroupKind, Queue};
use super::lists::Listed;
use super::routing::Leaving;
use crate::adapters::http::{Conflicts, Write};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Call, Residual};
use crate::ports::{Answered, RoutingWrites, UNKNOWN_ROUTING, keep};

/// A queue that the user is a member of.
pub(super) const QUEUE_MEMBER: &str = "queue_member";
/// A queue whose members come from groups, at least in part.
pub(super) const GROUP_QUEUE_MEMBER: &str = "group_queue_member";
pub(super) const SKILL: &str = "skill";

/// The note of an accepted DELETE of a membership that a group may have brought.
pub(super) const OF_GROUPS: &str = "a queue that also has its members by groups";
pub(super) const REFUSED: &str = "refused; what the user is still a member of is read again";

/// What a list of the user says.
enum Known<T> {
    Listed(Vec<T>),
    /// The user does not exist any more, and neither does the list.
    UserGone,
    /// The user exists and the list does not: what routes work to the user cannot be found out.
    Missing,
}

impl GenesysClient {
    /// Takes the user from its queues, from the groups that keep it in queues, and takes its skills. Each write names what
    /// it takes away, so that a repetition is harmless and a crash in between loses nothing.
    pub(super) async fn clear_user(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        let queues = match self.queues_of(user_id, calls).await? {
            Known::Listed(queues) => queues,
            Known::UserGone => return Ok(RoutingWrites::UserGone),
            Known::Missing => return Ok(RoutingWrites::Unknown(unknown(user_id))),
        };
        for queue in &queues {
            self.leave_one(user_id, queue, calls).await?;
        }

        if queues.iter().any(|queue| !queue.groups.is_empty())
            && let Known::Listed(left) = self.queues_of(user_id, calls).await?
        {
            self.leave_groups_of(user_id, &left, calls).await?;
        }
        self.clear_skills(user_id, calls).await
    }

    async fn leave_one(
        &self,
        user_id: UserId,
        queue: &Queue,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        const WHAT: &str = "membership in a queue";

        if !queue.groups.is_empty() {
            let first = calls.len();
            keep_leaving(calls, self.leave_queue_of_groups(user_id, queue.id).await?);
            for call in calls.iter_mut().skip(first) {
                call.note.get_or_insert_with(|| OF_GROUPS.to_owned());
            }
            return Ok(());
        }
        let mut conflicts = Conflicts::default();
        loop {
            match keep(calls, self.leave_queue(user_id, queue.id).await?) {
                Write::Done | Write::Shown | Write::Gone => return Ok(()),
                Write::Conflict => conflicts.met(None, WHAT)?,
            }
        }
    }

    /// Leaves the groups that keep the user in these queues, each once.
    async fn leave_groups_of(
        &self,
        user_id: UserId,
        queues: &[Queue],
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        if !self.leave_groups {
            return Ok(());
        }

        let mut left: HashSet<Uuid> = HashSet::new();
        for group in queues.iter().flat_map(|queue| &queue.groups) {
            if left.insert(group.id)
                && let Some(answered) = self.leave_group(user_id, group).await?
            {
                keep_leaving(calls, answered);
            }
        }
        Ok(())
    }

    async fn clear_skills(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        const WHAT: &str = "list of skills";
        let accepted = RoutingWrites::Accepted {
            released: Vec::new(),
        };

        let mut conflicts = Conflicts::default();
        loop {
            let listed = self.read_skills(user_id).await?;
            match self.known(user_id, listed, calls).await? {
                Known::Listed(skills) if skills.is_empty() => return Ok(accepted),
                Known::Listed(_) => {}
                Known::UserGone => return Ok(RoutingWrites::UserGone),
                Known::Missing => return Ok(RoutingWrites::Unknown(unknown(user_id))),
            }
            match keep(calls, self.drop_skills(user_id).await?) {
                Write::Done | Write::Shown => return Ok(accepted),
                Write::Gone => conflicts.vanished(WHAT)?,
                Write::Conflict => conflicts.met(None, WHAT)?,
            }
        }
    }

    /// What still routes work to the user.
    pub(super) async fn still_routing(
        &self,
        user_id: UserId,
        proof: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        let queues = match self.queues_of(user_id, proof).await? {
            Known::Listed(queues) => queues,
            Known::UserGone => return Ok(Vec::new()),
            Known::Missing => return Ok(vec![unknown(user_id)]),
        };
        let listed = self.read_skills(user_id).await?;
        let skills = match self.known(user_id, listed, proof).await? {
            Known::Listed(skills) => skills,
            Known::UserGone => return Ok(Vec::new()),
            Known::Missing => return Ok(vec![unknown(user_id)]),
        };

        let queues = queues.iter().map(|queue| self.queue_left(queue));
        let skills = skills.iter().map(|skill| Residual {
            kind: SKILL.to_owned(),
            reference: skill.id.to_string(),
            note: Some("still there when it was read back".to_owned()),
        });
        Ok(queues.chain(skills).collect())
    }

    fn queue_left(&self, queue: &Queue) -> Residual {
        let reference = queue.id.to_string();
        if queue.groups.is_empty() {
            return Residual {
                kind: QUEUE_MEMBER.to_owned(),
                reference,
                note: Some("still there when it was read back".to_owned()),
            };
        }

        let groups: Vec<String> = queue
            .groups
            .iter()
            .map(|group| format!("{}, {}", group.shown(), self.why_left(group)))
            .collect();
        Residual {
            kind: GROUP_QUEUE_MEMBER.to_owned(),
            reference,
            note: Some(format!(
                "a member directly or by {}",
                groups.join("; or by ")
            )),
        }
    }

    fn why_left(&self, group: &Group) -> &'static str {
        match group.kind {
            GroupKind::Other(_) => {
                "which cannot be left by a call: change what selects its members"
            }
            GroupKind::Group | GroupKind::Team if self.leave_groups => {
                "which the user leaves; if it stays a member, a rule may select the members"
            }
            GroupKind::Group | GroupKind::Team => {
                "which is not left, since OFFBOARDER_CXONE_LEAVE_GROUPS is false"
            }
        }
    }

    async fn queues_of(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Known<Queue>, Failure> {
        let listed = self.read_queues(user_id).await?;
        self.known(user_id, listed, calls).await
    }

    async fn known<T>(
        &self,
        user_id: UserId,
        listed: Listed<T>,
        calls: &mut Vec<Call>,
    ) -> Result<Known<T>, Failure> {
        calls.extend(listed.calls);
        if let Some(items) = listed.items {
            return Ok(Known::Listed(items));
        }
        Ok(if keep(calls, self.exists(user_id).await?) {
            Known::Missing
        } else {
            Known::UserGone
        })
    }
}

fn keep_leaving(calls: &mut Vec<Call>, answered: Answered<Leaving>) {
    let note = match answered.value {
        Leaving::Left => None,
        Leaving::Refused => Some(REFUSED.to_owned()),
    };
    calls.push(Call {
        note,
        ..answered.call
    });
}

fn unknown(user_id: UserId) -> Residual {
    Residual {
        kind: UNKNOWN_ROUTING.to_owned(),
        reference: user_id.to_string(),
        note: Some(
            "its queues or skills answer 404 though the user exists, so that they are unknown"
                .to_owned(),
        ),
    }
}
