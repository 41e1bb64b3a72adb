//! The entry of every API call: fault, latency, token, quota, scopes, operation, ledger.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use futures_util::stream;

use super::faults::Fault;
use super::ledger::Entry;
use super::options::RetryAfterStyle;
use super::quota::Quota;
use super::reply::Reply;
use super::world::{World, now, system_now};
use super::{analytics, iam, oauth, routing, scim};

const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

pub(super) struct Call {
    pub(super) operation: &'static str,
    /// The ID of the user or queue in the path.
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) fault: Option<Fault>,
}

impl Call {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn user_id(&self) -> Option<String> {
        match self.operation {
            "get_queue" | "patch_queue" | "token" | "unknown" => None,
            "query_conversations" | "next_conversations" => analytics::participant(self),
            _ => Some(self.id.to_lowercase()),
        }
    }

    /// The quota and the scopes that the call needs.
    fn needs<'w>(&self, world: &'w World) -> Option<(&'w Quota, &'static [&'static str])> {
        Some(match self.operation {
            "get_user" => (&world.routing, &["user:read"]),
            "delete_user" => (&world.routing, &["iam:write"]),
            "get_routing_profile" | "get_queue" => (&world.routing, &["routing:read"]),
            "patch_routing_profile" | "patch_queue" => (&world.routing, &["routing:write"]),
            "get_scim_user" => (&world.scim, &["scim:read"]),
            "put_scim_user" => (&world.scim, &["scim:write"]),
            "query_conversations" | "next_conversations" => {
                (&world.analytics, &["conversations:read", "analytics:read"])
            }
            _ => return None,
        })
    }
}

/// The operation in the `OpenAPI` document, and the ID in its path.
fn operation(method: &Method, path: &str) -> (&'static str, String) {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (operation, id) = match (method.as_str(), segments.as_slice()) {
        ("POST", ["api", "v2", "oauth", "token"]) => ("token", ""),
        ("GET", ["api", "v2", "iam", "users", id]) => ("get_user", *id),
        ("DELETE", ["api", "v2", "iam", "users", id]) => ("delete_user", *id),
        ("GET", ["api", "v2", "routing", "users", id, "routingprofile"]) => {
            ("get_routing_profile", *id)
        }
        ("PATCH", ["api", "v2", "routing", "users", id, "routingprofile"]) => {
            ("patch_routing_profile", *id)
        }
        ("GET", ["api", "v2", "routing", "queues", id]) => ("get_queue", *id),
        ("PATCH", ["api", "v2", "routing", "queues", id]) => ("patch_queue", *id),
        ("GET", ["api", "v2", "scim", "v2", "Users", id]) => ("get_scim_user", *id),
        ("PUT", ["api", "v2", "scim", "v2", "Users", id]) => ("put_scim_user", *id),
        ("POST", ["api", "v2", "conversations", "details", "query"]) => ("query_conversations", ""),
        ("GET", ["api", "v2", "conversations", "details", "query"]) => ("next_conversations", ""),
        _ => ("unknown", ""),
    };
    (operation, id.to_owned())
}

pub(super) async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let started_at = now();
    let (parts, body) = request.into_parts();
    let (operation, id) = operation(&parts.method, parts.uri.path());
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES)
        .await
        .unwrap_or_default();
    let mut call = Call {
        operation,
        id,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        fault: None,
    };
    let user_id = call.user_id();

    call.fault = world.faults.strike(operation, user_id.as_deref());
    let mut entry = Entry {
        seq: 0,
        started_at,
        ended_at: started_at,
        operation,
        method: call.method.to_string(),
        path: call.path.clone(),
        user_id,
        status: 0,
        applied: false,
        correlation_id: call.header("x-correlation-id").map(str::to_owned),
        has_accept: call.headers.contains_key(header::ACCEPT),
        if_match: call.header("if-match").map(str::to_owned),
        fault: call.fault.as_ref().map(Fault::name),
    };
    tokio::time::sleep(latency(&world, &call)).await;
    if call.fault == Some(Fault::LostRequest) {
        world.ledger.add(entry);
        cut();
    }
    let reply = after_fault(dispatch(&world, &call), &call);
    entry.applied = reply.applied;
    if call.fault == Some(Fault::LostReply) {
        world.ledger.add(entry);
        cut();
    }
    entry.status = reply.status;
    world.ledger.add(entry);
    let body = streamed_body(&reply, &call);

    reply.into_response(body)
}

/// Closes the connection without an answer: the task that serves it unwinds.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("the connection is cut on request"))
}

fn latency(world: &World, call: &Call) -> Duration {
    let usual = match call.operation {
        "query_conversations" | "next_conversations" => world
            .options
            .latency_analytics
            .unwrap_or(world.options.latency),
        _ => world.options.latency,
    };
    match call.fault {
        Some(Fault::Latency { ms }) => usual + Duration::from_millis(ms),
        _ => usual,
    }
}

fn dispatch(world: &World, call: &Call) -> Reply {
    if let Some(reply) = instead(call) {
        return reply;
    }
    if call.operation == "token" {
        return oauth::token(world, call);
    }
    let Some((quota, scopes)) = call.needs(world) else {
        return Reply::error(404, "not_found", "no such operation");
    };
    let token = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if call.fault == Some(Fault::RevokeToken) {
        world.revoke(token);
    }
    let Some(granted) = world.scopes_of(token) else {
        let mut reply = Reply::error(
            401,
            "unauthorized",
            "the token is missing, expired or revoked",
        );
        reply.header("www-authenticate", "Bearer error=\"invalid_token\"");
        return reply;
    };
    if !quota.admit() {
        return over_quota(world);
    }
    if !scopes.iter().all(|scope| granted.contains(*scope)) {
        let mut reply = Reply::error(403, "insufficient_scope", "the client lacks a scope");
        reply.header("www-authenticate", "Bearer error=\"insufficient_scope\"");
        return reply;
    }
    // Some endpoints of the real API answer so.
    if !call.headers.contains_key(header::ACCEPT) {
        return Reply::error(406, "not_acceptable", "No known way to render data");
    }

    match call.operation {
        "get_user" => iam::get(world, call),
        "delete_user" => iam::delete(world, call),
        "get_routing_profile" => routing::get_profile(world, call),
        "patch_routing_profile" => routing::patch_profile(world, call),
        "get_queue" => routing::get_queue(world, call),
        "patch_queue" => routing::patch_queue(world, call),
        "get_scim_user" => scim::get(world, call),
        "put_scim_user" => scim::put(world, call),
        "query_conversations" => analytics::query(world, call),
        _ => analytics::next(world, call),
    }
}

fn over_quota(world: &World) -> Reply {
    let mut reply = Reply::error(429, "too_many_requests", "over quota");
    match world.options.retry_after {
        RetryAfterStyle::Seconds => reply.header("retry-after", "1"),
        RetryAfterStyle::Date => {
            let due = system_now() + Duration::from_secs(1);
            reply.header("retry-after", &httpdate::fmt_http_date(due));
        }
        RetryAfterStyle::None => {}
    }
    reply
}

/// The answer of a fault that replaces the operation.
fn instead(call: &Call) -> Option<Reply> {
    match call.fault.as_ref()? {
        Fault::Status {
            status,
            code,
            headers,
            body,
            content_type,
        } => {
            let mut reply = match (body, code) {
                (Some(body), _) => Reply::new(
                    *status,
                    content_type.as_deref().unwrap_or("application/json"),
                    body.as_bytes(),
                ),
                (None, Some(code)) => Reply::error(*status, code, "as asked for"),
                (None, None) => Reply::empty(*status),
            };
            for (name, value) in headers {
                reply.header(name, value);
            }
            Some(reply)
        }
        Fault::Redirect { location } => {
            let mut reply = Reply::empty(307);
            reply.header("location", location);
            Some(reply)
        }
        Fault::Html => Some(Reply::new(
            200,
            "text/html",
            "<html><body>Sorry!</body></html>",
        )),
        Fault::Latency { .. }
        | Fault::LostReply
        | Fault::LostRequest
        | Fault::Conflict { .. }
        | Fault::NextPage { .. }
        | Fault::SamePage
        | Fault::EmptyPage
        | Fault::Truncate
        | Fault::Drip { .. }
        | Fault::Endless
        | Fault::GzipBomb
        | Fault::RevokeToken => None,
    }
}

/// Applies a fault to a finished answer.
fn after_fault(mut reply: Reply, call: &Call) -> Reply {
    match call.fault {
        Some(Fault::Truncate) => reply.body.truncate(reply.body.len() / 2),
        Some(Fault::GzipBomb) => reply.header("content-encoding", "gzip"),
        _ => {}
    }
    reply
}

/// Bodies that arrive slowly, or never end.
fn streamed_body(reply: &Reply, call: &Call) -> Option<Body> {
    match call.fault {
        Some(Fault::Drip { bytes_per_second }) => {
            let body = reply.body.clone();
            let pause = Duration::from_nanos(1_000_000_000 / bytes_per_second.max(1));
            Some(Body::from_stream(stream::unfold(0_usize, move |at| {
                let byte = body.get(at).copied();
                async move {
                    tokio::time::sleep(pause).await;
                    byte.map(|byte| (Ok::<_, std::io::Error>(Bytes::from(vec![byte])), at + 1))
                }
            })))
        }
        Some(Fault::Endless) => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            Some(Body::from_stream(stream::repeat_with(move || {
                Ok::<_, std::io::Error>(chunk.clone())
            })))
        }
        _ => None,
    }
}
