//! Calls about what routes work to a user: queues, the groups that they come from, and skills.

use reqwest::Method;
use uuid::Uuid;

use super::client::{GenesysClient, is_conflict};
use super::documents::{Group, GroupKind, Queue, QueueWire, Skill};
use super::lists::Listed;
use crate::adapters::http::{ApiError, Reply, Request, Write, is_the_apis};
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Answered, QuotaClass};

pub(super) const ASSIGN_SKILLS: &str = "routing:skill:assign";
/// How often a group is asked that changes at that moment.
const TRIES: usize = 3;

/// How the API answered that a user leaves something.
pub(super) enum Leaving {
    /// Accepted, or the user was no member.
    Left,
    /// It does not let the user go, e.g. since a rule selects its members.
    Refused,
}

impl GenesysClient {
    /// The queues that the user is a member of, joined or not. The API hides the second half by default.
    pub(super) async fn read_queues(&self, user_id: UserId) -> Result<Listed<Queue>, ApiError> {
        let user = user_id.to_string();
        let mut queues: Vec<Queue> = Vec::new();
        let mut calls = Vec::new();

        for joined in [true, false] {
            let listed: Listed<QueueWire> = self
                .list(
                    "routing:queue:view",
                    |page| self.paths().queues(&user, joined, page),
                    |queue: &QueueWire| queue.id(),
                )
                .await?;
            calls.extend(listed.calls.into_iter().map(|call| Call {
                note: Some(match call.note {
                    Some(note) => format!("joined={joined}: {note}"),
                    None => format!("joined={joined}"),
                }),
                ..call
            }));

            let Some(items) = listed.items else {
                return Ok(Listed { items: None, calls });
            };
            for queue in items.into_iter().map(Queue::from) {
                if queues.iter().all(|known| known.id != queue.id) {
                    queues.push(queue);
                }
            }
        }
        Ok(Listed {
            items: Some(queues),
            calls,
        })
    }

    pub(super) async fn read_skills(&self, user_id: UserId) -> Result<Listed<Skill>, ApiError> {
        let user = user_id.to_string();
        self.list(
            ASSIGN_SKILLS,
            |page| self.paths().skills(&user, page),
            |skill: &Skill| skill.id,
        )
        .await
    }

    /// Takes the user from a queue that no group puts the user into.
    pub(super) async fn leave_queue(
        &self,
        user_id: UserId,
        queue: Uuid,
    ) -> Result<Answered<Write>, ApiError> {
        let request = self.queue_request(user_id, queue)?;
        self.write("delete_queue_member", request).await
    }

    /// Takes the user from a queue that a group may put the user into: then the API may refuse.
    pub(super) async fn leave_queue_of_groups(
        &self,
        user_id: UserId,
        queue: Uuid,
    ) -> Result<Answered<Leaving>, ApiError> {
        let request = self.queue_request(user_id, queue)?;
        self.leave(request).await
    }

    fn queue_request(&self, user_id: UserId, queue: Uuid) -> Result<Request<'static>, ApiError> {
        let url = self.paths().queue_member(queue, &user_id.to_string())?;
        Ok(leaves(url, "routing:queueMember:manage"))
    }

    /// `None` for a group of a kind that cannot be left.
    pub(super) async fn leave_group(
        &self,
        user_id: UserId,
        group: &Group,
    ) -> Result<Option<Answered<Leaving>>, ApiError> {
        let user = user_id.to_string();
        let request = match &group.kind {
            GroupKind::Group => {
                let url = self.paths().group_member(group.id, &user)?;
                // The document names no permission for it.
                leaves(url, "to edit groups")
            }
            GroupKind::Team => {
                let url = self.paths().team_member(group.id, &user)?;
                leaves(url, "groups:team:assign")
            }
            GroupKind::Other(_) => return Ok(None),
        };
        self.leave(request).await.map(Some)
    }

    async fn leave(&self, request: Request<'static>) -> Result<Answered<Leaving>, ApiError> {
        let mut reply = self.try_write(request.clone()).await?;
        for _ in 1..TRIES {
            if !is_conflict(&reply) {
                break;
            }
            self.api.pause().await;
            reply = self.try_write(request.clone()).await?;
        }

        let value = leaving(&reply)?;
        Ok(Answered {
            value,
            call: reply.call,
        })
    }

    /// Takes all skills from the user.
    pub(super) async fn drop_skills(&self, user_id: UserId) -> Result<Answered<Write>, ApiError> {
        let url = self.paths().all_skills(&user_id.to_string())?;
        let request = Request {
            removes_access: true,
            body: Some(b"[]".to_vec()),
            ..Request::write(Method::PUT, url, QuotaClass::Routing, ASSIGN_SKILLS)
        };
        self.write("put_skills", request).await
    }
}

fn leaves(url: url::Url, scope: &'static str) -> Request<'static> {
    Request {
        removes_access: true,
        ..Request::write(Method::DELETE, url, QuotaClass::Routing, scope)
    }
}

fn leaving(reply: &Reply) -> Result<Leaving, ApiError> {
    match reply.status() {
        200..=299 => Ok(Leaving::Left),
        _ if reply.says_missing() => Ok(Leaving::Left),
        400..=499 if is_the_apis(&reply.body) => Ok(Leaving::Refused),
        _ => Err(reply.refusal()),
    }
}
