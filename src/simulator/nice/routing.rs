//! What routes contacts to an agent: skills and groups. And who leads a team.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, bad, not_found};
use super::form::{Query, body, integer, no_body, uuid};
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;

/// The skills, a page at a time; the default size of a page is not published.
pub(super) fn skills(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &["skip", "top", "isAssignedSkillActive"])?;
    let skip = query.number("skip", 0, u64::MAX)?.unwrap_or(0);
    let default = integer(ask.world.unknowns.get("skill_page_size")).unwrap_or(100);
    let top = query.number("top", 1, u64::MAX)?.unwrap_or(default);
    let wanted = match query.get("isAssignedSkillActive") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return bad(ask.call, "isAssignedSkillActive is no boolean"),
    };
    let mut people = ask.people();
    let id = match integer(&ask.place.id) {
        Some(number) => people.id_of_agent(number).map(str::to_owned),
        None => uuid(&ask.place.id),
    };
    let found = id.and_then(|id| people.users.get_mut(&id));
    let Some(user) = found.filter(|user| user.agent().is_some()) else {
        return not_found(ask.call, "no such agent");
    };

    let rows: Vec<Value> = user
        .skills
        .iter()
        .filter(|skill| wanted.is_none_or(|active| skill.is_active == active))
        .map(|skill| {
            json!({
                "skillId": skill.id, "skillName": format!("Skill {}", skill.id),
                "isActive": skill.is_active, "isSkillActive": true, "agentProficiencyValue": 3,
                "campaignId": 11, "mediaTypeId": 4,
            })
        })
        .collect();
    for skill in &mut user.skills {
        skill.lagging = skill.lagging.map(|left| left.saturating_sub(1));
    }
    user.skills.retain(|skill| skill.lagging != Some(0));

    let total = rows.len() as u64;
    let shown: Vec<Value> = rows
        .into_iter()
        .skip(usize::try_from(skip).unwrap_or(usize::MAX))
        .take(usize::try_from(top).unwrap_or(usize::MAX))
        .collect();
    let hidden = user.record.hidden_agents;
    let end = skip.saturating_add(shown.len() as u64);
    let next = (end < total && !shown.is_empty()).then(|| link(ask, end, top));
    let is_empty = shown.is_empty();
    let mut page = json!({
        "totalRecords": total, "_links": { "self": null, "next": next, "previous": null },
        "businessUnitId": super::people::BUSINESS_UNIT, "agentSkillAssignments": shown,
    });
    hide(&mut page, hidden);
    if is_empty && hidden == 0 {
        return Ok(ask.nothing(page.to_string()));
    }
    Ok(Reply::json(200, page.to_string()))
}

/// Says how many rows the role may not see.
fn hide(page: &mut Value, hidden: u64) {
    if let Some(members) = page.as_object_mut().filter(|_| hidden > 0) {
        members.insert("hiddenAgents".to_owned(), hidden.into());
    }
}

/// An absolute link to another page.
pub(super) fn link(ask: &Ask<'_>, skip: u64, top: u64) -> String {
    let host = ask.call.header("host").unwrap_or("127.0.0.1");
    let kept: Vec<(String, String)> = super::form::members(ask.call)
        .into_iter()
        .filter(|(name, _)| name != "skip" && name != "top")
        .collect();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair("skip", &skip.to_string())
        .append_pair("top", &top.to_string())
        .finish();
    format!("http://{host}{}?{query}", ask.call.path)
}

pub(super) fn remove_skill(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    no_body(ask.call)?;
    let number = ask.agent_number()?;
    let skill = ask.other_number()?;
    let mut people = ask.people();
    let Some(user) = people.agent_mut(number) else {
        return not_found(ask.call, "no such agent");
    };

    if !user.is_active() && ask.is("remove_skill_inactive", "400") {
        return bad(ask.call, "the agent is not active");
    }
    let success = || match ask.world.unknowns.get("remove_skill_success") {
        "202" => Reply::json(202, "{}"),
        "204" => Reply::empty(204),
        _ => Reply::json(200, "{}"),
    };
    let stays = user.record.derived_membership;
    let Some(at) = user.skills.iter().position(|known| known.id == skill) else {
        return if ask.is("remove_skill_absent", "success") {
            Ok(success())
        } else {
            not_found(ask.call, "the skill is not assigned to the agent")
        };
    };
    if stays {
        return Ok(success());
    }
    if ask.is("remove_skill_success", "202") {
        if let Some(skill) = user.skills.get_mut(at) {
            skill.lagging.get_or_insert(1);
        }
    } else {
        user.skills.remove(at);
    }

    Ok(success().applied())
}

pub(super) fn groups(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let number = ask.agent_number()?;
    let mut people = ask.people();
    let Some(user) = people.agent_mut(number) else {
        return not_found(ask.call, "no such agent");
    };
    let rows: Vec<Value> = user
        .groups
        .iter()
        .map(|id| {
            json!({
                "groupId": id, "groupName": format!("Group {id}"), "isActive": true, "notes": "",
                "lastUpdated": "2026-01-02T03:04:05Z",
            })
        })
        .collect();
    let is_empty = rows.is_empty();
    let mut list = json!({ "agentGroups": rows });
    hide(&mut list, user.record.hidden_agents);

    if is_empty && user.record.hidden_agents == 0 {
        return Ok(ask.nothing(list.to_string()));
    }
    Ok(Reply::json(200, list.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    agents: Vec<LeavingAgent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LeavingAgent {
    agent_id: u64,
}

/// The agent who is to leave a group.
pub(super) fn agent_of(call: &Call) -> Option<String> {
    let sent: Leaving = serde_json::from_slice(&call.body).ok()?;
    sent.agents.first().map(|agent| agent.agent_id.to_string())
}

/// One result an agent: a 200 may hold failures.
pub(super) fn remove_from_group(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let group = ask.other_number()?;
    let sent: Leaving = body(ask.call)?;
    if sent.agents.is_empty() {
        return bad(ask.call, "agents is empty");
    }
    let mut people = ask.people();
    let mut applied = false;
    let results: Vec<Value> = sent
        .agents
        .iter()
        .map(|agent| {
            let failure = match people.agent_mut(agent.agent_id) {
                None => Some("no such agent"),
                Some(user) if user.record.derived_membership => {
                    Some("the membership follows from a rule")
                }
                Some(user) => match user.groups.iter().position(|known| *known == group) {
                    Some(at) => {
                        user.groups.remove(at);
                        applied = true;
                        None
                    }
                    None if ask.is("remove_from_group_absent", "success") => None,
                    None => Some("the agent is not in the group"),
                },
            };
            json!({ "agentId": agent.agent_id, "success": failure.is_none(), "error": failure })
        })
        .collect();
    let failures = results.iter().filter(|result| result["success"] == false);
    let answer = json!({ "errorCount": failures.count(), "agentResults": results });
    let reply = Reply::json(200, answer.to_string());

    Ok(if applied { reply.applied() } else { reply })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    filter: serde_json::Map<String, Value>,
    #[serde(default)]
    fields: Vec<String>,
    skip: Option<u64>,
    top: Option<u64>,
}

/// A read, although a POST. There is no filter by lead.
pub(super) fn teams(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let search: Search = body(ask.call)?;
    let unknown = |name: &&String| !["id", "name", "divisionId"].contains(&name.as_str());
    if let Some(name) = search.filter.keys().find(unknown) {
        return bad(ask.call, &format!("there is no filter by {name}"));
    }
    if !search.filter.is_empty() {
        return bad(ask.call, "the simulator has no filters");
    }
    let skip = search.skip.unwrap_or(0);
    let top = search.top.unwrap_or(100);
    if top == 0 {
        return bad(ask.call, "top is 0");
    }
    let people = ask.people();
    let without_lead = json!({
        "id": "7ea40000-5eed-4000-8000-000000000000", "name": "Everyone", "leadUserId": null,
        "status": "ACTIVE",
    });
    let leads = people.users.values().filter(|user| user.record.lead);
    let led = leads.map(|user| {
        json!({
            "id": user.team_id(), "name": format!("Team {}", user.number), "leadUserId": user.id,
            "status": "ACTIVE",
        })
    });
    let mut teams: Vec<Value> = std::iter::once(without_lead).chain(led).collect();
    for members in teams.iter_mut().filter_map(Value::as_object_mut) {
        // The document requires the ID.
        members.retain(|name, _| {
            search.fields.is_empty() || name == "id" || search.fields.contains(name)
        });
    }
    let total = teams.len();
    let page: Vec<Value> = teams
        .into_iter()
        .skip(usize::try_from(skip).unwrap_or(usize::MAX))
        .take(usize::try_from(top).unwrap_or(usize::MAX))
        .collect();
    let body = json!({ "totalRecords": total, "skip": skip, "top": top, "teams": page });

    Ok(Reply::json(200, body.to_string()))
}
