//! The token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::gate::Call;
use super::reply::Reply;
use super::world::World;

/// Client credentials, by Basic authentication or in the body (RFC 6749 sections 2.3.1 and 4.4).
pub(super) fn token(world: &World, call: &Call) -> Reply {
    let refuse = |status, error: &str| Reply::json(status, json!({ "error": error }).to_string());
    let is_form = call
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));

    if !is_form {
        return refuse(400, "invalid_request");
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&call.body)
        .into_owned()
        .collect();
    let member = |name: &str| {
        form.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    if member("grant_type").as_deref() != Some("client_credentials") {
        return refuse(400, "unsupported_grant_type");
    }
    let basic = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = |text: &str| {
        url::form_urlencoded::parse(text.as_bytes())
            .next()
            .map(|(name, _)| name.into_owned())
            .unwrap_or_default()
    };
    let presented = match basic.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((id, secret)) => (decoded(id), decoded(secret)),
        None => (
            member("client_id").unwrap_or_default(),
            member("client_secret").unwrap_or_default(),
        ),
    };
    if presented
        != (
            world.options.client_id.clone(),
            world.options.client_secret.clone(),
        )
    {
        let mut reply = refuse(401, "invalid_client");
        reply.header("www-authenticate", "Basic realm=\"simulator\"");
        return reply;
    }
    let (token, scopes) = world.issue_token();
    let seconds = world.options.token_lifetime.as_secs();
    let expires_in = if world.options.expires_in_string {
        json!(seconds.to_string())
    } else {
        json!(seconds)
    };
    let scope = scopes.into_iter().collect::<Vec<_>>().join(" ");
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in, "scope": scope});

    Reply::json(200, body.to_string())
}
