//! Each operation's main path, and each value of each switch.

mod access;
mod conversations;
mod document;
mod routing;
mod users;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::super::faults::{Fault, Rule};
use super::super::gate;
use super::super::ledger::Entry;
use super::super::options::Options;
use super::super::population::Record;
use super::super::world::World;
use crate::profile::TenantProfile;

pub(super) const USER: &str = "3f0e1a52-90aa-4c1e-8a53-0c1f6f1d2b11";
pub(super) const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        assert!(body["contextId"].is_string(), "{body}");
        body["code"].as_str().unwrap().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

pub(super) struct Tenant {
    pub(super) world: Arc<World>,
    pub(super) token: String,
}

impl Tenant {
    pub(super) fn new(options: Options, record: Record) -> Self {
        let options = Options {
            profile: TenantProfile::Genesys,
            users: 0,
            ..options
        };
        let world = Arc::new(World::new(&options).unwrap());
        world.put_user(Record {
            id: USER.to_owned(),
            ..record
        });
        world.issue_token("t");
        Self {
            world,
            token: "t".to_owned(),
        }
    }

    pub(super) fn with(record: Record) -> Self {
        Self::new(Options::default(), record)
    }

    pub(super) fn set(&self, switch: &str, value: &str) {
        self.world.unknowns.set(switch, value).unwrap();
    }

    pub(super) fn strike(&self, operation: &str, fault: Fault) {
        self.world.faults.add(Rule {
            operation: operation.to_owned(),
            user: None,
            skip: 0,
            times: Some(1),
            fault,
        });
    }

    pub(super) async fn send(&self, request: Request) -> Answer {
        let response = gate::answer(State(Arc::clone(&self.world)), request).await;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v2/{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        self.send(request).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None).await
    }

    pub(super) async fn deactivate(&self, version: u64) -> Answer {
        let body = json!({"version": version, "state": "inactive"});
        self.ask("PATCH", &format!("users/{USER}"), Some(body))
            .await
    }

    pub(super) fn now(&self) -> Value {
        self.world.api.user_now(USER).unwrap()
    }

    pub(super) fn last(&self) -> Entry {
        self.world.ledger.entries(None).pop().unwrap()
    }
}

/// The IDs of a list's entities.
pub(super) fn ids(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let entities = body["entities"].as_array().unwrap();
    entities
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}
