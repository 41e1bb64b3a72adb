//! NICE's published API, `docs/contract/cxone-published-openapi.yaml`: what the document uses in a normal run and for
//! `doctor`. The other ways (`x-use: reserve`) lead nowhere.

mod access;
mod contacts;
mod errors;
mod form;
mod giving_back;
mod identity;
mod people;
mod place;
mod routing;
mod switches;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeSet;

use axum::http::Method;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use super::api::{Api, UNKNOWN};
use super::gate::{Call, over_quota};
use super::population::Record;
use super::reply::Reply;
use super::world::World;
use errors::{Answer, bad, error, leads_nowhere, refuse};
use people::{People, SERVICE_ID};
use place::{Place, Service, place};
pub(super) use switches::SWITCHES;

/// What the role of the access key's owner may do; NICE's own names are not published.
pub(super) const ALL_RIGHTS: &str = "employees.view employees.edit agents.view agents.edit skills.edit groups.view groups.edit teams.view access-keys.view access-keys.edit reporting.view teams.all";

/// The versions of ACD that are served.
const VERSIONS: std::ops::RangeInclusive<u8> = 16..=34;

#[derive(Default)]
pub(super) struct Nice {
    people: Mutex<People>,
    refresh_tokens: Mutex<BTreeSet<String>>,
}

/// A call, and all that it is answered from.
struct Ask<'a> {
    tenant: &'a Nice,
    world: &'a World,
    call: &'a Call,
    place: Place,
    rights: BTreeSet<String>,
}

impl Ask<'_> {
    fn people(&self) -> MutexGuard<'_, People> {
        self.tenant.people.lock()
    }

    /// Whether a switch has this value.
    fn is(&self, switch: &str, value: &str) -> bool {
        self.world.unknowns.is(switch, value)
    }

    /// The number of the agent in the path.
    fn agent_number(&self) -> Result<u64, Box<Reply>> {
        match form::integer(&self.place.id).filter(|number| *number > 0) {
            Some(number) => Ok(number),
            None => bad(
                self.call,
                "agentId is no number; only some paths take a UUID",
            ),
        }
    }

    /// The number of the skill or group in the path.
    fn other_number(&self) -> Result<u64, Box<Reply>> {
        match form::integer(&self.place.other).filter(|number| *number > 0) {
            Some(number) => Ok(number),
            None => bad(self.call, "the ID of the skill or group is no number"),
        }
    }

    /// A list without rows.
    fn nothing(&self, empty: impl Into<Vec<u8>>) -> Reply {
        if self.is("no_rows", "204") {
            Reply::empty(204)
        } else {
            Reply::json(200, empty)
        }
    }
}

impl Api for Nice {
    fn operation(&self, method: &Method, path: &str) -> (&'static str, String) {
        match place(method, path) {
            Some(place) => (place.operation, place.id),
            None => (UNKNOWN, String::new()),
        }
    }

    fn user_id(&self, call: &Call) -> Option<String> {
        let people = self.people.lock();
        let of_agent = |text: &str| match form::integer(text) {
            Some(number) => people.id_of_agent(number).map(str::to_owned),
            None => form::uuid(text),
        };
        let parameter = |name: &str| {
            let mut members = form::members(call).into_iter();
            members
                .find(|(known, _)| known == name)
                .map(|(_, value)| value)
        };
        match call.operation {
            "get_user" | "revive_user" => Some(call.id.to_lowercase()),
            "list_access_keys" | "disable_access_key" => {
                parameter("userId").map(|id| id.to_lowercase())
            }
            "deactivate_users" => identity::meant(call),
            "remove_from_group" | "add_to_group" => {
                routing::agent_of(call).and_then(|agent| of_agent(&agent))
            }
            "list_completed_contacts" => of_agent(&parameter("agentId")?),
            "get_agent" | "list_skills" | "add_skills" | "remove_skill" | "list_groups"
            | "log_out_agent" => of_agent(&call.id),
            _ => None,
        }
    }

    fn serves_conversations(&self, operation: &str) -> bool {
        operation == "list_completed_contacts"
    }

    fn correlation_header(&self) -> &'static str {
        "correlationid"
    }

    fn answer(&self, world: &World, call: &Call) -> Reply {
        self.people.lock().ensure_service(world);
        let Some(place) = place(&call.method, &call.path) else {
            return leads_nowhere();
        };
        let ask = Ask {
            tenant: self,
            world,
            call,
            place,
            rights: world.scopes_of(call.bearer()).unwrap_or_default(),
        };
        admit(&ask)
            .and_then(|()| dispatch(&ask))
            .unwrap_or_else(|refusal| *refusal)
    }

    fn error(&self, call: &Call, status: u16, code: &str, message: &str) -> Reply {
        error(call, status, code, message)
    }

    /// A service repeats the ID that it was sent.
    fn finish(&self, _world: &World, call: &Call, reply: &mut Reply) {
        if let Some(id) = call.header(self.correlation_header()) {
            reply.header(self.correlation_header(), id);
        }
    }

    fn put_user(&self, world: &World, record: Record) {
        self.people.lock().put(world, record);
    }

    fn user_ids(&self) -> Vec<String> {
        let people = self.people.lock();
        let ids = people.users.keys().filter(|id| *id != SERVICE_ID);
        ids.cloned().collect()
    }

    fn user_now(&self, id: &str) -> Option<Value> {
        self.people.lock().now(id)
    }

    fn conversations(
        &self,
        _world: &World,
        id: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<Vec<u8>> {
        let people = self.people.lock();
        Some(contacts::exactly(people.users.get(id)?, from, to))
    }
}

/// Token, quota, rights, and what holds for every call.
fn admit(ask: &Ask<'_>) -> Result<(), Box<Reply>> {
    let call = ask.call;
    if ask.place.service == Service::Auth {
        return Ok(());
    }
    if ask.world.scopes_of(call.bearer()).is_none() {
        return refuse(
            call,
            401,
            "unauthorized",
            "the token is missing, expired or revoked",
        );
    }
    if !ask.world.routing.admit() {
        let reply = error(call, 429, "too_many_requests", "slow down");
        return Err(Box::new(over_quota(ask.world, reply)));
    }
    if let Some(id) = call.header("correlationid")
        && form::uuid(id).is_none()
    {
        return bad(call, "CorrelationId is no UUID");
    }
    if ask.place.service == Service::Acd {
        let accepts = call
            .header("accept")
            .is_some_and(|kinds| kinds.contains("application/json"));
        if !accepts {
            return refuse(call, 406, "not_acceptable", "No known way to render data");
        }
        if !VERSIONS.contains(&ask.place.version) {
            return match ask.world.unknowns.get("version_not_served") {
                "400" => bad(call, "this version is not served"),
                "410" => refuse(call, 410, "gone", "this version is not served any more"),
                _ => Err(Box::new(leads_nowhere())),
            };
        }
    }
    match needs(ask.place.operation) {
        Some(right) if !ask.rights.contains(right) => refuse(
            call,
            403,
            "access_denied",
            &format!("the role lacks {right}"),
        ),
        _ => Ok(()),
    }
}

/// The right that an operation needs.
fn needs(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "get_user" => "employees.view",
        "deactivate_users" | "revive_user" => "employees.edit",
        "get_agent" | "list_skills" => "agents.view",
        "log_out_agent" => "agents.edit",
        "remove_skill" | "add_skills" => "skills.edit",
        "list_groups" => "groups.view",
        "remove_from_group" | "add_to_group" => "groups.edit",
        "search_teams" => "teams.view",
        "list_access_keys" => "access-keys.view",
        "disable_access_key" => "access-keys.edit",
        "list_completed_contacts" => "reporting.view",
        _ => return None,
    })
}

fn dispatch(ask: &Ask<'_>) -> Answer {
    match ask.place.operation {
        "discover_tenant" => token::discover_tenant(ask),
        "discover_issuer" => token::discover_issuer(ask),
        "get_token" => token::token(ask),
        "get_api_version" => token::api_version(ask),
        "list_permissions" => token::permissions(ask),
        "get_user" => identity::user(ask),
        "get_agent" => identity::agent(ask),
        "deactivate_users" => identity::deactivate(ask),
        "list_skills" => routing::skills(ask),
        "revive_user" => giving_back::revive(ask),
        "add_skills" => giving_back::add_skills(ask),
        "add_to_group" => giving_back::add_to_group(ask),
        "remove_skill" => routing::remove_skill(ask),
        "list_groups" => routing::groups(ask),
        "remove_from_group" => routing::remove_from_group(ask),
        "search_teams" => routing::teams(ask),
        "log_out_agent" => access::log_out(ask),
        "list_access_keys" => access::keys(ask),
        "disable_access_key" => access::disable_key(ask),
        _ => contacts::completed(ask),
    }
}
