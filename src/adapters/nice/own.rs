//! Whose credentials we call with: the service employee whose access key it is. No run may touch it, or no user could be
//! off-boarded any more.

use serde_json::Value;

use super::client::{Client, get, lacks, object, right};
use super::documents::{Members, parse_user_of};
use super::numbers::Number;
use crate::adapters::http::ApiError;
use crate::failure::{Class, Code, Failure, Reason};
use crate::job::UserId;

impl Client {
    /// Whom the token names, by its agent or by its user; `None` where it does neither. A claim alone is no proof.
    pub(super) async fn own_user(&self) -> Result<Option<UserId>, Failure> {
        let Some(Value::Object(claims)) = self.api.claims().await? else {
            return Ok(None);
        };
        if let Some(agent) = agent_of(&claims)
            && let Some(user_id) = self.user_of_agent(agent).await?
        {
            return Ok(Some(user_id));
        }

        Ok(["userId", "sub"].into_iter().find_map(|claim| {
            let text = claims.get(claim)?.as_str()?;
            // Also in the form `user:UUID`.
            text.rsplit(':').next()?.parse::<UserId>().ok()
        }))
    }

    async fn user_of_agent(&self, agent: Number) -> Result<Option<UserId>, Failure> {
        let known = *self.own.resolved.lock();
        if let Some((_, user_id)) = known.filter(|(known, _)| *known == agent) {
            return Ok(user_id);
        }

        let user_id = unless_refused("our own agent", self.read_user_of(agent).await, None)?;
        *self.own.resolved.lock() = Some((agent, user_id));
        Ok(user_id)
    }

    async fn read_user_of(&self, agent: Number) -> Result<Option<UserId>, ApiError> {
        let request = get(self.paths().agent(agent)?, right::VIEW_AGENTS);
        let reply = self.api.send(request).await?;
        match reply.status() {
            200 => {
                let members = object(&reply, right::VIEW_AGENTS)?;
                parse_user_of(&members, agent).map_err(|why| reply.unreadable(why))
            }
            204 => Ok(None),
            _ if reply.says_missing() => Ok(None),
            _ => Err(reply.refusal()),
        }
    }

    /// Fails where the user is the one whose credentials these are. Where the user whom the token names does not have our
    /// access key, the keys of each user are compared with it.
    pub(super) async fn is_not_our_own(&self, user_id: UserId) -> Result<(), Failure> {
        let named = self.own_user().await?;
        if named == Some(user_id) {
            return Err(our_own());
        }
        let is_proven = match named {
            Some(named) => self.is_proven(named).await?,
            None => false,
        };
        if is_proven || self.own.key.is_none() {
            return Ok(());
        }

        let keys = self.read_keys(user_id, &mut Vec::new()).await?;
        if keys.iter().any(|key| self.own.is_key(&key.id)) {
            return Err(our_own());
        }
        Ok(())
    }

    async fn is_proven(&self, named: UserId) -> Result<bool, Failure> {
        let known = *self.own.proven.lock();
        if let Some((_, is_proven)) = known.filter(|(known, _)| *known == named) {
            return Ok(is_proven);
        }

        let keys = match self.read_keys(named, &mut Vec::new()).await {
            // That is no fault of the user whose turn it is.
            Err(ApiError::Rejected {
                what, status: 403, ..
            }) => Err(lacks(what, right::VIEW_KEYS)),
            keys => keys,
        };
        let keys = unless_refused("our own access keys", keys, Vec::new())?;
        let is_proven = keys.iter().any(|key| self.own.is_key(&key.id));
        *self.own.proven.lock() = Some((named, is_proven));
        Ok(is_proven)
    }
}

/// What a read of our own employee came to. A refusal of it is no fault of the user whose turn it is: then nothing is known
/// of our own employee, and the keys of each user are compared.
fn unless_refused<T>(what: &str, read: Result<T, ApiError>, unknown: T) -> Result<T, Failure> {
    let failure = match read {
        Ok(value) => return Ok(value),
        Err(error) => Failure::from(error),
    };
    if !matches!(failure.class, Class::Permanent(_)) {
        return Err(failure);
    }
    tracing::warn!(%failure, "{what} cannot be read; whether a user is our own employee, its access keys show");
    Ok(unknown)
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
