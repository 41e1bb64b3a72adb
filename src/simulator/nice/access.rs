//! Sessions and access keys.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, not_found, refuse};
use super::form::{Query, body, no_body};
use super::people::{Key, TENANT_ID, User};
use crate::simulator::reply::Reply;

/// A POST that writes, without a body.
pub(super) fn log_out(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    no_body(ask.call)?;
    let number = ask.agent_number()?;
    let mut people = ask.people();
    let Some(user) = people.agent_mut(number) else {
        return not_found(ask.call, "no such agent");
    };

    if user.sessions == 0 {
        return match ask.world.unknowns.get("logout_no_session") {
            "202" => Ok(Reply::json(202, "{}")),
            "204" => Ok(Reply::empty(204)),
            "404" => not_found(ask.call, "the agent has no session"),
            "409" => refuse(ask.call, 409, "conflict", "the agent has no session"),
            _ => Ok(Reply::json(200, "{}")),
        };
    }
    user.sessions = 0;
    Ok(Reply::json(200, "{}").applied())
}

pub(super) fn keys(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &["userId"])?;
    let id = query.uuid("userId")?;
    let people = ask.people();
    let Some(user) = people.users.get(&id) else {
        return not_found(ask.call, "no such user");
    };
    let keys: Vec<Value> = user.keys.iter().map(|key| shown(user, key)).collect();
    let is_empty = keys.is_empty();
    let page = json!({
        "totalRecords": keys.len(), "_links": { "self": null, "next": null, "previous": null },
        "accessKeys": keys,
    });

    Ok(if is_empty {
        ask.nothing(page.to_string())
    } else {
        Reply::json(200, page.to_string())
    })
}

/// Never with a secret.
fn shown(user: &User, key: &Key) -> Value {
    let mut document = json!({
        "accessKeyId": key.id, "userId": user.id, "tenantId": TENANT_ID, "isActive": key.is_active,
        "lastUsedDate": null,
    });
    if let (Some(number), Some(members)) = (user.agent(), document.as_object_mut()) {
        members.insert("agentId".to_owned(), number.into());
    }
    document
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    is_active: bool,
}

/// Disables a key, or enables it again.
pub(super) fn disable_key(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &["accessKeyId", "userId"])?;
    let id = query.uuid("userId")?;
    let key_id = query.needed("accessKeyId")?;
    let change: Change = body(ask.call)?;
    let mut people = ask.people();
    let Some(user) = people.users.get_mut(&id) else {
        return not_found(ask.call, "no such user");
    };
    let Some(key) = user.keys.iter_mut().find(|key| key.id == key_id) else {
        return not_found(ask.call, "the user has no such key");
    };

    let was_active = std::mem::replace(&mut key.is_active, change.is_active);
    let key = Key {
        id: key.id.clone(),
        is_active: change.is_active,
    };
    let reply = Reply::json(200, shown(user, &key).to_string());
    Ok(if was_active == change.is_active {
        reply
    } else {
        reply.applied()
    })
}
