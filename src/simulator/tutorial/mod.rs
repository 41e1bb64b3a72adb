//! The API of the contract, `docs/contract/cxone-openapi.yaml`.

mod analytics;
mod iam;
mod oauth;
mod people;
mod routing;
mod scim;
mod user;

use axum::http::{Method, header};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use super::api::{Api, UNKNOWN};
use super::gate::{Call, over_quota};
use super::population::Record;
use super::quota::Quota;
use super::reply::Reply;
use super::world::World;
use people::People;

pub(super) const ALL_SCOPES: &str = "user:read iam:write routing:read routing:write scim:read scim:write conversations:read analytics:read";

#[derive(Default)]
pub(super) struct Tutorial {
    people: Mutex<People>,
}

/// A call, and all that it is answered from.
struct Ask<'a> {
    tenant: &'a Tutorial,
    world: &'a World,
    call: &'a Call,
}

impl Ask<'_> {
    fn people(&self) -> MutexGuard<'_, People> {
        self.tenant.people.lock()
    }
}

impl Api for Tutorial {
    fn operation(&self, method: &Method, path: &str) -> (&'static str, String) {
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
            ("POST", ["api", "v2", "conversations", "details", "query"]) => {
                ("query_conversations", "")
            }
            ("GET", ["api", "v2", "conversations", "details", "query"]) => {
                ("next_conversations", "")
            }
            _ => (UNKNOWN, ""),
        };
        (operation, id.to_owned())
    }

    fn user_id(&self, call: &Call) -> Option<String> {
        match call.operation {
            "get_queue" | "patch_queue" | "token" | UNKNOWN => None,
            "query_conversations" | "next_conversations" => analytics::participant(call),
            _ => Some(call.id.to_lowercase()),
        }
    }

    fn serves_conversations(&self, operation: &str) -> bool {
        matches!(operation, "query_conversations" | "next_conversations")
    }

    fn correlation_header(&self) -> &'static str {
        "x-correlation-id"
    }

    fn answer(&self, world: &World, call: &Call) -> Reply {
        if call.operation == "token" {
            return oauth::token(world, call);
        }
        let Some((quota, scopes)) = needs(world, call.operation) else {
            return Reply::error(404, "not_found", "no such operation");
        };
        let Some(granted) = world.scopes_of(call.bearer()) else {
            let mut reply = Reply::error(
                401,
                "unauthorized",
                "the token is missing, expired or revoked",
            );
            reply.header("www-authenticate", "Bearer error=\"invalid_token\"");
            return reply;
        };
        if !quota.admit() {
            return over_quota(world, Reply::error(429, "too_many_requests", "over quota"));
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
        let ask = Ask {
            tenant: self,
            world,
            call,
        };

        match call.operation {
            "get_user" => iam::get(&ask),
            "delete_user" => iam::delete(&ask),
            "get_routing_profile" => routing::get_profile(&ask),
            "patch_routing_profile" => routing::patch_profile(&ask),
            "get_queue" => routing::get_queue(&ask),
            "patch_queue" => routing::patch_queue(&ask),
            "get_scim_user" => scim::get(&ask),
            "put_scim_user" => scim::put(&ask),
            "query_conversations" => analytics::query(&ask),
            _ => analytics::next(&ask),
        }
    }

    fn error(&self, _call: &Call, status: u16, code: &str, message: &str) -> Reply {
        Reply::error(status, code, message)
    }

    fn put_user(&self, world: &World, record: Record) {
        self.people.lock().put(world, record);
    }

    fn user_ids(&self) -> Vec<String> {
        self.people.lock().users.keys().cloned().collect()
    }

    fn user_now(&self, id: &str) -> Option<Value> {
        self.people.lock().now(id)
    }

    fn conversations(
        &self,
        world: &World,
        id: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Vec<u8>> {
        analytics::exactly(&self.people.lock(), world, id, from, to)
    }
}

/// The quota and the scopes that an operation needs.
fn needs<'w>(world: &'w World, operation: &str) -> Option<(&'w Quota, &'static [&'static str])> {
    Some(match operation {
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
