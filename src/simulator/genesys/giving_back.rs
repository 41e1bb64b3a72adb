//! Gives a user what it had before: memberships and skills.

use serde::Deserialize;
use serde_json::json;

use super::super::gate::Call;
use super::super::reply::Reply;
use super::Ask;
use super::errors::{error, not_found};
use super::person::{GroupType, Held, Person};
use super::request::{Parameters, Refused, body, id, id_after};
use super::routing::{live, skill_documents};
use super::users::{applied_if, done};

/// Of each group; the simulator counts no changes.
const GROUP_VERSION: u64 = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    member_ids: Vec<String>,
    version: Option<u64>,
}

/// The user whom a body adds to something.
pub(super) fn user_of(call: &Call) -> Option<String> {
    let named = serde_json::from_slice::<Vec<Named>>(&call.body);
    let of_queue = named.ok().and_then(|all| Some(all.first()?.id.clone()));
    let members = serde_json::from_slice::<Members>(&call.body);
    let of_group = members.ok().and_then(|all| all.member_ids.first().cloned());
    of_queue.or(of_group).map(|id| id.to_lowercase())
}

pub(super) fn add_to_queue(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let queue_id = id_after(ask.call, "queues")?;
    Parameters::of(ask.call, &[])?;
    let [named] = body::<[Named; 1]>(ask.call)?;
    let mut people = ask.people();
    let person = live(&mut people, &id(&named.id)?)?;
    let Some(queue) = person.queues.iter_mut().find(|queue| queue.id == queue_id) else {
        return Ok(not_found("queue"));
    };
    let is_new = if let Some(own) = &mut queue.own {
        own.give_back()
    } else {
        queue.own = Some(Held::new(queue_id));
        true
    };
    Ok(applied_if(is_new, done(200)))
}

pub(super) fn get_group(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let group_id = id_after(ask.call, "groups")?;
    Parameters::of(ask.call, &[])?;
    let people = ask.people();
    let known = |person: &Person| person.groups.iter().any(|group| group.held.id == group_id);
    if !people.values().any(known) {
        return Ok(not_found("group"));
    }
    let group = json!({ "id": group_id, "name": "Group é", "version": GROUP_VERSION });
    Ok(Reply::json(200, group.to_string()))
}

fn join(
    ask: &Ask<'_>,
    group_id: &str,
    kind: GroupType,
    version: Option<u64>,
) -> Result<Reply, Refused> {
    Parameters::of(ask.call, &[])?;
    let members: Members = body(ask.call)?;
    if members.version != version {
        return Ok(error(400, "bad.request", "version is missing, or another"));
    }
    let [member] = members.member_ids.as_slice() else {
        return Ok(error(400, "invalid.value", "memberIds has not one element"));
    };
    let mut people = ask.people();
    let person = live(&mut people, &id(member)?)?;
    let group = person.groups.iter_mut();
    let mut group = group.filter(|group| group.held.id == group_id && group.kind == kind);
    match group.next() {
        Some(group) => Ok(applied_if(group.held.give_back(), done(202))),
        None => Ok(not_found("group")),
    }
}

pub(super) fn join_group(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let group_id = id_after(ask.call, "groups")?;
    join(ask, &group_id, GroupType::Group, Some(GROUP_VERSION))
}

pub(super) fn join_team(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let team_id = id_after(ask.call, "teams")?;
    join(ask, &team_id, GroupType::Team, None)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assigned {
    id: String,
    proficiency: f64,
}

pub(super) fn add_skills(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let user = id_after(ask.call, "users")?;
    Parameters::of(ask.call, &[])?;
    let skills: Vec<Assigned> = body(ask.call)?;
    let mut people = ask.people();
    let person = live(&mut people, &user)?;
    let mut is_new = false;
    for assigned in &skills {
        if !(0.0..=5.0).contains(&assigned.proficiency) {
            return Ok(error(400, "invalid.value", "proficiency"));
        }
        let mut known = person.skills.iter_mut();
        let Some(skill) = known.find(|skill| skill.id == assigned.id) else {
            return Ok(not_found("skill"));
        };
        is_new |= skill.give_back();
    }
    let list =
        json!({ "entities": skill_documents(person), "total": person.live_skills().count() });
    Ok(applied_if(is_new, Reply::json(200, list.to_string())))
}
