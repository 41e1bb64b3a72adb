//! The calls under `/_simulator/`, which tests use to control and inspect the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Rule;
use super::population::Record;
use super::world::World;

type Shared = State<Arc<World>>;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/ledger", get(ledger).delete(clear_ledger))
        .route("/counters", get(counters))
        .route("/users", get(users))
        .route("/users/{id}", get(user).put(put_user))
        .route("/conversations/{id}", get(conversations))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/scopes", put(set_scopes))
        .route("/unknowns", get(unknowns).put(set_unknowns))
}

#[derive(Deserialize)]
struct About {
    user: Option<String>,
}

async fn ledger(State(world): Shared, Query(about): Query<About>) -> Json<Value> {
    Json(json!({ "entries": world.ledger.entries(about.user.as_deref()) }))
}

async fn clear_ledger(State(world): Shared) -> StatusCode {
    world.ledger.clear();
    StatusCode::NO_CONTENT
}

async fn counters(State(world): Shared) -> Json<Value> {
    Json(json!(world.ledger.counters()))
}

async fn users(State(world): Shared) -> Json<Vec<String>> {
    Json(world.user_ids())
}

async fn user(State(world): Shared, Path(id): Path<String>) -> Response {
    match world.api.user_now(&id.to_lowercase()) {
        Some(user) => Json(user).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn put_user(
    State(world): Shared,
    Path(id): Path<String>,
    Json(record): Json<Record>,
) -> StatusCode {
    world.put_user(Record { id, ..record });
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Interval {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

async fn conversations(
    State(world): Shared,
    Path(id): Path<String>,
    Query(interval): Query<Interval>,
) -> Response {
    let from = interval.from.unwrap_or(Timestamp::MIN);
    let to = interval.to.unwrap_or(Timestamp::MAX);
    match world
        .api
        .conversations(&world, &id.to_lowercase(), from, to)
    {
        Some(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn faults(State(world): Shared) -> Json<Vec<Rule>> {
    Json(world.faults.rules())
}

async fn add_fault(State(world): Shared, Json(rule): Json<Rule>) -> StatusCode {
    world.faults.add(rule);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): Shared) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

async fn set_scopes(State(world): Shared, Json(scopes): Json<Vec<String>>) -> StatusCode {
    world.set_scopes(scopes);
    StatusCode::NO_CONTENT
}

async fn unknowns(State(world): Shared) -> Json<Value> {
    Json(json!(world.unknowns.all()))
}

/// Sets the switches that are named; the others stay as they are.
async fn set_unknowns(
    State(world): Shared,
    Json(wanted): Json<BTreeMap<String, String>>,
) -> Response {
    for (name, value) in &wanted {
        if let Err(why) = world.unknowns.set(name, value) {
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::TenantProfile;
    use crate::simulator::options::Options;

    #[tokio::test]
    async fn switches_are_set_at_run_time_and_unknown_ones_are_refused() {
        let options = Options {
            profile: TenantProfile::Cxone,
            ..Options::default()
        };
        let world = Arc::new(World::new(&options).unwrap());
        let put = |name: &str, value: &str| {
            let wanted = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            set_unknowns(State(Arc::clone(&world)), Json(wanted))
        };
        assert_eq!(put("no_rows", "200").await.status(), 204);
        assert_eq!(put("no_rows", "205").await.status(), 400);
        assert_eq!(put("no_row", "200").await.status(), 400);
        let all = unknowns(State(Arc::clone(&world))).await;
        assert_eq!(all.0["no_rows"], "200");
        assert_eq!(all.0["unknown_user"], "404");
    }
}
