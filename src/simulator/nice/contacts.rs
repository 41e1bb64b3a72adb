//! Completed contacts, by `skip` and `top`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Ask;
use super::errors::{Answer, bad, not_found, refuse};
use super::form::Query;
use super::people::{BUSINESS_UNIT, User};
use super::routing::link;
use crate::simulator::conversations::fill;
use crate::simulator::faults::Fault;
use crate::simulator::reply::Reply;
use crate::simulator::timeline::Row;
use crate::simulator::world::now;

const KNOWN: [&str; 7] = [
    "startDate",
    "endDate",
    "agentId",
    "orderBy",
    "skip",
    "top",
    "mediaTypeId",
];
const MAX_PAGE: u64 = 10_000;
const NUMBERS_PER_AGENT: u64 = 10_000_000;

/// What a call asks for.
struct Window {
    from: Timestamp,
    /// Not included; the document's `endDate` is.
    to: Timestamp,
    skip: u64,
    top: u64,
    medium: Option<u64>,
    is_ordered: bool,
}

pub(super) fn completed(ask: &Ask<'_>) -> Answer {
    let query = Query::of(ask.call, &KNOWN)?;
    let number = query.number("agentId", 1, i64::MAX.unsigned_abs())?;
    let Some(number) = number else {
        return bad(ask.call, "agentId is missing");
    };
    let window = window(ask, &query)?;
    let mut people = ask.people();
    let Some(user) = people.agent_mut(number) else {
        return match ask.world.unknowns.get("contacts_of_nobody") {
            "404" => not_found(ask.call, "no such agent"),
            "400" => bad(ask.call, "no such agent"),
            _ => Ok(ask.nothing(page(ask, &window, None, 0, &[]))),
        };
    };

    if let Some(Fault::Drift { by }) = ask.call.fault {
        user.contacts.drift(window.from, window.to, by);
    }
    let Some(rows) = visible(ask, user, &window)? else {
        return Ok(ask.nothing(page(ask, &window, None, 0, &[])));
    };
    let total = rows.len() as u64;
    let shown: Vec<Row> = if ask.call.fault == Some(Fault::EmptyPage) {
        Vec::new()
    } else {
        rows.into_iter()
            .skip(usize::try_from(window.skip).unwrap_or(usize::MAX))
            .take(usize::try_from(window.top).unwrap_or(usize::MAX))
            .collect()
    };
    let body = page(ask, &window, Some(user), total, &shown);
    if shown.is_empty() && ask.call.fault.is_none() {
        return Ok(ask.nothing(body));
    }

    Ok(Reply::json(200, body))
}

fn window(ask: &Ask<'_>, query: &Query<'_>) -> Result<Window, Box<Reply>> {
    let from = query.time("startDate")?;
    let end = query.time("endDate")?;
    if end < from {
        return bad(ask.call, "endDate is before startDate");
    }
    let is_ordered = match query.get("orderBy") {
        None => false,
        Some("contactStartDate asc") => true,
        Some(_) => return bad(ask.call, "orderBy is not contactStartDate asc"),
    };
    let longest = match ask.world.unknowns.get("longest_window") {
        "31d" => Some(31),
        "30d" => Some(30),
        "7d" => Some(7),
        "1d" => Some(1),
        _ => None,
    };
    let longest = longest.map(|days| Duration::from_hours(24 * days));
    let longest = longest.or(ask.world.options.max_interval);
    let length = end.duration_since(from).unsigned_abs();
    if longest.is_some_and(|most| length > most) {
        return refuse(ask.call, 400, "invalid_window", "the window is too long");
    }
    let reaches_back = from >= now() - SignedDuration::from_hours(24 * 90);
    if ask.is("reach", "90d_refused") && !reaches_back {
        return refuse(ask.call, 400, "invalid_window", "startDate is too long ago");
    }
    Ok(Window {
        from,
        to: end.checked_add(Duration::from_nanos(1)).unwrap_or(end),
        skip: query.number("skip", 0, u64::MAX)?.unwrap_or(0),
        top: query.number("top", 1, MAX_PAGE)?.unwrap_or(MAX_PAGE),
        medium: query.number("mediaTypeId", 1, 9)?,
        is_ordered,
    })
}

/// The rows that this token is given; nothing where it is given none without a word.
fn visible(ask: &Ask<'_>, user: &User, window: &Window) -> Result<Option<Vec<Row>>, Box<Reply>> {
    if !ask.rights.contains("teams.all") {
        return if ask.is("unseen_team", "fewer_rows") {
            Ok(None)
        } else {
            refuse(
                ask.call,
                403,
                "access_denied",
                "the role does not see the agent's team",
            )
        };
    }
    if !user.is_active() {
        match ask.world.unknowns.get("inactive_rows") {
            "nothing" => return Ok(None),
            "404" => return not_found(ask.call, "no such agent"),
            _ => {}
        }
    }
    let mut from = window.from;
    if ask.is("reach", "90d") {
        from = from.max(now() - SignedDuration::from_hours(24 * 90));
    }
    let mut rows = user.contacts.rows(from, window.to);
    let late = late_row(ask, user);
    rows.retain(|row| Some(*row) != late);
    rows.retain(|row| window.medium.is_none_or(|medium| medium_of(*row) == medium));
    // A client that needs an order has to ask for it.
    if !window.is_ordered {
        rows.reverse();
    }
    Ok(Some(rows))
}

/// The newest contact ended just before the deactivation, and appears some time after it.
fn late_row(ask: &Ask<'_>, user: &User) -> Option<Row> {
    let late = match ask.world.unknowns.get("contacts_late") {
        "2s" => SignedDuration::from_secs(2),
        "30m" => SignedDuration::from_mins(30),
        _ => return None,
    };
    let is_out = user.deactivated_at.is_some_and(|at| now() >= at + late);
    if is_out { None } else { user.contacts.newest() }
}

/// Each fourth is a call, a chat, an e-mail, or digital.
const fn medium_of(row: Row) -> u64 {
    match row.number() / 2 % 4 {
        0 => 4,
        1 => 3,
        2 => 1,
        _ => 9,
    }
}

fn page(ask: &Ask<'_>, window: &Window, user: Option<&User>, total: u64, rows: &[Row]) -> Vec<u8> {
    let end = window.skip.saturating_add(rows.len() as u64);
    let next = match &ask.call.fault {
        Some(Fault::NextPage { uri }) => Some(uri.clone()),
        Some(Fault::SamePage) => Some(link(ask, window.skip, window.top)),
        _ if end < total => Some(link(ask, end, window.top)),
        _ => None,
    };
    let links = json!({ "self": null, "next": next, "previous": null });
    let head = format!(
        r#"{{"businessUnitId":{BUSINESS_UNIT},"lastPollTime":{},"totalRecords":{total},"_links":{links},"completedContacts":"#,
        Value::from(now().to_string())
    );
    let mut body = head.into_bytes();
    match user {
        Some(user) => write_array(user, rows, &mut body),
        None => body.extend_from_slice(b"[]"),
    }
    body.push(b'}');
    body
}

fn write_array(user: &User, rows: &[Row], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(user, *row, out);
    }
    out.push(b']');
}

/// One segment; two neighbours are of one conversation.
fn write(user: &User, row: Row, out: &mut Vec<u8>) {
    let begin = out.len();
    let first = user.number * NUMBERS_PER_AGENT;
    let contact = first + row.number();
    let master = first + row.number() / 4 * 4;
    let start = user.contacts.start(row);
    let seconds = user.contact_seconds;
    let ended = start
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(start);
    let head = format!(
        r#"{{"contactId":{contact}, "masterContactId":{master},"contactStartDate":"{start:.3}","lastUpdateTime":"{ended:.3}","totalDurationSeconds":{seconds}.50,"agentId":{},"mediaTypeId":{},"isLogged":true,"dateContactWarehoused":null,"tags":["#,
        user.number,
        medium_of(row)
    );
    out.extend_from_slice(head.as_bytes());
    fill(out, begin, user.contact_bytes);
    out.extend_from_slice(br#"{"end":true}]}"#);
}

/// All rows of `[from, to)`, also those that are late or that a token does not see.
pub(super) fn exactly(user: &User, from: Timestamp, to: Timestamp) -> Vec<u8> {
    let mut body = Vec::new();
    write_array(user, &user.contacts.rows(from, to), &mut body);
    body
}
