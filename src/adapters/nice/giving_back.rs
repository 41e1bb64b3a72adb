//! What an off-boarding takes from an employee, read before it, and given back one by one: the account by *Revive*, its
//! access keys, and the skills and groups of its agent.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, object, right};
use super::known_agents::AgentOf;
use super::numbers::Number;
use super::routing::{GROUP, SKILL, not_done};
use crate::adapters::http::{ApiError, Reply, Request};
use crate::failure::{Class, Code, Failure};
use crate::job::UserId;
use crate::machine::Call;
use crate::manifest::Possession;
use crate::ports::{GivenBack, QuotaClass};

const KEY: &str = "access_key";
const NO_AGENT: &str = "the user is no agent any more";

impl Client {
    /// In the order in which a run takes them, but for the account, which keys and skills need.
    pub(super) async fn read_possessions(
        &self,
        user_id: UserId,
    ) -> Result<Option<Vec<Possession>>, Failure> {
        let calls = &mut Vec::new();
        let mut possessions = Vec::new();
        match self.find_agent(user_id, calls).await? {
            AgentOf::UserGone => return Ok(None),
            AgentOf::Nobody => {}
            AgentOf::Number(agent) => {
                let rows = self.skill_rows_of(user_id, agent, calls).await?;
                possessions.extend(rows.iter().filter_map(skill));
                let groups = self.groups_of(user_id, agent, calls).await?;
                possessions.extend(
                    groups
                        .into_iter()
                        .map(|group| Possession::new(GROUP, &group)),
                );
            }
        }

        let keys = self.read_keys(user_id, calls).await?;
        possessions.extend(
            keys.iter()
                .filter(|key| key.is_active)
                .map(|key| Possession::new(KEY, &key.id)),
        );
        let account = self.read_account(user_id).await?.account;
        if account.and_then(|account| account.active) == Some(true) {
            possessions.push(Possession::new(Possession::ACCOUNT, &user_id));
        }
        Ok(Some(possessions))
    }

    pub(super) async fn give_one_back(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        self.is_not_our_own(user_id).await?;
        if self.has(user_id, possession, calls).await? {
            return Ok(GivenBack::ThereAlready);
        }
        let (name, request) = match self.addition(user_id, possession, calls).await? {
            Addition::Sent(name, request) => (name, request),
            Addition::Never(why) => return Ok(GivenBack::Not(why.to_owned())),
        };

        let reply = self.send_write(*request).await?;
        let refusal = match reply.status() {
            200..=299 => refused_inside(&reply)?,
            _ if reply.says_missing() => {
                calls.push(reply.call);
                return Ok(GivenBack::Not("it does not exist any more".to_owned()));
            }
            _ => return Err(self.refuse(name, user_id, &reply).into()),
        };
        if let Some(why) = refusal {
            calls.push(reply.call);
            return Ok(GivenBack::Not(format!(
                "the API answers with a success {why}"
            )));
        }
        self.api.succeeded(name);
        calls.push(reply.call);

        // Reads may lag behind writes.
        for pause in [false, true] {
            if pause {
                self.api.pause().await;
            }
            if self.has(user_id, possession, calls).await? {
                return Ok(GivenBack::Given);
            }
        }
        let text = format!(
            "the {} was given back, and no read shows it",
            possession.kind
        );
        Err(Failure::new(
            Class::Transient,
            Code::CxoneNotConverged,
            text,
        ))
    }

    async fn has(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<bool, Failure> {
        let is_it = |number: &Number| number.to_string() == possession.reference;
        Ok(match possession.kind.as_str() {
            Possession::ACCOUNT => {
                let read = self.read_account(user_id).await?;
                calls.extend(read.calls);
                read.account.and_then(|account| account.active) == Some(true)
            }
            KEY => {
                let keys = self.read_keys(user_id, calls).await?;
                keys.iter()
                    .any(|key| key.is_active && key.id == possession.reference)
            }
            kind => match self.proven_agent(user_id, calls).await? {
                AgentOf::Number(agent) if kind == SKILL => self
                    .skills_of(user_id, agent, calls)
                    .await?
                    .iter()
                    .any(is_it),
                AgentOf::Number(agent) => self
                    .groups_of(user_id, agent, calls)
                    .await?
                    .iter()
                    .any(is_it),
                AgentOf::Nobody | AgentOf::UserGone => false,
            },
        })
    }

    /// The write that gives it back.
    async fn addition(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<Addition, Failure> {
        let reference = possession.reference.as_str();
        match possession.kind.as_str() {
            Possession::ACCOUNT => {
                let url = self.paths().revive(user_id)?;
                let request = adds(Method::POST, url, right::EDIT_EMPLOYEES, None);
                return Ok(Addition::Sent("revive_user", Box::new(request)));
            }
            KEY => {
                let of_user = user_id.to_string();
                let query = [("accessKeyId", reference), ("userId", of_user.as_str())];
                let url = self.paths().access_keys(&query)?;
                let body = json!({ "isActive": true });
                let request = adds(Method::PATCH, url, right::EDIT_KEYS, Some(&body));
                return Ok(Addition::Sent("enable_access_key", Box::new(request)));
            }
            SKILL | GROUP => {}
            _ => return Ok(Addition::Never("its kind is not known")),
        }

        let AgentOf::Number(agent) = self.proven_agent(user_id, calls).await? else {
            return Ok(Addition::Never(NO_AGENT));
        };
        // Before-images are stored as text, and may be forged.
        let Some(number) = reference.parse().ok().and_then(Number::new) else {
            return Ok(Addition::Never("its ID is no number"));
        };
        Ok(if possession.kind == SKILL {
            let url = self.paths().all_skills_of(agent)?;
            let body = json!({ "skills": [skill_to_add(number, possession.detail.as_deref())] });
            let request = adds(Method::POST, url, right::EDIT_SKILLS, Some(&body));
            Addition::Sent("add_skill", Box::new(request))
        } else {
            let url = self.paths().group(number)?;
            let body = json!({ "agents": [{ "agentId": agent.get() }] });
            let request = adds(Method::POST, url, right::EDIT_GROUPS, Some(&body));
            Addition::Sent("add_to_group", Box::new(request))
        })
    }
}

enum Addition {
    Sent(&'static str, Box<Request<'static>>),
    /// No write would, for people.
    Never(&'static str),
}

fn adds(
    method: Method,
    url: url::Url,
    right: &'static str,
    body: Option<&Value>,
) -> Request<'static> {
    Request {
        body: body.map(|body| body.to_string().into_bytes()),
        ..Request::write(method, url, QuotaClass::Routing, right)
    }
}

/// A skill of an agent, with what an assignment says beside it.
fn skill(row: &Value) -> Option<Possession> {
    let number = row.get("skillId").and_then(Number::of)?;
    let detail = json!({
        "isActive": row.get("isActive").and_then(Value::as_bool),
        "proficiency": row.get("agentProficiencyValue").filter(|value| value.is_number()),
    });
    Some(Possession::new(SKILL, &number).with(&detail))
}

fn skill_to_add(skill: Number, detail: Option<&str>) -> Value {
    let detail = detail
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .unwrap_or_default();
    let mut assignment = json!({
        "skillId": skill.get(),
        "isActive": detail.get("isActive").and_then(Value::as_bool).unwrap_or(true),
    });
    if let Some(proficiency) = detail.get("proficiency").filter(|value| value.is_number())
        && let Some(members) = assignment.as_object_mut()
    {
        members.insert("proficiency".to_owned(), proficiency.clone());
    }
    assignment
}

/// Why a success is none.
fn refused_inside(reply: &Reply) -> Result<Option<String>, ApiError> {
    if let Some(why) = not_done(reply)? {
        return Ok(Some(why));
    }
    if reply.body.is_empty() {
        return Ok(None);
    }
    let members = object(reply, right::EDIT_EMPLOYEES)?;
    let failed = members.get("success") == Some(&Value::Bool(false));
    Ok(failed.then(|| "and says that it was none".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skill_is_added_as_it_was() {
        let row = json!({ "skillId": 7, "isActive": false, "agentProficiencyValue": 3 });
        let possession = skill(&row).unwrap();
        assert_eq!(possession.reference, "7");
        let added = skill_to_add(Number::new(7).unwrap(), possession.detail.as_deref());
        let expected = json!({ "skillId": 7, "isActive": false, "proficiency": 3 });
        assert_eq!(added, expected);

        let added = skill_to_add(Number::new(7).unwrap(), Some("no JSON"));
        assert_eq!(added, json!({ "skillId": 7, "isActive": true }));
    }
}
