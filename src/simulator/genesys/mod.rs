//! Genesys Cloud, `docs/contract/genesys-openapi.yaml`: users that the filters of its directory know, queues without an
//! owner, a query by page number.

mod access;
mod analytics;
mod errors;
mod giving_back;
mod person;
mod request;
mod routing;
mod rows;
#[cfg(test)]
mod tests;
mod unknowns;
mod users;

use std::collections::BTreeSet;

use axum::http::Method;
use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::{Api, UNKNOWN};
use super::gate::{Call, over_quota};
use super::population::Record;
use super::reply::Reply;
use super::world::{World, now};
use errors::error;
use person::{Person, Shape, State};
use request::Refused;
pub(super) use unknowns::SWITCHES;

/// What the roles of a client need that does everything.
pub(super) const ALL_RIGHTS: &str = "directory:user:edit directory:user:delete routing:queue:view routing:queueMember:manage routing:skill:assign groups:team:assign oauth:token:delete analytics:conversationDetail:view";

const DIVISION_ID: &str = "0a9a0000-5eed-4000-8000-00000000000d";
const UNSEEN_DIVISION_ID: &str = "0a9a0000-5eed-4000-8000-00000000000e";
/// Calls a minute where no quota is set: the header needs a number.
const UNLIMITED: u64 = 1_000_000;

/// A tenant.
#[derive(Default)]
pub(super) struct Genesys {
    people: Mutex<IndexMap<String, Person>>,
    minute: Mutex<Minute>,
}

/// The calls of the current minute.
#[derive(Default)]
struct Minute {
    begin: i64,
    calls: u64,
}

/// A call, and all that it is answered from.
struct Ask<'a> {
    tenant: &'a Genesys,
    world: &'a World,
    call: &'a Call,
}

impl Ask<'_> {
    fn people(&self) -> MutexGuard<'_, IndexMap<String, Person>> {
        self.tenant.people.lock()
    }

    /// The value of a switch.
    fn value(&self, switch: &str) -> &'static str {
        self.world.unknowns.get(switch)
    }

    fn says(&self, switch: &str, value: &str) -> bool {
        self.world.unknowns.is(switch, value)
    }
}

/// The permissions of which an operation needs any one; nothing for a call that needs no token, or that the document
/// does not have.
fn any_of(operation: &str) -> Option<&'static [&'static str]> {
    Some(match operation {
        "get_token_info" | "get_own_grants" | "get_limits" | "get_user" | "list_skills"
        | "leave_group" | "get_group" | "join_group" => &[],
        "set_user_state" => &[
            "directory:user:edit",
            "directory:organization:admin",
            "admin",
        ],
        "delete_user" => &[
            "directory:user:delete",
            "directory:organization:admin",
            "admin",
        ],
        "list_queues" => &["routing:queue:view"],
        "remove_from_queue" | "add_to_queue" => {
            &["routing:queue:edit", "routing:queueMember:manage"]
        }
        "leave_team" | "join_team" => &["groups:team:assign"],
        "replace_skills" | "add_skills" => &["routing:skill:assign"],
        "revoke_tokens" => &["oauth:token:delete"],
        "query_conversations" => &[
            "analytics:conversationDetail:view",
            "analytics:agentConversationDetail:view",
        ],
        _ => return None,
    })
}

/// Adds a header that a fault has not set.
fn add_missing(reply: &mut Reply, name: &str, value: &str) {
    if !reply.headers.contains_key(name) {
        reply.header(name, value);
    }
}

fn dispatch(ask: &Ask<'_>, rights: &BTreeSet<String>) -> Result<Reply, Refused> {
    match ask.call.operation {
        "get_token_info" => access::token_info(ask),
        "get_own_grants" => access::own_grants(ask, rights),
        "get_limits" => access::limits(ask),
        "get_user" => users::get(ask),
        "set_user_state" => users::set_state(ask),
        "delete_user" => users::delete(ask),
        "list_queues" => routing::list_queues(ask),
        "remove_from_queue" => routing::remove_from_queue(ask),
        "add_to_queue" => giving_back::add_to_queue(ask),
        "get_group" => giving_back::get_group(ask),
        "join_group" => giving_back::join_group(ask),
        "join_team" => giving_back::join_team(ask),
        "add_skills" => giving_back::add_skills(ask),
        "leave_group" => routing::leave_group(ask),
        "leave_team" => routing::leave_team(ask),
        "list_skills" => routing::list_skills(ask),
        "replace_skills" => routing::replace_skills(ask),
        "revoke_tokens" => users::revoke_tokens(ask),
        _ => analytics::query(ask),
    }
}

impl Api for Genesys {
    fn operation(&self, method: &Method, path: &str) -> (&'static str, String) {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (api, rest) = segments.split_at(segments.len().min(2));
        let (operation, id) = match (method.as_str(), rest) {
            ("POST", []) if api == ["oauth", "token"] => ("get_token", ""),
            _ if api != ["api", "v2"] => (UNKNOWN, ""),
            ("GET", ["tokens", "me"]) => ("get_token_info", ""),
            ("GET", ["authorization", "subjects", "me"]) => ("get_own_grants", ""),
            ("GET", ["organizations", "limits", "namespaces", _]) => ("get_limits", ""),
            ("GET", ["users", id]) => ("get_user", *id),
            ("PATCH", ["users", id]) => ("set_user_state", *id),
            ("DELETE", ["users", id]) => ("delete_user", *id),
            ("GET", ["users", id, "queues"]) => ("list_queues", *id),
            ("POST", ["routing", "queues", _, "members"]) => ("add_to_queue", ""),
            ("GET", ["groups", _]) => ("get_group", ""),
            ("POST", ["groups", _, "members"]) => ("join_group", ""),
            ("POST", ["teams", _, "members"]) => ("join_team", ""),
            ("PATCH", ["users", id, "routingskills", "bulk"]) => ("add_skills", *id),
            ("DELETE", ["routing", "queues", _, "members", id]) => ("remove_from_queue", *id),
            ("DELETE", ["groups", _, "members"]) => ("leave_group", ""),
            ("DELETE", ["teams", _, "members"]) => ("leave_team", ""),
            ("GET", ["users", id, "routingskills"]) => ("list_skills", *id),
            ("PUT", ["users", id, "routingskills", "bulk"]) => ("replace_skills", *id),
            ("DELETE", ["tokens", id]) => ("revoke_tokens", *id),
            ("POST", ["analytics", "conversations", "details", "query"]) => {
                ("query_conversations", "")
            }
            _ => (UNKNOWN, ""),
        };
        (operation, id.to_owned())
    }

    fn user_id(&self, call: &Call) -> Option<String> {
        let parameter = |name: &str| {
            url::form_urlencoded::parse(call.query.as_bytes())
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.to_lowercase())
        };
        match call.operation {
            "add_to_queue" | "join_group" | "join_team" => giving_back::user_of(call),
            "leave_group" => parameter("ids"),
            "leave_team" => parameter("id"),
            "query_conversations" => analytics::user_of(call),
            _ => Some(call.id.to_lowercase()).filter(|id| !id.is_empty()),
        }
    }

    fn serves_conversations(&self, operation: &str) -> bool {
        operation == "query_conversations"
    }

    fn correlation_header(&self) -> &'static str {
        "inin-correlation-id"
    }

    fn answer(&self, world: &World, call: &Call) -> Reply {
        let ask = Ask {
            tenant: self,
            world,
            call,
        };
        if call.operation == "get_token" {
            return access::token(&ask);
        }
        let Some(permissions) = any_of(call.operation) else {
            return errors::no_such_operation();
        };
        let Some(rights) = world.scopes_of(call.bearer()) else {
            let code = if call.bearer().is_empty() {
                "authentication.required"
            } else {
                "bad.credentials"
            };
            return error(
                401,
                code,
                "No authentication bearer token, or an invalid one",
            );
        };
        if !world.routing.admit() {
            let message = "Rate limit exceeded the maximum of requests within 60 seconds";
            return over_quota(world, error(429, "too.many.requests", message));
        }
        let may = permissions.is_empty() || permissions.iter().any(|one| rights.contains(*one));
        if !may {
            return errors::missing_permissions(permissions);
        }

        dispatch(&ask, &rights).unwrap_or_else(|refused| *refused)
    }

    fn error(&self, _call: &Call, status: u16, code: &str, message: &str) -> Reply {
        error(status, code, message)
    }

    fn finish(&self, world: &World, call: &Call, reply: &mut Reply) {
        add_missing(reply, "inin-correlation-id", &Uuid::new_v4().to_string());
        if call.operation == "get_token" {
            return;
        }
        let seconds = now().as_second();
        let begin = seconds - seconds.rem_euclid(60);
        let calls = {
            let mut minute = self.minute.lock();
            if minute.begin != begin {
                *minute = Minute { begin, calls: 0 };
            }
            minute.calls += 1;
            minute.calls
        };
        let allowed = match world.options.quota_routing {
            0 => UNLIMITED,
            quota => u64::from(quota) * 60,
        };
        add_missing(reply, "inin-ratelimit-count", &calls.to_string());
        add_missing(reply, "inin-ratelimit-allowed", &allowed.to_string());
        add_missing(
            reply,
            "inin-ratelimit-reset",
            &(begin + 60 - seconds).to_string(),
        );
    }

    fn put_user(&self, world: &World, record: Record) {
        let options = &world.options;
        let shape = Shape {
            queues: record.queues.unwrap_or(options.queues),
            group_queues: record.group_queues,
            unseen_queues: record.unseen_queues,
            other_groups: record.groups.unwrap_or(1),
            skills: record.skills.unwrap_or(2),
            sessions: record.sessions.map_or(1, |count| count as usize),
            conversations: record.conversations.unwrap_or(options.conversations),
            conversation_bytes: record
                .conversation_bytes
                .unwrap_or(options.conversation_bytes),
            epoch: world.epoch,
        };
        let person = Person::new(record, &shape);
        self.people.lock().insert(person.id.clone(), person);
    }

    fn user_ids(&self) -> Vec<String> {
        self.people.lock().keys().cloned().collect()
    }

    fn user_now(&self, id: &str) -> Option<Value> {
        let people = self.people.lock();
        let person = people.get(id)?;
        let queues: Vec<&str> = person
            .live_queues()
            .map(|queue| queue.id.as_str())
            .collect();
        let skills: Vec<&str> = person
            .live_skills()
            .map(|skill| skill.id.as_str())
            .collect();
        let groups: Vec<&str> = person
            .groups
            .iter()
            .filter(|group| group.held.is_live())
            .map(|group| group.held.id.as_str())
            .collect();
        let routes: Vec<&str> = queues.iter().chain(&skills).copied().collect();

        Some(json!({
            "id": person.id,
            "exists": person.state() != State::Deleted,
            "active": person.is_active,
            "queues": routes, "groups": groups, "owns": [], "supervises": [],
            "sessions": person.sessions.iter().filter(|one| one.is_live()).count(),
            "accessKeys": [], "conversations": person.timeline.len(),
            "state": person.state().word(), "version": person.version,
            "otherGroups": person.other_groups.iter().filter(|one| one.is_live()).map(|one| &one.id).collect::<Vec<_>>(),
        }))
    }

    fn conversations(
        &self,
        world: &World,
        id: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Vec<u8>> {
        let people = self.people.lock();
        let person = people.get(id)?;
        let rows = rows::Rows::find(world, person, from, to);
        let mut body = Vec::new();
        rows.write_array(0, usize::MAX, &mut body);

        Some(body)
    }
}
