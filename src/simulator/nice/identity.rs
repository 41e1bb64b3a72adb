//! Accounts, the numbers of their agents, and deactivation.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, bad, not_found, refuse};
use super::form::{Query, body, integer, uuid};
use super::people::{TENANT_ID, User};
use super::token::end_tokens;
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;
use crate::simulator::world::now;

pub(super) fn user(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let Some(id) = uuid(&ask.place.id) else {
        return bad(ask.call, "userId is no UUID");
    };
    let mut people = ask.people();
    let Some(user) = people.users.get_mut(&id) else {
        return match ask.world.unknowns.get("unknown_user") {
            "200_empty" => Ok(Reply::json(200, "{}")),
            "400" => bad(ask.call, "no such user"),
            _ => not_found(ask.call, "no such user"),
        };
    };

    let shows_active = user.is_active() || user.lagging > 0;
    user.lagging = user.lagging.saturating_sub(1);
    if !shows_active && ask.is("deactivated_user", "404") {
        return not_found(ask.call, "no such user");
    }
    let hides_agent = !shows_active && ask.is("agent_of_inactive", "404_and_no_acd_info");
    let agent = user.agent().filter(|_| !hides_agent);
    let document = json!({ "user": account(user, agent, shows_active) });
    Ok(Reply::json(200, document.to_string()))
}

fn account(user: &User, agent: Option<u64>, shows_active: bool) -> Value {
    let agents: Vec<Value> = agent
        .map(|number| json!({ "loginId": number.to_string() }))
        .into_iter()
        .collect();
    let identity = user.record.external_identity.then_some("okta-00u1");
    let deleted = user.deactivated_at.filter(|_| !shows_active);
    json!({
        "id": user.id, "tenantId": TENANT_ID, "userName": user.name(), "emailAddress": user.name(),
        "firstName": "Agent", "lastName": user.number.to_string(),
        "status": if shows_active { "ACTIVE" } else { "DELETED" },
        "deletedDate": deleted.map(|at| at.to_string()), "externalIdentity": identity,
        "teamId": user.team_id(), "role": "Agent", "acdInfos": agents,
        "groupIds": user.groups.iter().map(u64::to_string).collect::<Vec<_>>(),
    })
}

pub(super) fn agent(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &["fields"])?;
    let people = ask.people();
    let id = match integer(&ask.place.id) {
        Some(number) => people.id_of_agent(number).map(str::to_owned),
        None => match uuid(&ask.place.id) {
            Some(id) => Some(id),
            None => {
                return bad(
                    ask.call,
                    "the agent is named by neither a number nor a UUID",
                );
            }
        },
    };
    let found = id.and_then(|id| people.users.get(&id));
    let Some((user, number)) = found.and_then(|user| Some((user, user.agent()?))) else {
        return no_agent(ask, ask.world.unknowns.get("no_agent"));
    };

    if !user.is_active() && !ask.is("agent_of_inactive", "shown") {
        return no_agent(ask, ask.world.unknowns.get("agent_of_inactive"));
    }
    // The spelling differs between versions.
    let spelling = if ask.place.version < 30 {
        "userID"
    } else {
        "userId"
    };
    let mut agent = json!({
        "agentId": number, spelling: user.id, "userName": user.name(),
        "isActive": user.is_active(), "teamId": 1, "teamUuId": user.team_id(), "profileId": 2,
        "isSupervisor": user.record.lead, "federatedId": null, "lastLogin": "2026-01-02T03:04:05Z",
    });
    if let (Some(fields), Some(members)) = (query.get("fields"), agent.as_object_mut()) {
        members.retain(|name, _| fields.split(',').any(|field| field.trim() == name));
    }
    Ok(Reply::json(200, json!({ "agents": [agent] }).to_string()))
}

fn no_agent(ask: &Ask<'_>, how: &str) -> Answer {
    match how {
        "204" => Ok(Reply::empty(204)),
        "200_empty" => Ok(Reply::json(200, r#"{"agents":[]}"#)),
        _ => not_found(ask.call, "no such agent"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Deactivation {
    user_ids: Vec<String>,
}

/// The user whom a deactivation names.
pub(super) fn meant(call: &Call) -> Option<String> {
    let sent: Deactivation = serde_json::from_slice(&call.body).ok()?;
    sent.user_ids.first().map(|id| id.to_lowercase())
}

/// A POST that writes. A user who is listed in its 200 was not deactivated.
pub(super) fn deactivate(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let sent: Deactivation = body(ask.call)?;
    let [id] = sent.user_ids.as_slice() else {
        return bad(ask.call, "userIds has not exactly one element");
    };
    let Some(id) = uuid(id) else {
        return bad(ask.call, "userIds has an element that is no UUID");
    };
    let listed = || {
        let body = json!({ "notDeletedUserIds": [id] });
        Ok(Reply::json(200, body.to_string()))
    };
    let mut people = ask.people();
    let Some(user) = people.users.get_mut(&id) else {
        return listed();
    };

    if !user.is_active() {
        return match ask.world.unknowns.get("deactivate_repeat") {
            "listed" => listed(),
            "400" => bad(ask.call, "the user is not active"),
            "404" => not_found(ask.call, "no such user"),
            _ => Ok(Reply::json(200, r#"{"notDeletedUserIds":[]}"#)),
        };
    }
    if user.record.external_identity {
        return match ask.world.unknowns.get("deactivate_idp") {
            "400" => bad(ask.call, "an identity provider manages the user"),
            "403" => refuse(
                ask.call,
                403,
                "forbidden",
                "an identity provider manages the user",
            ),
            _ => listed(),
        };
    }
    user.deactivated_at = Some(now());
    user.lagging = user.record.lagging_reads;
    let ends = ask.world.unknowns.get("deactivate_ends");
    if matches!(ends, "sessions" | "all") {
        user.sessions = 0;
        end_tokens(ask, user);
    }
    if matches!(ends, "keys" | "all") {
        user.disable_keys();
    }
    let status = if ask.is("deactivate_done", "later") {
        user.lagging = user.lagging.max(2);
        202
    } else {
        200
    };

    Ok(Reply::json(status, r#"{"notDeletedUserIds":[]}"#).applied())
}
