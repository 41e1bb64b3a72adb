//! What only a real user shows: how groups and roles are shown, and what is found of a deleted user. Reads only.

use serde_json::Value;

use super::client::GenesysClient;
use super::documents::{UserState, parse_user};
use super::limits::over_limit;
use crate::adapters::http::{ApiError, observed, rows, seen, status_of};
use crate::job::UserId;
use crate::ports::{Observation, STATE_OF_USER, Seen};

const BY_GROUPS: &str = "memberships by group among the queues";
const CONVERSATIONS: &str = "conversations of a deleted user";
const ROLES: &str = "roles of the user";

impl GenesysClient {
    pub(super) async fn survey_user(&self, user_id: UserId) -> Vec<Observation> {
        let state = match self.state_of(user_id).await {
            Ok(state) => state,
            Err(error) => return vec![observed(None, STATE_OF_USER, Seen::Failed(error.into()))],
        };
        let shown = match state {
            None => Seen::Unknown("the API does not know the user, deleted or not".to_owned()),
            Some(state) => Seen::Fact(word_of(state).to_owned()),
        };
        let (groups, roles, conversations) = tokio::join!(
            self.queues_by_groups(user_id),
            self.roles_left(user_id, state),
            self.conversations_found(user_id, state),
        );
        vec![
            observed(None, STATE_OF_USER, shown),
            observed(Some("genesys-4"), BY_GROUPS, seen(groups)),
            observed(Some("genesys-7"), CONVERSATIONS, seen(conversations)),
            observed(Some("genesys-8"), ROLES, seen(roles)),
        ]
    }

    /// Of a deleted user, too.
    async fn state_of(&self, user_id: UserId) -> Result<Option<UserState>, ApiError> {
        let user = user_id.to_string();
        for url in [self.paths().user(&user), self.paths().deleted_user(&user)] {
            let reply = self.brief(url).await?;
            match reply.status() {
                200 => {
                    let user = parse_user(user_id, &reply.body);
                    return match user {
                        Ok(user) => Ok(Some(user.state)),
                        Err(why) => Err(reply.unreadable(why)),
                    };
                }
                _ if reply.says_missing() => {}
                _ => return Err(reply.refusal()),
            }
        }
        Ok(None)
    }

    async fn queues_by_groups(&self, user_id: UserId) -> Result<Seen, ApiError> {
        let Some(queues) = self.read_queues(user_id).await?.items else {
            return Ok(Seen::Unknown("the user has no list of queues".to_owned()));
        };
        let by_groups = queues
            .iter()
            .filter(|queue| !queue.groups.is_empty())
            .count();
        let count = queues.len();
        Ok(if by_groups == 0 {
            Seen::Unknown(format!(
                "none of {count} queues has its members by groups; ask with a user who is in one by a group"
            ))
        } else {
            Seen::Fact(format!(
                "{by_groups} of {count} listed queues have members by groups"
            ))
        })
    }

    async fn roles_left(
        &self,
        user_id: UserId,
        state: Option<UserState>,
    ) -> Result<Seen, ApiError> {
        let state = match state {
            Some(state @ (UserState::Active | UserState::Inactive)) => word_of(state),
            Some(UserState::Deleted) | None => {
                return Ok(Seen::Unknown("the user is deleted, or unknown".to_owned()));
            }
        };
        let reply = self.brief(self.paths().roles(&user_id.to_string())).await?;
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let roles = body
            .get("authorization")
            .and_then(|authorization| authorization.get("roles"))
            .and_then(Value::as_array);
        Ok(match (reply.status(), roles) {
            (200, Some(roles)) => Seen::Fact(format!("{state}, with {} roles", roles.len())),
            (200, None) => Seen::Unknown(format!("{state}; the answer does not show them")),
            _ => Seen::Unknown(format!(
                "{state}; the read of them answers {}",
                status_of(&reply)
            )),
        })
    }

    /// How many the newest window has.
    async fn conversations_found(
        &self,
        user_id: UserId,
        state: Option<UserState>,
    ) -> Result<Seen, ApiError> {
        let query = self.query(&user_id.to_string(), self.whole_window(), 1, 1)?;
        let reply = self.api.send(query).await?;
        if let Some(error) = over_limit(&reply) {
            return Err(error);
        }
        if reply.status() != 200 {
            return Err(reply.refusal());
        }
        let page = rows(&reply.body, "conversations").map_err(|why| reply.unreadable(why))?;
        let hits: Option<u64> = page
            .member("totalHits")
            .map_err(|why| reply.unreadable(why))?;
        let hits = hits.ok_or_else(|| reply.unreadable("totalHits is missing"))?;

        let days = self.window_days.unwrap_or(1);
        let found = format!("{hits} found in the last {days} whole days");
        Ok(match state {
            Some(UserState::Deleted) if hits > 0 => Seen::Fact(found),
            Some(UserState::Deleted) => Seen::Unknown(format!(
                "{found}; ask with a deleted user who had conversations on them"
            )),
            Some(UserState::Active | UserState::Inactive) | None => {
                Seen::Unknown(format!("the user is not deleted; {found}"))
            }
        })
    }
}

const fn word_of(state: UserState) -> &'static str {
    match state {
        UserState::Active => "active",
        UserState::Inactive => "inactive",
        UserState::Deleted => "deleted",
    }
}
