//! Queues, groups, teams and skills.

use serde_json::{Value, json};

use super::super::faults::Fault;
use super::super::reply::Reply;
use super::errors::{error, not_authorized, not_found};
use super::person::{Group, GroupType, Held, Person, QueueMember, State};
use super::request::{Page, Parameters, Refused, body, id_after, no_body};
use super::users::{applied_if, done, outcome};
use super::{Ask, DIVISION_ID, UNSEEN_DIVISION_ID};

/// A page of a list, with the members that all lists have.
fn page_of(path: &str, query: &str, page: &Page, all: Vec<Value>) -> Value {
    let total = all.len();
    let count = total.div_ceil(page.size);
    let entities: Vec<Value> = all
        .into_iter()
        .skip((page.number - 1) * page.size)
        .take(page.size)
        .collect();
    let uri = |number: usize| format!("{path}?{query}pageSize={}&pageNumber={number}", page.size);
    let mut list = json!({
        "entities": entities, "pageSize": page.size, "pageNumber": page.number,
        "total": total, "pageCount": count,
        "firstUri": uri(1), "selfUri": uri(page.number), "lastUri": uri(count.max(1)),
    });

    if let Some(members) = list.as_object_mut() {
        if page.number < count {
            members.insert("nextUri".to_owned(), uri(page.number + 1).into());
        }
        if page.number > 1 {
            members.insert("previousUri".to_owned(), uri(page.number - 1).into());
        }
    }
    list
}

pub(super) fn live<'p>(
    people: &'p mut indexmap::IndexMap<String, Person>,
    id: &str,
) -> Result<&'p mut Person, Refused> {
    people
        .get_mut(id)
        .filter(|person| person.state() != State::Deleted)
        .ok_or_else(|| Box::new(not_found("user")))
}

fn queue_document(person: &Person, queue: &QueueMember) -> Value {
    let division = if queue.unseen {
        json!({"id": UNSEEN_DIVISION_ID, "name": "Elsewhere"})
    } else {
        json!({"id": DIVISION_ID, "name": "Home"})
    };
    let mut groups: Vec<Value> = Vec::new();
    if let Some(foreign) = &queue.foreign_group {
        groups.push(json!({"id": foreign, "name": "Others", "type": "GROUP"}));
    }
    if let Some(group) = &queue.group {
        let group_type = person
            .groups
            .iter()
            .find(|known| known.held.id == *group)
            .map_or(GroupType::Group, |known| known.kind);
        groups.push(json!({"id": group, "name": "Group é", "type": group_type.word()}));
    }
    json!({
        "id": queue.id, "name": queue.name, "joined": queue.joined, "division": division,
        "memberCount": 12, "userMemberCount": 9, "joinedMemberCount": 7,
        "memberGroups": groups, "acwSettings": {"wrapupPrompt": "OPTIONAL"},
        "selfUri": format!("/api/v2/routing/queues/{}", queue.id),
    })
}

pub(super) fn list_queues(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    let parameters = Parameters::of(ask.call, &["joined", "pageSize", "pageNumber"])?;
    let joined = parameters.boolean("joined", true)?;
    let page = parameters.page()?;
    let hides_unseen = ask.says("unseen_divisions", "left_out");
    let hides_groups = ask.says("group_queues", "left_out");

    let mut people = ask.people();
    let person = live(&mut people, &id)?;
    let rows = person
        .live_queues()
        .filter(|queue| queue.joined == joined)
        .filter(|queue| !(queue.unseen && hides_unseen))
        .filter(|queue| !(queue.own.is_none() && hides_groups))
        .map(|queue| queue_document(person, queue))
        .collect();
    let list = page_of(&ask.call.path, &format!("joined={joined}&"), &page, rows);

    Ok(Reply::json(200, list.to_string()))
}

pub(super) fn remove_from_queue(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let queue_id = id_after(ask.call, "queues")?;
    let id = id_after(ask.call, "members")?;
    Parameters::of(ask.call, &[])?;
    no_body(ask.call)?;
    let mut people = ask.people();
    let person = live(&mut people, &id)?;
    let Some(at) = person
        .queues
        .iter()
        .position(|queue| queue.id == queue_id && person.is_member(queue))
    else {
        return Ok(not_found("queue member"));
    };
    let Some(queue) = person.queues.get_mut(at) else {
        return Ok(not_found("queue member"));
    };
    if queue.unseen {
        return Ok(not_authorized());
    }
    if matches!(ask.call.fault, Some(Fault::Conflict { .. })) {
        return Ok(error(409, "general.conflict", "The queue has changed"));
    }

    let (status, delay) = outcome(ask, "remove_from_queue_answer");
    let own = queue.own.as_mut().filter(|own| own.is_live());
    if let Some(own) = own {
        return Ok(applied_if(own.end(delay), done(status)));
    }
    Ok(match ask.value("remove_group_member") {
        "not_found" => not_found("queue member"),
        "conflict" => error(409, "general.conflict", "The member is a group's"),
        "stays" => done(status),
        _ => error(400, "bad.request", "The member is a group's"),
    })
}

/// What a rule's group or a group of others says; nothing where the user can leave.
fn cannot_leave(ask: &Ask<'_>, group: Option<&Group>) -> Option<Reply> {
    let Some(group) = group else {
        return match ask.value("leave_foreign_group") {
            "not_found" => Some(not_found("member")),
            "bad_request" => Some(error(400, "bad.request", "The user is no member")),
            _ => None,
        };
    };
    if !group.by_rule {
        return None;
    }
    match ask.value("leave_rule_group") {
        "forbidden" => Some(not_authorized()),
        "conflict" => Some(error(409, "general.conflict", "A rule selects the members")),
        "stays" => None,
        _ => Some(error(400, "bad.request", "A rule selects the members")),
    }
}

fn leave(
    ask: &Ask<'_>,
    id: &str,
    group_id: &str,
    group_type: GroupType,
    switch: &str,
) -> Result<Reply, Refused> {
    let mut people = ask.people();
    let person = live(&mut people, id)?;
    let known = |queue: &QueueMember| {
        queue.foreign_group.as_deref() == Some(group_id) && group_type == GroupType::Group
    };
    let (status, delay) = outcome(ask, switch);
    if let Some(other) = person
        .other_groups
        .iter_mut()
        .find(|other| other.id == group_id && group_type == GroupType::Group)
    {
        return Ok(applied_if(other.end(delay), done(status)));
    }
    let at = person
        .groups
        .iter()
        .position(|group| group.held.id == group_id && group.kind == group_type);
    if at.is_none() && !person.queues.iter().any(known) {
        return Ok(not_found("group"));
    }
    let group = at
        .and_then(|at| person.groups.get_mut(at))
        .filter(|group| group.held.is_live());
    if let Some(reply) = cannot_leave(ask, group.as_deref()) {
        return Ok(reply);
    }
    let is_new = group.is_some_and(|group| !group.by_rule && group.held.end(delay));

    Ok(applied_if(is_new, done(status)))
}

pub(super) fn leave_group(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let group_id = id_after(ask.call, "groups")?;
    let id = Parameters::of(ask.call, &["ids"])?.one_id("ids")?;
    no_body(ask.call)?;
    leave(ask, &id, &group_id, GroupType::Group, "leave_group_answer")
}

pub(super) fn leave_team(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let team_id = id_after(ask.call, "teams")?;
    let id = Parameters::of(ask.call, &["id"])?.one_id("id")?;
    no_body(ask.call)?;
    leave(ask, &id, &team_id, GroupType::Team, "leave_team_answer")
}

pub(super) fn skill_documents(person: &Person) -> Vec<Value> {
    person
        .live_skills()
        .map(|skill| {
            json!({
                "id": skill.id, "name": "Español", "proficiency": 4.5, "state": "active",
                "skillUri": format!("/api/v2/routing/skills/{}", skill.id),
            })
        })
        .collect()
}

pub(super) fn list_skills(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    let page = Parameters::of(ask.call, &["pageSize", "pageNumber"])?.page()?;
    let mut people = ask.people();
    let person = live(&mut people, &id)?;
    let list = page_of(&ask.call.path, "", &page, skill_documents(person));

    Ok(Reply::json(200, list.to_string()))
}

pub(super) fn replace_skills(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    Parameters::of(ask.call, &[])?;
    let skills: Vec<Value> = body(ask.call)?;
    if !skills.is_empty() {
        return Ok(error(
            400,
            "invalid.value",
            "this simulator takes only an empty list",
        ));
    }

    let mut people = ask.people();
    let person = live(&mut people, &id)?;
    if matches!(ask.call.fault, Some(Fault::Conflict { .. })) {
        return Ok(error(409, "general.conflict", "The user has changed"));
    }
    let mut is_new = false;
    for skill in &mut person.skills {
        is_new |= Held::end(skill, std::time::Duration::ZERO);
    }
    let page = Page {
        size: 25,
        number: 1,
    };
    let list = page_of(&ask.call.path, "", &page, skill_documents(person));

    Ok(applied_if(is_new, Reply::json(200, list.to_string())))
}
