//! SCIM users.

use super::Ask;
use super::routing::{matches, sent};
use super::user::text;
use crate::simulator::faults::Fault;
use crate::simulator::reply::{Reply, SCIM};

fn unknown_user() -> Reply {
    Reply::scim_error(404, None, "no such user")
}

pub(super) fn get(ask: &Ask<'_>) -> Reply {
    let mut people = ask.people();
    let Some(user) = people
        .users
        .get_mut(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    else {
        return unknown_user();
    };

    if let Some((document, left)) = &mut user.lagging
        && *left > 0
    {
        *left -= 1;
        return Reply::new(200, SCIM, text(document));
    }
    let mut shown = user.scim.clone();
    if user.record.active_only_while_true && !user.active() {
        shown.shift_remove("active");
    }

    Reply::new(200, SCIM, text(&shown)).with_etag(ask.world.etag(user.scim_version))
}

pub(super) fn put(ask: &Ask<'_>) -> Reply {
    let mut people = ask.people();
    let Some(user) = people
        .users
        .get_mut(&ask.call.id.to_lowercase())
        .filter(|user| user.exists())
    else {
        return unknown_user();
    };

    if !ask
        .call
        .header("content-type")
        .is_some_and(|kind| kind.starts_with(SCIM))
    {
        return Reply::scim_error(415, None, "not application/scim+json");
    }
    let Ok(sent) = sent(ask.call) else {
        return Reply::scim_error(400, Some("invalidSyntax"), "the body is no JSON object");
    };
    if let Some(missing) = ["schemas", "id", "userName", "active"]
        .iter()
        .find(|member| !sent.contains_key(**member))
    {
        return Reply::scim_error(400, Some("invalidValue"), &format!("{missing} is missing"));
    }
    if !sent
        .get("active")
        .is_some_and(|raw| matches!(raw.get(), "true" | "false"))
    {
        return Reply::scim_error(400, Some("invalidValue"), "active is no boolean");
    }
    if let Some(Fault::Conflict { status }) = ask.call.fault {
        user.scim_version += 1;
        let status = status.unwrap_or(412);
        let kind = (status == 400).then_some("invalidVers");
        return Reply::scim_error(status, kind, "changed since it was read");
    }
    let current = ask.world.etag(user.scim_version);
    if let (Some(wanted), Some(current)) = (ask.call.header("if-match"), &current)
        && !matches(wanted, current)
    {
        return Reply::scim_error(412, None, "changed since it was read");
    }
    if user.record.lagging_reads > 0 {
        user.lagging = Some((user.scim.clone(), user.record.lagging_reads));
    }
    user.scim = sent;
    user.scim_version += 1;

    Reply::new(200, SCIM, text(&user.scim))
        .with_etag(ask.world.etag(user.scim_version))
        .applied()
}
