//! Takes the user out of routing: out of the skills and groups of its agent. A team is a must and stays; its lead is a
//! record that routes nothing, so it is only noted.

use reqwest::Method;
use serde_json::json;

use super::client::{Client, object, removal, right};
use super::documents::failure_inside;
use super::known_agents::AgentOf;
use super::numbers::Number;
use crate::adapters::http::{ApiError, Reply, Request};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Call, Residual};
use crate::ports::RoutingWrites;

/// Kinds of residuals.
pub(super) const SKILL: &str = "skill";
pub(super) const GROUP: &str = "group";

/// The note of a removal that is refused because the account is inactive already.
const REFUSED: &str =
    "refused while the account is inactive already, so that nothing is routed there";

impl Client {
    /// Removes skill after skill and group after group. Whether they are gone, only the lists show.
    pub(super) async fn clear_agent(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        let agent = self.find_agent(user_id, calls).await?;
        if agent == AgentOf::UserGone {
            return Ok(RoutingWrites::UserGone);
        }
        self.is_not_our_own(user_id).await?;
        self.note_teams(user_id, calls).await;
        let AgentOf::Number(agent) = agent else {
            return Ok(accepted());
        };

        for skill in self.skills_of(user_id, agent, calls).await? {
            let url = self.paths().skill(skill, agent)?;
            let request = removal(Method::DELETE, url, right::EDIT_SKILLS, None);
            self.remove("remove_skill", user_id, request, calls).await?;
        }
        let members = json!({ "agents": [{ "agentId": agent.get() }] });
        for group in self.groups_of(user_id, agent, calls).await? {
            let url = self.paths().group(group)?;
            let request = removal(Method::DELETE, url, right::EDIT_GROUPS, Some(&members));
            self.remove("remove_from_group", user_id, request, calls)
                .await?;
        }
        Ok(accepted())
    }

    /// One removal. A refusal for an account that is inactive already fails nothing: what is left then shows as a residual.
    async fn remove(
        &self,
        name: &'static str,
        user_id: UserId,
        request: Request<'_>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        let reply = self.send_write(request).await?;
        let refusal = match reply.status() {
            200..=299 => match not_done(&reply)? {
                None => {
                    self.api.succeeded(name);
                    calls.push(reply.call);
                    return Ok(());
                }
                Some(why) => ApiError::Withheld {
                    what: reply.what.clone(),
                    status: reply.status(),
                    why,
                    correlation_id: reply.call.correlation_id.clone().unwrap_or_default(),
                },
            },
            // It was not there any more.
            404 | 410 if reply.says_missing() => {
                calls.push(reply.call);
                return Ok(());
            }
            _ => reply.refusal(),
        };

        let is_permanent = matches!(
            refusal,
            ApiError::Withheld { .. } | ApiError::Rejected { .. }
        );
        if is_permanent && self.is_inactive(user_id, calls).await? {
            calls.push(Call {
                note: Some(REFUSED.to_owned()),
                ..reply.call
            });
            return Ok(());
        }
        Err(self.api.refused(name, &user_id.to_string(), refusal).into())
    }

    async fn is_inactive(&self, user_id: UserId, calls: &mut Vec<Call>) -> Result<bool, ApiError> {
        let read = self.read_account(user_id).await?;
        calls.extend(read.calls);
        Ok(read.account.and_then(|account| account.active) == Some(false))
    }

    /// Notes beside the calls which teams the user leads. It stops nothing, so neither does a failure to find that out.
    async fn note_teams(&self, user_id: UserId, calls: &mut Vec<Call>) {
        let mut searches = Vec::new();
        let note = match self.teams_led_by(user_id, &mut searches).await {
            Ok(teams) if teams.is_empty() => None,
            Ok(teams) => Some(format!(
                "the user is the lead of the team {}: a record that routes nothing; name another lead",
                teams.join(", ")
            )),
            Err(error) => {
                tracing::warn!(%user_id, %error, "whether the user leads a team is unknown; nothing waits for it");
                Some(
                    "the teams could not be read: whether the user leads one is unknown".to_owned(),
                )
            }
        };

        calls.append(&mut searches);
        if let Some(last) = calls.last_mut()
            && note.is_some()
        {
            last.note = note;
        }
    }

    /// What still routes work to the user: all skills and groups of its agent.
    pub(super) async fn still_routing(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        let AgentOf::Number(agent) = self.proven_agent(user_id, calls).await? else {
            return Ok(Vec::new());
        };

        let skills = self.skills_of(user_id, agent, calls).await?;
        let groups = self.groups_of(user_id, agent, calls).await?;
        let left = |kind: &'static str| move |number: Number| still_there(kind, number);
        Ok(skills
            .into_iter()
            .map(left(SKILL))
            .chain(groups.into_iter().map(left(GROUP)))
            .collect())
    }
}

/// The lists of the agent name all that routes to it, so nothing has to be remembered.
const fn accepted() -> RoutingWrites {
    RoutingWrites::Accepted {
        released: Vec::new(),
    }
}

/// Why a success is none. An answer without a body says nothing, and the lists decide.
pub(super) fn not_done(reply: &Reply) -> Result<Option<String>, ApiError> {
    if reply.body.is_empty() {
        return Ok(None);
    }
    let members = object(reply, right::EDIT_SKILLS)?;
    failure_inside(&members).map_err(|why| reply.unreadable(why))
}

fn still_there(kind: &str, number: Number) -> Residual {
    Residual {
        kind: kind.to_owned(),
        reference: number.to_string(),
        note: Some("still there when it was read back".to_owned()),
    }
}
