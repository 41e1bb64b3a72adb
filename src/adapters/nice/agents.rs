//! Which number ACD has for a user. That a user is no agent counts only where UserHub names no agent either: otherwise
//! a missing right would pass for an empty history.

use super::client::{Client, get, object, right};
use super::documents::{Agent, parse_agent};
use super::known_agents::AgentOf;
use crate::adapters::http::ApiError;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::Answered;

impl Client {
    /// One read of ACD. `None`: it has no agent of this user, which by itself proves nothing.
    pub(super) async fn read_agent(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<Agent>>, ApiError> {
        const CALL: &str = "get_agent";

        let request = get(self.paths().agent(user_id)?, right::VIEW_AGENTS);
        let reply = self.api.send(request).await?;
        let value = match reply.status() {
            200 => {
                let members = object(&reply, right::VIEW_AGENTS)?;
                parse_agent(&members, user_id).map_err(|why| reply.unreadable(why))?
            }
            204 => None,
            _ if reply.says_missing() => None,
            _ => return Err(self.refuse(CALL, user_id, &reply)),
        };
        self.api.succeeded(CALL);
        Ok(Answered {
            value,
            call: reply.call,
        })
    }

    /// Reads the agent of a user, and where there is none, whether UserHub says the same.
    pub(super) async fn find_agent(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<AgentOf, ApiError> {
        let read = self.read_agent(user_id).await?;
        let found = match read.value {
            Some(agent) => {
                calls.push(read.call);
                AgentOf::Number(agent.number)
            }
            None => self.without_agent(user_id, read.call, calls).await?,
        };
        self.agents.keep(user_id, found);
        Ok(found)
    }

    async fn without_agent(
        &self,
        user_id: UserId,
        no_agent: Call,
        calls: &mut Vec<Call>,
    ) -> Result<AgentOf, ApiError> {
        const CALL: &str = "find_agent";

        let user = self.read_user(user_id).await?;
        let is_agent = user.value.map(|user| user.is_agent);
        if let None | Some(Some(false)) = is_agent {
            calls.extend([no_agent, user.call]);
            return Ok(match is_agent {
                None => AgentOf::UserGone,
                Some(_) => AgentOf::Nobody,
            });
        }

        self.api.pause().await;
        let again = self.read_agent(user_id).await?;
        if let Some(agent) = again.value {
            calls.push(again.call);
            return Ok(AgentOf::Number(agent.number));
        }
        let says = match is_agent {
            Some(Some(true)) => "names an agent in acdInfos",
            Some(Some(false) | None) | None => "has no list acdInfos that would be empty",
        };
        let refusal = ApiError::Withheld {
            what: format!("{} {}", again.call.method, again.call.path),
            status: again.call.status,
            why: format!(
                "and knows no agent of this user, twice, while UserHub {says}: the number of the agent is unknown, and \
                 nothing counts as empty; compare both in the admin console, and check that the role of the access key \
                 sees agents of all teams, also inactive ones"
            ),
            correlation_id: again.call.correlation_id.unwrap_or_default(),
        };
        Err(self.api.refused(CALL, &user_id.to_string(), refusal))
    }

    /// The same, where a number or its absence that was read a short time ago is enough. `before` is the number that was
    /// found while routing was cleared: it does not become "no agent", or an archive would be empty that is not.
    pub(super) async fn known_agent(
        &self,
        user_id: UserId,
        before: Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<AgentOf, ApiError> {
        let found = match self.agents.get(user_id) {
            Some(known @ AgentOf::Number(_)) => known,
            Some(AgentOf::Nobody) if before.is_none() => AgentOf::Nobody,
            Some(AgentOf::Nobody | AgentOf::UserGone) | None => {
                self.find_agent(user_id, calls).await?
            }
        };
        match (before, found) {
            (Some(before), AgentOf::Number(number)) if number.get() == before => Ok(found),
            (Some(before), _) => Err(self.other_agent(user_id, before, found)?),
            (None, _) => Ok(found),
        }
    }

    fn other_agent(
        &self,
        user_id: UserId,
        before: u64,
        found: AgentOf,
    ) -> Result<ApiError, ApiError> {
        let now = match found {
            AgentOf::Number(number) => format!("it is agent {number}"),
            AgentOf::Nobody => "it is no agent".to_owned(),
            AgentOf::UserGone => "there is no such user".to_owned(),
        };
        let refusal = ApiError::Withheld {
            what: format!("GET {}", self.paths().agent(user_id)?.path()),
            status: 200,
            why: format!(
                "and says with UserHub that {now}, where the user was agent {before} when its routing was cleared: neither \
                 its session nor its contacts count as none; compare both in the admin console"
            ),
            correlation_id: String::new(),
        };
        Ok(self
            .api
            .refused("find_agent", &user_id.to_string(), refusal))
    }

    /// The same, where only a number may be of before: its absence is read again, and is evidence.
    pub(super) async fn proven_agent(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<AgentOf, ApiError> {
        match self.agents.get(user_id) {
            Some(known @ AgentOf::Number(_)) => Ok(known),
            Some(AgentOf::Nobody | AgentOf::UserGone) | None => {
                self.find_agent(user_id, calls).await
            }
        }
    }
}
