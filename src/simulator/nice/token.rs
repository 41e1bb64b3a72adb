//! Discovery, tokens, and what a token may do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, bad, not_found, refuse};
use super::form::Query;
use super::people::{BUSINESS_UNIT, SERVICE_ID, TENANT_ID, User};
use crate::simulator::form::Form;
use crate::simulator::reply::Reply;
use crate::simulator::world::now;

fn origin(ask: &Ask<'_>) -> String {
    format!("http://{}", ask.call.header("host").unwrap_or("127.0.0.1"))
}

pub(super) fn discover_tenant(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &["tenantId"])?;
    if query.needed("tenantId")? != TENANT_ID {
        return not_found(ask.call, "no such tenant");
    }
    let origin = origin(ask);
    let body = json!({
        "api_endpoint": origin, "auth_endpoint": origin, "ui_endpoint": origin, "area": "na1",
        "cluster": "C1", "domain": "sim.example", "acdDomain": "acd.sim.example",
        "uhDomain": "uh.sim.example", "globaldomain": "sim.example", "tenantId": TENANT_ID,
        "private": false,
    });
    Ok(Reply::json(200, body.to_string()))
}

pub(super) fn discover_issuer(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let origin = origin(ask);
    let body = json!({
        "issuer": origin, "token_endpoint": format!("{origin}/auth/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": ["authorization_code", "password", "refresh_token"],
    });
    Ok(Reply::json(200, body.to_string()))
}

/// The members that a form may have.
const KNOWN: [&str; 6] = [
    "grant_type",
    "username",
    "password",
    "client_id",
    "client_secret",
    "refresh_token",
];

/// The password grant with an access key; its rights are those of the role of the key's owner.
pub(super) fn token(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let Some(form) = Form::of(ask.call) else {
        return bad(ask.call, "the body is no form");
    };
    let stray = |(name, _): &&(String, String)| !KNOWN.contains(&name.as_str());
    if let Some((name, _)) = form.members.iter().find(stray) {
        return bad(ask.call, &format!("the member {name:?} is not known"));
    }
    check_client(ask, &form)?;

    let options = &ask.world.options;
    match form.member("grant_type") {
        Some("password") => {
            let key = (
                options.access_key_id.as_str(),
                options.access_key_secret.as_str(),
            );
            let sent = (
                form.member("username").unwrap_or_default(),
                form.member("password").unwrap_or_default(),
            );
            if sent != key {
                return refuse(
                    ask.call,
                    400,
                    "invalid_grant",
                    "the access key is not known",
                );
            }
        }
        Some("refresh_token") => {
            let sent = form.member("refresh_token").unwrap_or_default();
            if !ask.tenant.refresh_tokens.lock().remove(sent) {
                return refuse(ask.call, 400, "invalid_grant", "no such refresh token");
            }
        }
        _ => {
            return refuse(
                ask.call,
                400,
                "unsupported_grant_type",
                "the grants are authorization_code, password and refresh_token",
            );
        }
    }
    check_owner(ask)?;

    Ok(issue(ask))
}

/// The client is needed, may be left out, or is refused by this issuer.
fn check_client(ask: &Ask<'_>, form: &Form) -> Result<(), Box<Reply>> {
    let options = &ask.world.options;
    let sent = ask.call.client(form);
    let is_ours = (sent.0.as_str(), sent.1.as_str())
        == (options.client_id.as_str(), options.client_secret.as_str());
    // A refresh is bound to the client alone.
    let is_refresh = form.member("grant_type") == Some("refresh_token");
    let is_left_out = sent.0.is_empty() && sent.1.is_empty();
    let is_taken = match ask.world.unknowns.get("client") {
        "refused" => false,
        "optional" if is_left_out => !is_refresh,
        _ => is_ours || (is_refresh && sent.0 == options.client_id && sent.1.is_empty()),
    };
    if is_taken {
        Ok(())
    } else {
        refuse(
            ask.call,
            401,
            "invalid_client",
            "the client is not admitted",
        )
    }
}

/// The key has to be active, and so has its owner.
fn check_owner(ask: &Ask<'_>) -> Result<(), Box<Reply>> {
    let people = ask.people();
    let Some(owner) = people.users.get(SERVICE_ID) else {
        return Ok(());
    };
    if !owner.is_active() {
        let status = if ask.is("key_of_deactivated_owner", "401") {
            401
        } else {
            400
        };
        return refuse(ask.call, status, "invalid_grant", "the user is not active");
    }
    let id = &ask.world.options.access_key_id;
    if owner.keys.iter().any(|key| key.id == *id && key.is_active) {
        Ok(())
    } else {
        refuse(ask.call, 400, "invalid_grant", "the access key is disabled")
    }
}

fn issue(ask: &Ask<'_>) -> Reply {
    let owner = ask.people().users.get(SERVICE_ID).map(|user| user.number);
    let number = owner.unwrap_or_default();
    let agent = if ask.is("claim_ic_agent_id", "text") {
        json!(number.to_string())
    } else {
        json!(number)
    };
    let sub = if ask.is("claim_sub", "prefixed") {
        format!("user:{SERVICE_ID}")
    } else {
        SERVICE_ID.to_owned()
    };
    let begun = now().as_second();
    let life = ask.world.options.token_lifetime.as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = [
        part(json!({ "alg": "RS256", "typ": "JWT", "kid": "sim" })),
        part(json!({
            "iss": origin(ask), "sub": sub, "aud": ask.world.options.client_id, "iat": begun,
            "exp": begun.saturating_add_unsigned(life), "jti": uuid::Uuid::new_v4().to_string(),
            "tenantId": TENANT_ID, "icBUId": BUSINESS_UNIT, "icClusterId": "C1", "icAgentId": agent,
        })),
        // Nobody here signs anything, and nobody may rely on a signature.
        URL_SAFE_NO_PAD.encode("simulated"),
    ]
    .join(".");
    ask.world.issue_token(&token);
    let refresh = format!("sim-refresh-{}", uuid::Uuid::new_v4());
    ask.tenant.refresh_tokens.lock().insert(refresh.clone());
    let body = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": ask.world.expires_in(),
        "refresh_token": refresh, "id_token": token,
    });
    Reply::json(200, body.to_string())
}

pub(super) fn api_version(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let version = format!("v{}.0", ask.place.version);
    let body = match ask.world.unknowns.get("apiversion_body") {
        "text" => json!(version).to_string(),
        "empty" => String::new(),
        _ => json!({ "version": version }).to_string(),
    };
    Ok(Reply::json(200, body))
}

/// What an agent's role may do; the simulator knows only that of the token.
pub(super) fn permissions(ask: &Ask<'_>) -> Answer {
    Query::of(ask.call, &[])?;
    let number = ask.agent_number()?;
    let people = ask.people();
    let Some(id) = people.id_of_agent(number) else {
        return not_found(ask.call, "no such agent");
    };
    let rights: Vec<Value> = if id == SERVICE_ID {
        ask.rights
            .iter()
            .map(|right| json!({ "name": right }))
            .collect()
    } else {
        Vec::new()
    };
    let body = json!({ "agentId": number, "permissions": rights });
    Ok(Reply::json(200, body.to_string()))
}

/// Of all users only the service employee has tokens here.
pub(super) fn end_tokens(ask: &Ask<'_>, user: &User) {
    if user.id == SERVICE_ID {
        ask.world.revoke(ask.call.bearer());
        ask.tenant.refresh_tokens.lock().clear();
    }
}
