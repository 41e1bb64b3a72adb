//! The token endpoint.

use serde_json::json;

use crate::simulator::form::Form;
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;
use crate::simulator::world::World;

/// Client credentials, by Basic authentication or in the body (RFC 6749 sections 2.3.1 and 4.4).
pub(super) fn token(world: &World, call: &Call) -> Reply {
    let refuse = |status, error: &str| Reply::json(status, json!({ "error": error }).to_string());
    let Some(form) = Form::of(call) else {
        return refuse(400, "invalid_request");
    };
    if form.member("grant_type") != Some("client_credentials") {
        return refuse(400, "unsupported_grant_type");
    }
    let presented = call.client(&form);
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
    let token = format!("sim-{}", uuid::Uuid::new_v4());
    let scopes = world.issue_token(&token);
    let expires_in = world.expires_in();
    let scope = scopes.into_iter().collect::<Vec<_>>().join(" ");
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in, "scope": scope});

    Reply::json(200, body.to_string())
}
