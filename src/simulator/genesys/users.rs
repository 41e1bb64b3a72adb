//! Users: state, version, deletion, tokens.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::faults::Fault;
use super::super::reply::Reply;
use super::errors::{error, not_found, version_conflict};
use super::person::{GroupType, Held, Person, State};
use super::request::{Parameters, Refused, body, id_after, no_body};
use super::{Ask, DIVISION_ID};

const EXPANDS: [&str; 4] = ["team", "groups", "lasttokenissued", "dateLastLogin"];

/// The user as the API shows it.
fn document(person: &Person, state: State, version: u64, expand: &[&str]) -> Value {
    let mut user = json!({
        "id": person.id, "name": person.name(),
        "email": format!("{}@sim.example", person.name()),
        "username": format!("{}@sim.example", person.name()),
        "state": state.word(), "version": version,
        "acdAutoAnswer": false, "title": "Agent é",
        "selfUri": format!("/api/v2/users/{}", person.id),
    });
    let Some(members) = user.as_object_mut() else {
        return user;
    };

    if state != State::Deleted {
        members.insert(
            "division".to_owned(),
            json!({"id": DIVISION_ID, "name": "Home"}),
        );
    }
    if expand.contains(&"groups") {
        let groups: Vec<Value> = person
            .groups
            .iter()
            .filter(|group| group.kind == GroupType::Group)
            .map(|group| &group.held)
            .chain(&person.other_groups)
            .filter(|held| held.is_live())
            .map(|held| json!({"id": held.id, "name": "Group"}))
            .collect();
        members.insert("groups".to_owned(), groups.into());
    }
    let team = person.groups.iter();
    let mut team = team.filter(|group| group.kind == GroupType::Team && group.held.is_live());
    if let Some(team) = team.next().filter(|_| expand.contains(&"team")) {
        members.insert(
            "team".to_owned(),
            json!({"id": team.held.id, "name": "Team"}),
        );
    }
    if expand.contains(&"dateLastLogin") {
        members.insert(
            "dateLastLogin".to_owned(),
            "2026-05-01T08:00:00.000Z".into(),
        );
    }
    user
}

pub(super) fn get(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    let parameters = Parameters::of(ask.call, &["state", "expand"])?;
    let state = parameters.get("state").unwrap_or("active");
    let asked: Vec<&str> = parameters
        .get("expand")
        .map_or_else(Vec::new, |list| list.split(',').collect());
    if !["active", "deleted"].contains(&state) || asked.iter().any(|one| !EXPANDS.contains(one)) {
        return Err(Box::new(error(400, "invalid.value", "state or expand")));
    }
    let expand = if ask.says("expand", "missing") {
        Vec::new()
    } else {
        asked
    };

    let mut people = ask.people();
    let Some(person) = people.get_mut(&id) else {
        return Ok(not_found("user"));
    };
    let is_deleted = person.state() == State::Deleted;
    if is_deleted != (state == "deleted") {
        return Ok(not_found("user"));
    }
    let mut shown_state = person.state();
    let mut shown_version = person.version;
    if let Some((version, left)) = &mut person.lagging
        && *left > 0
        && !is_deleted
    {
        *left -= 1;
        shown_state = State::Active;
        shown_version = *version;
    }
    let user = document(person, shown_state, shown_version, &expand);

    Ok(Reply::json(200, user.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    version: u64,
    state: String,
}

/// The version that a write met, when it is another than the current one, or a fault says so.
fn conflict(ask: &Ask<'_>, person: &mut Person, sent: Option<u64>) -> Option<Reply> {
    let usual = if ask.says("version_conflict", "400") {
        400
    } else {
        409
    };
    if let Some(Fault::Conflict { status }) = ask.call.fault {
        person.version += 1;
        return Some(version_conflict(status.unwrap_or(usual), person.version));
    }
    sent.filter(|sent| *sent != person.version)
        .map(|_| version_conflict(usual, person.version))
}

pub(super) fn set_state(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    Parameters::of(ask.call, &[])?;
    let update: Update = body(ask.call)?;
    let wanted = match update.state.as_str() {
        "inactive" => false,
        "active" => true,
        _ => {
            return Err(Box::new(error(
                400,
                "invalid.value",
                "this simulator knows no other state than active and inactive",
            )));
        }
    };

    let mut people = ask.people();
    let Some(person) = people
        .get_mut(&id)
        .filter(|person| person.state() != State::Deleted)
    else {
        return Ok(not_found("user"));
    };
    if let Some(reply) = conflict(ask, person, Some(update.version)) {
        return Ok(reply);
    }
    let is_new = person.is_active != wanted;
    if is_new && wanted {
        person.is_active = true;
        person.deactivated_at = None;
        person.lagging = None;
        person.version += 1;
    } else if is_new {
        if person.record.lagging_reads > 0 {
            person.lagging = Some((person.version, person.record.lagging_reads));
        }
        person.is_active = false;
        person.deactivated_at = Some(Instant::now());
        person.version += 1;
    }
    let user = document(person, person.state(), person.version, &[]);
    let reply = Reply::json(200, user.to_string());

    Ok(applied_if(is_new, reply))
}

/// A success without a member that is worth reading.
pub(super) fn done(status: u16) -> Reply {
    match status {
        204 => Reply::empty(204),
        status => Reply::json(status, "{}"),
    }
}

pub(super) fn delete(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "users")?;
    Parameters::of(ask.call, &[])?;
    no_body(ask.call)?;
    let mut people = ask.people();
    let Some(person) = people.get_mut(&id) else {
        return Ok(not_found("user"));
    };
    if person.state() == State::Deleted {
        return Ok(match ask.value("repeated_delete") {
            "ok" => done(200),
            "conflict" => error(409, "general.conflict", "The user is deleted already"),
            _ => not_found("user"),
        });
    }
    if let Some(reply) = conflict(ask, person, None) {
        return Ok(reply);
    }

    let answer = person.record.deletion.clone();
    let (usual, _) = outcome(ask, "delete_answer");
    let status = answer.as_ref().map_or(usual, |answer| answer.status);
    if !matches!(status, 200 | 202 | 204) {
        let code = answer.and_then(|answer| answer.code);
        let code = code.as_deref().unwrap_or("general.conflict");
        return Ok(error(status, code, "This user cannot be deleted now"));
    }
    let delay = if status == 202 {
        ask.world.options.delete_delay
    } else {
        Duration::ZERO
    };
    let is_new = person.deleted_at.is_none();
    if is_new {
        person.deleted_at = Some(Instant::now() + delay);
        person.version += 1;
    }

    Ok(applied_if(is_new, done(status)))
}

pub(super) fn applied_if(is_new: bool, reply: Reply) -> Reply {
    if is_new { reply.applied() } else { reply }
}

/// The status and the delay of a write that may also be accepted only.
pub(super) fn outcome(ask: &Ask<'_>, switch: &str) -> (u16, Duration) {
    match ask.value(switch) {
        "accepted" => (202, ask.world.options.delete_delay),
        "no_content" => (204, Duration::ZERO),
        _ => (200, Duration::ZERO),
    }
}

pub(super) fn revoke_tokens(ask: &Ask<'_>) -> Result<Reply, Refused> {
    let id = id_after(ask.call, "tokens")?;
    Parameters::of(ask.call, &[])?;
    no_body(ask.call)?;
    let mut people = ask.people();
    let Some(person) = people
        .get_mut(&id)
        .filter(|person| person.state() != State::Deleted)
    else {
        return Ok(not_found("user"));
    };
    if !person.sessions.iter().any(Held::is_live) && ask.says("revoke_without_tokens", "not_found")
    {
        return Ok(not_found("token"));
    }

    let (status, delay) = outcome(ask, "revoke_answer");
    let mut is_new = false;
    for session in &mut person.sessions {
        is_new |= session.end(delay);
    }
    Ok(applied_if(is_new, done(status)))
}
