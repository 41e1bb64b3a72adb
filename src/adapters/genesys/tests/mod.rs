//! The client against small servers that answer as `docs/contract/genesys-openapi.yaml` says, and as it does not.

mod access;
mod clearing;
mod conversations;
mod deletion;
mod giving_back;
mod groups;
mod reads;
mod survey;
mod users;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{GenesysClient, GenesysOptions};
use crate::adapters::http::{ApiOptions, Grant, LocalQuotas};
use crate::clock::Clock;
use crate::job::UserId;
use crate::machine::Call;
use crate::progress::Progress;
use crate::secret::Secret;

const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";

fn user_id() -> UserId {
    ID.parse().unwrap()
}

/// A call as the server received it.
struct Asked {
    /// Method, and path below `/api/v2` with its query.
    line: String,
    body: Value,
    /// How often the same line was asked before.
    before: usize,
}

struct Answer {
    status: u16,
    body: String,
    headers: Vec<(&'static str, String)>,
}

/// A text is the body; anything else is sent as JSON.
fn answer(status: u16, body: impl Into<Value>) -> Answer {
    let body = match body.into() {
        Value::String(text) => text,
        json => json.to_string(),
    };
    Answer {
        status,
        body,
        headers: Vec::new(),
    }
}

/// An error in the form of the API.
fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({
        "message": message, "code": code, "status": status, "contextId": "c0ffee",
        "details": [], "errors": [],
    });
    answer(status, body)
}

fn not_found() -> Answer {
    error(404, "not.found", "The requested resource was not found.")
}

fn forbidden() -> Answer {
    error(
        403,
        "missing.any.permissions",
        "Unable to perform the requested action.",
    )
}

fn version_conflict(status: u16, code: &str) -> Answer {
    error(
        status,
        code,
        "The supplied version 6 does not match the current version 7",
    )
}

fn user(state: &str, version: u64) -> Answer {
    let body = json!({
        "id": ID, "name": "A. Person", "username": "a@example.com", "email": "a@example.com",
        "state": state, "version": version, "selfUri": format!("/api/v2/users/{ID}"),
    });
    answer(200, body)
}

/// One page that is the whole list.
fn whole(entities: &Value) -> Answer {
    let total = entities.as_array().unwrap().len();
    let body = json!({
        "entities": entities, "pageSize": 100, "pageNumber": 1, "pageCount": 1, "total": total,
    });
    answer(200, body)
}

struct Server {
    client: GenesysClient,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// The calls that were received, without the token.
    fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    fn count(&self, begins: &str) -> usize {
        self.seen()
            .iter()
            .filter(|line| line.starts_with(begins))
            .count()
    }
}

async fn serve(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
    serve_with(true, answer).await
}

/// Serves until the test ends.
async fn serve_with(
    leave_groups: bool,
    answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> Server {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let counts = Arc::new(Mutex::new(HashMap::new()));
    let answer = Arc::new(answer);

    let app = Router::new().fallback(move |request: Request| {
        let requests = Arc::clone(&requests);
        let counts = Arc::clone(&counts);
        let answer = Arc::clone(&answer);
        async move {
            if request.uri().path() == "/token" {
                return Response::new(Body::from(
                    r#"{"access_token":"t1","token_type":"bearer","expires_in":86400}"#,
                ));
            }
            let target = request.uri().path_and_query().unwrap().to_string();
            let path = target.strip_prefix("/api/v2").unwrap();
            let line = format!("{} {path}", request.method());
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let body = if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body).unwrap()
            };
            let before = {
                let mut counts = counts.lock();
                let count: &mut usize = counts.entry(line.clone()).or_default();
                *count += 1;
                *count - 1
            };
            requests.lock().push(line.clone());
            let given = answer(&Asked { line, body, before });
            let mut response = Response::builder().status(given.status);
            for (name, value) in given.headers {
                response = response.header(name, value);
            }
            response.body(Body::from(given.body)).unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: url::Url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    Server {
        client: client(base, leave_groups),
        seen,
    }
}

fn client(base: url::Url, leave_groups: bool) -> GenesysClient {
    let http = ApiOptions {
        token_uri: base.join("/token").unwrap(),
        base_uri: base,
        ca: None,
        client_id: "client".to_owned(),
        client_secret: Secret::new("secret"),
        grant: Grant::ClientCredentials,
        rate_routing: None,
        rate_scim: None,
        rate_analytics: None,
        quotas: Arc::new(LocalQuotas::default()),
        page_size: 100,
        second_read_after: Duration::from_millis(1),
        clock: Clock::system(),
        progress: Progress::default(),
    };
    let client = GenesysClient::new(GenesysOptions {
        http,
        leave_groups,
        window_days: Some(7),
    });
    client.unwrap()
}

/// `GET 200`, and what the call notes.
fn shown(calls: &[Call]) -> Vec<String> {
    let shown = calls.iter().map(|call| {
        let note = call.note.as_deref().unwrap_or_default();
        let path = call.path.replace("/api/v2", "").replace(ID, "U");
        format!("{} {path} {} {note}", call.method, call.status)
    });
    shown.map(|line| line.trim_end().to_owned()).collect()
}
