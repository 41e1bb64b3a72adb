//! The token of the client, and what it may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::form::Form;
use super::super::reply::Reply;
use super::Ask;
use super::errors::{bad_request, error, not_authorized, not_found};
use super::request::{Parameters, Refused};

const ORGANISATION_ID: &str = "0a9a0000-5eed-4000-8000-000000000001";

fn refused(status: u16, word: &str, description: &str) -> Reply {
    let body = json!({"error": word, "description": description, "error_description": description});
    Reply::json(status, body.to_string())
}

/// Client credentials, by Basic authentication.
pub(super) fn token(ask: &Ask<'_>) -> Reply {
    let Some(form) = Form::of(ask.call) else {
        return refused(400, "invalid_request", "the body is no form");
    };
    let names: Vec<&str> = form.members.iter().map(|(name, _)| name.as_str()).collect();
    if names != ["grant_type"] {
        return refused(400, "invalid_request", "the form has not just grant_type");
    }
    if form.member("grant_type") != Some("client_credentials") {
        return refused(400, "unsupported_grant_type", "the grant is not supported");
    }
    let options = &ask.world.options;
    let (id, secret) = ask.call.client(&form);
    if (id, secret) != (options.client_id.clone(), options.client_secret.clone()) {
        let status = if ask.says("token_refusal", "401") {
            401
        } else {
            400
        };
        return refused(status, "invalid_client", "client not found or wrong secret");
    }

    let token = format!("sim-{}", Uuid::new_v4());
    ask.world.issue_token(&token);
    let expires_in = ask.world.expires_in();
    let body = json!({"access_token": token, "token_type": "bearer", "expires_in": expires_in});
    Reply::json(200, body.to_string())
}

pub(super) fn token_info(ask: &Ask<'_>) -> Result<Reply, Refused> {
    Parameters::of(ask.call, &["preserveIdleTTL"])?.boolean("preserveIdleTTL", false)?;
    let organisation = json!({"id": ORGANISATION_ID, "name": "Simulated"});
    let body = json!({
        "organization": organisation, "homeOrganization": organisation,
        "authorizedScope": [],
        "OAuthClient": {"id": ask.world.options.client_id, "name": "offboarder", "organization": organisation},
    });

    Ok(Reply::json(200, body.to_string()))
}

/// Permissions such as `directory:user:edit`, as the policies of a role.
fn policies(rights: &BTreeSet<String>) -> Vec<Value> {
    let mut actions: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for right in rights {
        let parts: Vec<&str> = right.splitn(3, ':').collect();
        if let [domain, entity, action] = parts.as_slice() {
            actions.entry((domain, entity)).or_default().push(action);
        }
    }
    actions
        .into_iter()
        .map(|((domain, entity), actions)| {
            json!({"domain": domain, "entityName": entity, "actions": actions})
        })
        .collect()
}

pub(super) fn own_grants(ask: &Ask<'_>, rights: &BTreeSet<String>) -> Result<Reply, Refused> {
    Parameters::of(ask.call, &[])?;
    match ask.value("own_grants") {
        "forbidden" => return Ok(not_authorized()),
        "not_found" => return Ok(not_found("subject")),
        "bad_request" => return Ok(bad_request("The token is no user's")),
        _ => {}
    }
    let client = &ask.world.options.client_id;
    // `*` is all divisions.
    let division = if ask.says("grant_divisions", "one") {
        json!({"id": super::DIVISION_ID, "name": "Home"})
    } else {
        json!({"id": "*", "name": ""})
    };
    let body = json!({
        "id": client, "name": "offboarder",
        "grants": [{
            "subjectId": client, "division": division,
            "role": {"id": "0a9a0000-5eed-4000-8000-000000000002", "name": "Off-boarding", "policies": policies(rights)},
        }],
    });

    Ok(Reply::json(200, body.to_string()))
}

pub(super) fn limits(ask: &Ask<'_>) -> Result<Reply, Refused> {
    Parameters::of(ask.call, &[])?;
    let namespace = ask.call.path.rsplit('/').next().unwrap_or_default();
    let known = !ask.says("limit_namespaces", "others");
    let limits: &[(&str, u64)] = match namespace {
        "client.credentials" if known => &[("token.rate.per.minute", 300)],
        "analytics" if known => &[("conversation.details.query.rate.per.minute", 300)],
        _ => {
            return Ok(error(
                404,
                "general.resource.not.found",
                "no such namespace",
            ));
        }
    };
    let entities: Vec<Value> = limits
        .iter()
        .map(|(key, value)| json!({"key": key, "namespace": namespace, "value": value}))
        .collect();

    Ok(Reply::json(200, json!({"entities": entities}).to_string()))
}
