//! A server with one employee, whose answers a test replaces.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::json;

use super::super::Client;
use crate::adapters::http::{ApiOptions, Grant, LocalQuotas};
use crate::clock::Clock;
use crate::job::UserId;
use crate::progress::Progress;
use crate::secret::Secret;

pub(super) const ID: &str = "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
pub(super) const OTHER: &str = "11111111-9a51-4b4b-8f6c-1f9a4f9b7c11";
pub(super) const OWN: &str = "22222222-9a51-4b4b-8f6c-1f9a4f9b7c11";
pub(super) const OWN_KEY: &str = "OWNKEY====";

/// The paths of one employee, who is the agent 17.
pub(super) const USER: &str = "GET /user-management/v3/users/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
pub(super) const DEACTIVATE: &str = "POST /user-management/v1/users/deactivate";
pub(super) const TEAMS: &str = "POST /user-management/v4/teams/search";
pub(super) const AGENT: &str =
    "GET /incontactapi/services/v34.0/agents/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11";
pub(super) const SKILLS: &str = "GET /incontactapi/services/v34.0/agents/17/skills";
pub(super) const GROUPS: &str = "GET /incontactapi/services/v34.0/agents/17/groups";
pub(super) const LOGOUT: &str = "POST /incontactapi/services/v34.0/agents/17/logout";
pub(super) const KEYS: &str = "GET /access-key-management/v1/access-keys";
pub(super) const KEY: &str = "PATCH /access-key-management/v1/access-keys";
pub(super) const CONTACTS: &str = "GET /incontactapi/services/v34.0/contacts/completed";

/// The access keys of our own employee.
pub(super) const OWN_KEYS: &str = "GET our own access keys";

/// Errors in the shapes of UserHub, of ACD, and of its gateway.
pub(super) const NOT_FOUND: (u16, &str) = (404, r#"{"code":"USER_NOT_FOUND","details":null}"#);
pub(super) const ACD_404: (u16, &str) = (
    404,
    r#"{"error":"not_found","error_description":"no agent"}"#,
);
pub(super) const SPRING_403: (u16, &str) = (
    403,
    r#"{"timestamp":1,"status":403,"error":"Forbidden","path":"/x"}"#,
);

pub(super) const ACTIVE: (u16, &str) = (
    200,
    r#"{"user":{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","userName":"ann@example.com","status":"ACTIVE","acdInfos":[{"loginId":"a"}]}}"#,
);
pub(super) const DELETED: (u16, &str) = (
    200,
    r#"{"user":{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","userName":"ann@example.com","status":"DELETED","acdInfos":[{"loginId":"a"}]}}"#,
);
pub(super) const NO_AGENT: (u16, &str) = (
    200,
    r#"{"user":{"id":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","status":"DELETED","acdInfos":[]}}"#,
);
pub(super) const AGENT_17: (u16, &str) = (
    200,
    r#"{"agents":[{"agentId":17,"userId":"3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11","isActive":true}]}"#,
);
pub(super) const NO_SKILLS: (u16, &str) = (200, r#"{"totalRecords":0,"agentSkillAssignments":[]}"#);
pub(super) const NO_GROUPS: (u16, &str) = (200, r#"{"agentGroups":[]}"#);
pub(super) const NO_TEAMS: (u16, &str) = (200, r#"{"totalRecords":0,"teams":[]}"#);
pub(super) const NO_KEYS: (u16, &str) = (200, r#"{"totalRecords":0,"accessKeys":[]}"#);
pub(super) const NO_CONTACTS: (u16, &str) = (200, r#"{"totalRecords":0,"completedContacts":[]}"#);

/// The status of an answer that never comes.
pub(super) const LOST: u16 = 0;

/// One request: `METHOD /path`, its query, and its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) what: String,
    pub(super) query: String,
    pub(super) body: String,
    pub(super) accept: String,
    pub(super) correlation_id: String,
}

type Scripted = Vec<(&'static str, Vec<(u16, String)>)>;

/// A server whose answers a test replaces, and what it was asked.
pub(super) struct Server {
    pub(super) client: Client,
    answers: Arc<Mutex<Scripted>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers a call with these answers, one after the other; the last one stays.
    pub(super) fn answer(&self, what: &'static str, answers: &[(u16, &str)]) -> &Self {
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        let mut scripted = self.answers.lock();
        scripted.retain(|(known, _)| *known != what);
        scripted.push((what, answers));
        self
    }

    /// What was called of the user: not the token, and not the one read of our own keys.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = self.seen.lock();
        let of_user = seen.iter().filter(|seen| seen.what != OWN_KEYS);
        of_user.cloned().collect()
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.what).collect()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        let seen = self.seen.lock();
        seen.iter().filter(|seen| seen.what == what).count()
    }

    pub(super) fn forget(&self) {
        self.seen.lock().clear();
    }
}

pub(super) fn ann() -> UserId {
    ID.parse().unwrap()
}

/// An active employee who is the agent 17, and has nothing that has to be taken away. The token names our own employee.
pub(super) async fn serve() -> Server {
    serve_with(&json!({ "tenantId": "t", "sub": format!("user:{OWN}") })).await
}

pub(super) async fn serve_with(claims: &serde_json::Value) -> Server {
    let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
    serve_with_token(&token).await
}

pub(super) async fn serve_with_token(token: &str) -> Server {
    let token = json!({ "access_token": token, "expires_in": 3600 }).to_string();
    let answers: Arc<Mutex<Scripted>> = Arc::default();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();

    let scripted = Arc::clone(&answers);
    let requests = Arc::clone(&seen);
    let app = Router::new().fallback(move |request: Request| {
        let token = token.clone();
        let scripted = Arc::clone(&scripted);
        let requests = Arc::clone(&requests);
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let header = |name: &str| {
                let value = parts.headers.get(name);
                value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
            };
            if parts.uri.path() == "/token" {
                return (StatusCode::OK, [("CorrelationId", "theirs")], token);
            }
            let is_own = parts.uri.query() == Some(format!("userId={OWN}").as_str());
            let what = if is_own {
                OWN_KEYS.to_owned()
            } else {
                format!("{} {}", parts.method, parts.uri.path())
            };
            requests.lock().push(Seen {
                what: what.clone(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                body: String::from_utf8(body.to_vec()).unwrap(),
                accept: header("accept"),
                correlation_id: header("CorrelationId"),
            });
            let (status, body) = next_answer(&scripted, &what);
            // The connection breaks after the request came.
            assert_ne!(status, LOST, "the answer of {what} is lost");
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("CorrelationId", "theirs")], body)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base: url::Url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let server = Server {
        client: client(&base),
        answers,
        seen,
    };
    let own_keys = json!({ "accessKeys": [{ "accessKeyId": OWN_KEY, "isActive": true }] });
    server.answer(OWN_KEYS, &[(200, &own_keys.to_string())]);
    for (what, answer) in [
        (USER, ACTIVE),
        (AGENT, AGENT_17),
        (SKILLS, NO_SKILLS),
        (GROUPS, NO_GROUPS),
        (TEAMS, NO_TEAMS),
        (KEYS, NO_KEYS),
        (CONTACTS, NO_CONTACTS),
        (DEACTIVATE, (200, r#"{"notDeletedUserIds":[]}"#)),
        (LOGOUT, (200, "{}")),
        (KEY, (200, r#"{"isActive":false}"#)),
    ] {
        server.answer(what, &[answer]);
    }
    server
}

fn client(base: &url::Url) -> Client {
    let options = ApiOptions {
        token_uri: base.join("/token").unwrap(),
        base_uri: base.clone(),
        ca: None,
        client_id: "client".to_owned(),
        client_secret: Secret::new("secret"),
        grant: Grant::AccessKey {
            id: OWN_KEY.to_owned(),
            secret: Secret::new("key secret"),
        },
        rate_routing: None,
        rate_scim: None,
        rate_analytics: None,
        quotas: Arc::new(LocalQuotas::default()),
        page_size: 2,
        second_read_after: Duration::from_millis(1),
        clock: Clock::system(),
        progress: Progress::default(),
    };
    Client::new(options, "34.0", Some(30)).unwrap()
}

/// What no test named is at no such path, and that is not the API's own 404.
fn next_answer(scripted: &Mutex<Scripted>, what: &str) -> (u16, String) {
    let mut scripted = scripted.lock();
    let known = scripted.iter_mut().find(|(known, _)| *known == what);
    match known {
        Some((_, answers)) if answers.len() > 1 => answers.remove(0),
        Some((_, answers)) => answers[0].clone(),
        None => (404, "<html>no such path".to_owned()),
    }
}
