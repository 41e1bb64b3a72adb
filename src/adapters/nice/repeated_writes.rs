//! Writes that a rehearsal made are made once more: how a repetition is answered, no public source says. Each asks for what
//! is so already, and only of a user who reads as inactive.

use reqwest::Method;
use serde_json::json;

use super::access::KEYS_AFTER;
use super::client::{Client, removal, right};
use super::documents::failure_inside;
use super::known_agents::AgentOf;
use super::numbers::Number;
use crate::adapters::http::{ApiError, Reply, observed, seen, status_of};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{Observation, Seen};

const SKILL: &str = "taking a skill away twice";
const KEYS: &str = "access keys that outlive the deactivation";
const DEACTIVATION: &str = "a repeated deactivation";
const LOG_OUT: &str = "a log-out without a session";

impl Client {
    pub(super) async fn repeat_accepted(
        &self,
        user_id: UserId,
        calls: &[Call],
    ) -> Vec<Observation> {
        let mut all = vec![observed(Some("cxone-13"), KEYS, keys_seen(calls))];
        if let Err(why) = self.may_repeat(user_id).await {
            let rows = [
                ("cxone-12", SKILL),
                ("cxone-14", DEACTIVATION),
                ("cxone-15", LOG_OUT),
            ];
            all.extend(rows.map(|(question, check)| observed(Some(question), check, why.clone())));
            return all;
        }

        let agent = self.find_agent(user_id, &mut Vec::new()).await;
        all.push(observed(
            Some("cxone-14"),
            DEACTIVATION,
            seen(self.deactivate_again(user_id).await),
        ));
        let (skill, log_out) = match agent {
            Ok(AgentOf::Number(agent)) => (
                self.remove_skill_again(agent, calls).await,
                self.log_out_again(agent).await,
            ),
            Ok(AgentOf::Nobody | AgentOf::UserGone) => {
                let none = || Ok(Seen::Unknown("the user is no agent".to_owned()));
                (none(), none())
            }
            Err(error) => (Err(error.clone()), Err(error)),
        };
        all.push(observed(Some("cxone-12"), SKILL, seen(skill)));
        all.push(observed(Some("cxone-15"), LOG_OUT, seen(log_out)));
        all
    }

    async fn may_repeat(&self, user_id: UserId) -> Result<(), Seen> {
        let failed = |failure: Failure| Seen::Failed(failure);
        let read = self.read_account(user_id).await;
        let account = read.map_err(|error| failed(error.into()))?.account;
        if account.and_then(|account| account.active) != Some(false) {
            let why = "the user does not read as inactive, so nothing was repeated";
            return Err(Seen::Unknown(why.to_owned()));
        }
        self.is_not_our_own(user_id).await.map_err(failed)
    }

    async fn deactivate_again(&self, user_id: UserId) -> Result<Seen, ApiError> {
        let body = json!({ "userIds": [user_id] });
        let url = self.paths().deactivate()?;
        let request = removal(Method::POST, url, right::EDIT_EMPLOYEES, Some(&body));
        let reply = self.send_write(request).await?;
        let is_listed = serde_json::from_slice::<serde_json::Value>(&reply.body)
            .ok()
            .and_then(|body| Some(!body.get("notDeletedUserIds")?.as_array()?.is_empty()))
            .unwrap_or(false);
        let more = if is_listed {
            ", and lists the user in notDeletedUserIds"
        } else {
            ""
        };
        Ok(Seen::Fact(format!("{}{more}", status_of(&reply))))
    }

    /// Of our own calls; what a checkpoint names of another agent is not repeated.
    async fn remove_skill_again(&self, agent: Number, calls: &[Call]) -> Result<Seen, ApiError> {
        let removed = calls.iter().find_map(|call| {
            let (skill, of) = removed_skill(call)?;
            (of == agent).then_some((skill, call.status))
        });
        let Some((skill, before)) = removed else {
            return Ok(Seen::Unknown("no skill was taken away".to_owned()));
        };

        let url = self.paths().skill(skill, agent)?;
        let reply = self
            .send_write(removal(Method::DELETE, url, right::EDIT_SKILLS, None))
            .await?;
        let inside = inside(&reply);
        Ok(Seen::Fact(format!(
            "{before}, and then {}{inside}",
            status_of(&reply)
        )))
    }

    async fn log_out_again(&self, agent: Number) -> Result<Seen, ApiError> {
        let url = self.paths().logout(agent)?;
        let reply = self
            .send_write(removal(Method::POST, url, right::LOG_OUT, None))
            .await?;
        Ok(Seen::Fact(status_of(&reply)))
    }
}

/// What a success says of a failure.
fn inside(reply: &Reply) -> &'static str {
    let members = serde_json::from_slice(&reply.body).unwrap_or_default();
    match failure_inside(&members) {
        Ok(Some(_)) => " with a failure in it",
        Ok(None) | Err(_) => "",
    }
}

/// The skill and the agent of an accepted removal.
fn removed_skill(call: &Call) -> Option<(Number, Number)> {
    let (_, of) = call.path.split_once("/skills/")?;
    let (skill, agent) = of.split_once("/agents/")?;
    let number = |text: &str| Number::new(text.parse().ok()?);
    let is_removal = call.method == "DELETE" && (200..=299).contains(&call.status);
    is_removal
        .then(|| Some((number(skill)?, number(agent)?)))
        .flatten()
}

fn keys_seen(calls: &[Call]) -> Seen {
    let note = calls
        .iter()
        .filter_map(|call| call.note.as_deref())
        .find_map(|note| note.strip_suffix(KEYS_AFTER));
    match note {
        Some(counts) => Seen::Fact(format!("{counts}{KEYS_AFTER}")),
        None => Seen::Unknown("the user has no access keys, or they were not read".to_owned()),
    }
}
