//! Gives an employee what it had before: the account, skills and groups.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, bad, not_found};
use super::form::{Query, body, no_body, uuid};
use super::people::Skill;
use crate::simulator::reply::Reply;

/// What deactivates is undone; sessions and keys stay as they are.
pub(super) fn revive(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    no_body(ask.call)?;
    let Some(id) = uuid(&ask.place.id) else {
        return bad(ask.call, "the user is named by no UUID");
    };
    let mut people = ask.people();
    let Some(user) = people.users.get_mut(&id) else {
        return not_found(ask.call, "no such user");
    };
    let is_new = user.deactivated_at.take().is_some();
    user.lagging = 0;
    let reply = Reply::json(200, json!({ "success": true, "uuid": id }).to_string());
    Ok(if is_new { reply.applied() } else { reply })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adding {
    skills: Vec<Assigned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Assigned {
    skill_id: u64,
    is_active: bool,
    #[serde(default)]
    proficiency: Option<Value>,
}

/// One result a skill: a 200 may hold failures.
pub(super) fn add_skills(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let sent: Adding = body(ask.call)?;
    let number = ask.agent_number()?;
    let mut people = ask.people();
    let Some(user) = people.agent_mut(number) else {
        return not_found(ask.call, "no such agent");
    };
    if !user.is_active() {
        return bad(ask.call, "the agent is not active");
    }
    let mut applied = false;
    let mut results = Vec::new();
    for assigned in sent.skills {
        if assigned.proficiency.is_some_and(|level| !level.is_number()) {
            return bad(ask.call, "proficiency is no number");
        }
        if !user
            .skills
            .iter()
            .any(|known| known.id == assigned.skill_id)
        {
            user.skills.push(Skill {
                id: assigned.skill_id,
                is_active: assigned.is_active,
                lagging: None,
            });
            applied = true;
        }
        results.push(json!({ "skillId": assigned.skill_id, "success": true, "error": null }));
    }
    let answer = json!({ "errorCount": 0, "skillResults": results });
    let reply = Reply::json(200, answer.to_string());
    Ok(if applied { reply.applied() } else { reply })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Joining {
    agents: Vec<JoiningAgent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct JoiningAgent {
    agent_id: u64,
}

pub(super) fn add_to_group(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let group = ask.other_number()?;
    let sent: Joining = body(ask.call)?;
    let mut people = ask.people();
    let mut applied = false;
    let mut results = Vec::new();
    for agent in sent.agents {
        let Some(user) = people.agent_mut(agent.agent_id) else {
            return not_found(ask.call, "no such agent");
        };
        if !user.groups.contains(&group) {
            user.groups.push(group);
            applied = true;
        }
        results.push(json!({ "agentId": agent.agent_id, "success": true, "error": null }));
    }
    let answer = json!({ "errorCount": 0, "agentResults": results });
    let reply = Reply::json(200, answer.to_string());
    Ok(if applied { reply.applied() } else { reply })
}
