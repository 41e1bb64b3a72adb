//! A client for the tests of the simulator, and what the documents leave open.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use serde_json::Value;

use super::faults::Rule;
use super::gate;
use super::options::Options;
use super::population::Record;
use super::world::World;

/// An answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answered {
    /// The JSON of the body; null without any.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A simulator without a socket.
pub(super) struct Tenant {
    pub(super) world: Arc<World>,
    /// The headers that every call carries.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Tenant {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            world: Arc::new(World::new(options).unwrap()),
            headers: vec![("host", "127.0.0.1:8098".to_owned())],
        }
    }

    /// Adds or replaces a user, as `PUT /_simulator/users/ID` does.
    pub(super) fn put(&self, record: Value) {
        let record: Record = serde_json::from_value(record).unwrap();
        self.world.put_user(record);
    }

    pub(super) fn strike(&self, rule: Value) {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        self.world.faults.add(rule);
    }

    /// A call with these headers besides the usual ones; one that is given again replaces the usual.
    pub(super) async fn call(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Body>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in &self.headers {
            if !headers.iter().any(|(other, _)| other == name) {
                request = request.header(*name, value);
            }
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = gate::answer(State(Arc::clone(&self.world)), request).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        }
    }

    pub(super) async fn get(&self, uri: &str) -> Answered {
        self.call("GET", uri, &[], Body::empty()).await
    }

    /// A call with a JSON body.
    pub(super) async fn send(&self, method: &str, uri: &str, body: Value) -> Answered {
        let kind = [("content-type", "application/json")];
        self.call(method, uri, &kind, body.to_string()).await
    }
}

/// Operation and sentence of each `x-unknown` of the operations that are called in a normal run or by `doctor`.
pub(super) fn unknowns_of(document: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut operation = String::new();
    let mut is_used = false;
    let mut in_list = false;
    for line in document.lines() {
        let text = line.trim_start();
        if let Some(name) = text.strip_prefix("operationId: ") {
            name.clone_into(&mut operation);
            is_used = false;
        }
        if let Some(how) = text.strip_prefix("x-use: ") {
            is_used = how == "main" || how == "doctor";
        }
        let item = text.strip_prefix("- ").filter(|_| in_list);
        let sentences: Vec<String> = match (text.strip_prefix("x-unknown:"), item) {
            (Some(""), _) => {
                in_list = true;
                continue;
            }
            (Some(list), _) => serde_json::from_str(list).expect("a list of sentences"),
            (None, Some(item)) => vec![serde_json::from_str(item).expect("a sentence")],
            (None, None) => {
                in_list = false;
                continue;
            }
        };
        if is_used {
            found.extend(sentences.into_iter().map(|it| (operation.clone(), it)));
        }
    }
    found
}

#[test]
fn sentences_are_read_from_lists_of_both_forms_and_unused_operations_are_left_out() {
    let document = "
      operationId: one
      x-use: main
      x-unknown: [\"a: b\", \"c\"]
      operationId: two
      x-use: reserve
      x-unknown: [\"d\"]
      operationId: three
      x-use: doctor
      x-unknown:
        - \"e\"
        - \"f\"
      parameters:
        - \"g\"
";
    let found = unknowns_of(document);
    let shown: Vec<String> = found.iter().map(|(a, b)| format!("{a}={b}")).collect();
    assert_eq!(shown, ["one=a: b", "one=c", "three=e", "three=f"]);
}
