//! Conversations, page by page.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ask;
use super::people::People;
use crate::simulator::conversations::Conversations;
use crate::simulator::faults::Fault;
use crate::simulator::gate::Call;
use crate::simulator::options::CursorStyle;
use crate::simulator::reply::Reply;
use crate::simulator::world::{World, now};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    date_from: Timestamp,
    date_to: Timestamp,
    page_size: u64,
    filter: Filter,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    participant_id: uuid::Uuid,
}

/// The position in a query; clients see it as an opaque token.
#[derive(Serialize, Deserialize)]
struct Cursor {
    user: String,
    next: u64,
    end: u64,
    size: u64,
    issued_ms: i64,
}

fn cursor_of(call: &Call) -> Option<Cursor> {
    let word = url::form_urlencoded::parse(call.query.as_bytes())
        .find(|(name, _)| name == "cursor")
        .map(|(_, value)| value.into_owned())?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(word).ok()?).ok()
}

/// The user whose conversations a call asks for.
pub(super) fn participant(call: &Call) -> Option<String> {
    match call.operation {
        "query_conversations" => serde_json::from_slice::<Query>(&call.body)
            .ok()
            .map(|query| query.filter.participant_id.to_string()),
        _ => cursor_of(call).map(|cursor| cursor.user),
    }
}

pub(super) fn query(ask: &Ask<'_>) -> Reply {
    let query: Query = match serde_json::from_slice(&ask.call.body) {
        Ok(query) => query,
        Err(error) => return Reply::error(400, "malformed", &error.to_string()),
    };
    if !(1..=500).contains(&query.page_size) || query.date_from > query.date_to {
        return Reply::error(400, "malformed", "pageSize or the dates are out of range");
    }
    let interval = query.date_to.duration_since(query.date_from).unsigned_abs();
    if ask
        .world
        .options
        .max_interval
        .is_some_and(|most| interval > most)
    {
        return Reply::error(400, "interval_too_long", "ask for a shorter interval");
    }
    let user = query.filter.participant_id.to_string();
    let length = if ask.world.options.overlapping {
        ask.world.options.conversation_length
    } else {
        Duration::ZERO
    };
    let from = query
        .date_from
        .checked_sub(length)
        .unwrap_or(query.date_from);
    let numbers =
        with_conversations(ask, &user, |all| all.within(from, query.date_to)).unwrap_or(0..0);
    let cursor = Cursor {
        user,
        next: numbers.start,
        end: numbers.end,
        size: query.page_size,
        issued_ms: 0,
    };

    page(ask, cursor)
}

pub(super) fn next(ask: &Ask<'_>) -> Reply {
    let Some(cursor) = cursor_of(ask.call) else {
        return Reply::error(404, "unknown_cursor", "begin the query again");
    };
    let age_ms = now().as_millisecond() - cursor.issued_ms;
    let lifetime = ask
        .world
        .options
        .cursor_lifetime
        .map(|lifetime| lifetime.as_millis());
    if lifetime.is_some_and(|lifetime| u128::try_from(age_ms).unwrap_or(0) > lifetime) {
        return Reply::error(410, "expired_cursor", "begin the query again");
    }
    page(ask, cursor)
}

/// The conversations of a user that exists; a deleted user has none.
fn with_conversations<T>(
    ask: &Ask<'_>,
    user_id: &str,
    then: impl FnOnce(&Conversations<'_>) -> T,
) -> Option<T> {
    let (count, bytes) = {
        let people = ask.people();
        let user = people.users.get(user_id).filter(|user| user.exists())?;
        (user.conversations, user.conversation_bytes)
    };
    Some(then(&Conversations {
        user_id,
        count,
        bytes,
        epoch: ask.world.epoch,
        length: ask.world.options.conversation_length,
    }))
}

fn page(ask: &Ask<'_>, cursor: Cursor) -> Reply {
    let world = ask.world;
    let call = ask.call;
    let empty = call.fault == Some(Fault::EmptyPage);
    let begin = cursor.next;
    let end = if empty {
        begin
    } else {
        (begin + cursor.size).min(cursor.end)
    };
    let mut body = br#"{"details":"#.to_vec();
    let written = with_conversations(ask, &cursor.user, |all| {
        all.write_array(begin..end, &mut body);
    });

    if written.is_none() {
        body.extend_from_slice(b"null");
    }
    let more = written.is_some() && end < cursor.end;
    let last_page_says_null = begin.is_multiple_of(2);
    let issued_ms = now().as_millisecond();
    let link = match &call.fault {
        Some(Fault::NextPage { uri }) => Some(uri.clone()),
        Some(Fault::SamePage) => Some(link(world, call, &cursor)),
        _ if more || empty => Some(link(
            world,
            call,
            &Cursor {
                next: end,
                issued_ms,
                ..cursor
            },
        )),
        _ => None,
    };
    match link {
        Some(link) => {
            body.extend_from_slice(br#","nextPageUri":"#);
            body.extend_from_slice(serde_json::Value::from(link).to_string().as_bytes());
        }
        None if last_page_says_null => body.extend_from_slice(br#","nextPageUri":null"#),
        None => {}
    }
    body.push(b'}');

    Reply::json(200, body)
}

fn link(world: &World, call: &Call, cursor: &Cursor) -> String {
    const PATH: &str = "/api/v2/conversations/details/query";
    let token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).unwrap_or_default());
    match world.options.cursor_style {
        CursorStyle::Absolute => {
            format!(
                "http://{}{PATH}?cursor={token}",
                call.header("host").unwrap_or("127.0.0.1")
            )
        }
        CursorStyle::Relative => format!("{PATH}?cursor={token}"),
        CursorStyle::Query => format!("?cursor={token}"),
    }
}

/// The whole array, to compare an archive with.
pub(super) fn exactly(
    people: &People,
    world: &World,
    user_id: &str,
    from: Timestamp,
    to: Timestamp,
) -> Option<Vec<u8>> {
    let user = people.users.get(user_id)?;
    let all = Conversations {
        user_id,
        count: user.conversations,
        bytes: user.conversation_bytes,
        epoch: world.epoch,
        length: world.options.conversation_length,
    };
    let mut body = Vec::new();

    all.write_array(all.within(from, to), &mut body);
    Some(body)
}
