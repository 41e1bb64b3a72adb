//! Routing profiles and queues.

use super::Ask;
use super::iam::unknown_user;
use super::user::{Document, document, text};
use crate::simulator::faults::Fault;
use crate::simulator::gate::Call;
use crate::simulator::reply::Reply;
use crate::simulator::world::World;

pub(super) fn get_profile(ask: &Ask<'_>) -> Reply {
    let people = ask.people();
    match people
        .users
        .get(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    {
        Some(user) => {
            Reply::json(200, text(&user.profile)).with_etag(ask.world.etag(user.profile_version))
        }
        None => unknown_user(),
    }
}

pub(super) fn patch_profile(ask: &Ask<'_>) -> Reply {
    let mut people = ask.people();
    let Some(user) = people
        .users
        .get_mut(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    else {
        return unknown_user();
    };
    let sent = match sent(ask.call) {
        Ok(sent) => sent,
        Err(reply) => return *reply,
    };

    if let Some(reply) = stale(ask.world, ask.call, &mut user.profile_version) {
        return reply;
    }
    let derived = user
        .record
        .derived_membership
        .then(|| user.profile.get("queues").cloned())
        .flatten();
    user.profile = sent;
    if let Some(queues) = derived {
        user.profile.insert("queues".to_owned(), queues);
    }
    user.profile_version += 1;

    Reply::json(200, text(&user.profile))
        .with_etag(ask.world.etag(user.profile_version))
        .applied()
}

pub(super) fn get_queue(ask: &Ask<'_>) -> Reply {
    let people = ask.people();
    match people.queues.get(&ask.call.id) {
        Some(queue) => {
            Reply::json(200, text(&queue.document)).with_etag(ask.world.etag(queue.version))
        }
        None => Reply::error(404, "not_found", "no such queue"),
    }
}

pub(super) fn patch_queue(ask: &Ask<'_>) -> Reply {
    let mut people = ask.people();
    let Some(queue) = people.queues.get_mut(&ask.call.id) else {
        return Reply::error(404, "not_found", "no such queue");
    };
    let sent = match sent(ask.call) {
        Ok(sent) => sent,
        Err(reply) => return *reply,
    };

    if sent.get("id").map(|raw| raw.get()) != queue.document.get("id").map(|raw| raw.get()) {
        return Reply::error(400, "invalid", "id is missing or another queue's");
    }
    if let Some(reply) = stale(ask.world, ask.call, &mut queue.version) {
        return reply;
    }
    queue.document = sent;
    queue.version += 1;

    Reply::json(200, text(&queue.document))
        .with_etag(ask.world.etag(queue.version))
        .applied()
}

/// The document that was sent.
pub(super) fn sent(call: &Call) -> Result<Document, Box<Reply>> {
    std::str::from_utf8(&call.body)
        .ok()
        .and_then(document)
        .ok_or_else(|| Box::new(Reply::error(400, "malformed", "the body is no JSON object")))
}

/// RFC 9110 section 13.1.1: the strong comparison, by which a weak tag matches nothing.
pub(super) fn matches(wanted: &str, current: &str) -> bool {
    wanted == "*" || (wanted == current && !wanted.starts_with("W/"))
}

/// 412 when the object changed since it was read, or a fault says so.
fn stale(world: &World, call: &Call, version: &mut u64) -> Option<Reply> {
    if let Some(Fault::Conflict { status }) = call.fault {
        *version += 1;
        return Some(Reply::error(
            status.unwrap_or(412),
            "conflict",
            "changed since it was read",
        ));
    }
    let wanted = call.header("if-match")?;
    let current = world.etag(*version)?;
    (!matches(wanted, &current))
        .then(|| Reply::error(412, "precondition_failed", "changed since it was read"))
}
