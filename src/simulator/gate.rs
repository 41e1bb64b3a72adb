//! The entry of every API call: fault, latency, the API in force, ledger.

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
use super::reply::Reply;
use super::world::{World, now, system_now};

const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

pub(super) struct Call {
    pub(super) operation: &'static str,
    /// The ID in the path.
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

    /// The token that is presented; empty without one.
    pub(super) fn bearer(&self) -> &str {
        self.header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default()
    }
}

pub(super) async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let started_at = now();
    let (parts, body) = request.into_parts();
    let (operation, id) = world.api.operation(&parts.method, parts.uri.path());
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
    let user_id = world.api.user_id(&call);

    call.fault = world.faults.strike(operation, user_id.as_deref());
    let mut entry = Entry {
        seq: 0,
        started_at,
        ended_at: started_at,
        operation,
        method: call.method.to_string(),
        path: call.path.clone(),
        query: call.query.clone(),
        user_id,
        status: 0,
        applied: false,
        correlation_id: call
            .header(world.api.correlation_header())
            .map(str::to_owned),
        answered_correlation_id: None,
        has_accept: call.headers.contains_key(header::ACCEPT),
        if_match: call.header("if-match").map(str::to_owned),
        fault: call.fault.as_ref().map(Fault::name),
    };
    tokio::time::sleep(latency(&world, &call)).await;
    if call.fault == Some(Fault::LostRequest) {
        world.ledger.add(entry);
        cut();
    }
    let mut reply = after_fault(dispatch(&world, &call), &call);
    world.api.finish(&world, &call, &mut reply);
    entry.applied = reply.applied;
    if call.fault == Some(Fault::LostReply) {
        world.ledger.add(entry);
        cut();
    }
    entry.status = reply.status;
    entry.answered_correlation_id = reply
        .headers
        .get(world.api.correlation_header())
        .and_then(|id| Some(id.to_str().ok()?.to_owned()));
    world.ledger.add(entry);
    let body = streamed_body(&reply, &call);

    reply.into_response(body)
}

/// Closes the connection without an answer: the task that serves it unwinds.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new("the connection is cut on request"))
}

fn latency(world: &World, call: &Call) -> Duration {
    let usual = if world.api.serves_conversations(call.operation) {
        world
            .options
            .latency_analytics
            .unwrap_or(world.options.latency)
    } else {
        world.options.latency
    };
    match call.fault {
        Some(Fault::Latency { ms }) => usual + Duration::from_millis(ms),
        _ => usual,
    }
}

fn dispatch(world: &World, call: &Call) -> Reply {
    if let Some(reply) = instead(world, call) {
        return reply;
    }
    if call.fault == Some(Fault::RevokeToken) {
        world.revoke(call.bearer());
    }
    world.api.answer(world, call)
}

/// Says in a 429 when to retry.
pub(super) fn over_quota(world: &World, mut reply: Reply) -> Reply {
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
fn instead(world: &World, call: &Call) -> Option<Reply> {
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
                (None, Some(code)) => world.api.error(call, *status, code, "as asked for"),
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
        | Fault::Drift { .. }
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
