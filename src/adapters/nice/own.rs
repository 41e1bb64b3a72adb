//! Whose credentials we call with: the service employee whose access key it is. No run may touch it, or no user could be
//! off-boarded any more.

use serde_json::Value;

use super::client::{Client, get, object, right};
use super::documents::{Members, parse_user_of};
use super::numbers::Number;
use crate::adapters::http::ApiError;
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;

impl Client {
    /// The token names its user or its agent; `None` where it does neither.
    pub(super) async fn own_user(&self) -> Result<Option<UserId>, ApiError> {
        let Some(Value::Object(claims)) = self.api.claims().await? else {
            return Ok(None);
        };
        let user_id = ["userId", "sub"].into_iter().find_map(|claim| {
            let text = claims.get(claim)?.as_str()?;
            // Also in the form `user:UUID`.
            text.rsplit(':').next()?.parse::<UserId>().ok()
        });
        if user_id.is_some() {
            return Ok(user_id);
        }

        match agent_of(&claims) {
            Some(agent) => self.user_of_agent(agent).await,
            None => Ok(None),
        }
    }

    async fn user_of_agent(&self, agent: Number) -> Result<Option<UserId>, ApiError> {
        let known = *self.own.resolved.lock();
        if let Some((_, user_id)) = known.filter(|(known, _)| *known == agent) {
            return Ok(Some(user_id));
        }

        let request = get(self.paths().agent(agent)?, right::VIEW_AGENTS);
        let reply = self.api.send(request).await?;
        let user_id = match reply.status() {
            200 => {
                let members = object(&reply, right::VIEW_AGENTS)?;
                parse_user_of(&members, agent).map_err(|why| reply.unreadable(why))?
            }
            204 => None,
            _ if reply.says_missing() => None,
            _ => return Err(reply.refusal()),
        };
        if let Some(user_id) = user_id {
            *self.own.resolved.lock() = Some((agent, user_id));
        }
        Ok(user_id)
    }

    /// Fails where the user is the one whose credentials these are. Where the token does not name it, its access keys do.
    pub(super) async fn is_not_our_own(&self, user_id: UserId) -> Result<(), Failure> {
        let is_own = match self.own_user().await? {
            Some(own) => own == user_id,
            None if self.own.key.is_none() => false,
            None => {
                let keys = self.read_keys(user_id, &mut Vec::new()).await?;
                keys.iter().any(|key| self.own.is_key(&key.id))
            }
        };
        if is_own { Err(our_own()) } else { Ok(()) }
    }
}

/// The agent that the claims of a token name.
pub(super) fn agent_of(claims: &Members) -> Option<Number> {
    match claims.get("icAgentId")? {
        Value::String(text) => Number::new(text.parse().ok()?),
        other => Number::of(other),
    }
}

pub(super) fn our_own() -> Failure {
    Failure::new(
        Class::Permanent(Reason::ProtectedUser),
        Code::ProtectedUser,
        "it owns the access key that offboarder calls the API with",
    )
}
