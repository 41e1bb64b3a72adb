//! The query for conversations.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::faults::Fault;
use super::super::gate::Call;
use super::super::reply::Reply;
use super::Ask;
use super::errors::{bad_request, error};
use super::person::State;
use super::request::{Parameters, Refused, body, id};
use super::rows::{Rows, touched_days};

const MOST_RESULTS: u64 = 100_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Query {
    interval: String,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "all three orders are the same here; other words are refused"
    )]
    order_by: OrderBy,
    segment_filters: Vec<Filter>,
    paging: Paging,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Order {
    #[default]
    Asc,
    Desc,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OrderBy {
    #[default]
    ConversationStart,
    SegmentStart,
    SegmentEnd,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Paging {
    page_size: u64,
    page_number: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(rename = "type")]
    kind: String,
    predicates: Vec<Predicate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    #[serde(rename = "type")]
    kind: Option<String>,
    dimension: String,
    operator: Option<String>,
    value: String,
}

impl Query {
    /// The one user that the filters name.
    fn user(&self) -> Result<String, Refused> {
        let [filter] = self.segment_filters.as_slice() else {
            return Err(Box::new(bad_request("segmentFilters has not one filter")));
        };
        let [predicate] = filter.predicates.as_slice() else {
            return Err(Box::new(bad_request("predicates has not one predicate")));
        };
        let is_known = ["and", "or"].contains(&filter.kind.as_str())
            && predicate.dimension == "userId"
            && predicate
                .kind
                .as_deref()
                .is_none_or(|word| word == "dimension")
            && predicate
                .operator
                .as_deref()
                .is_none_or(|word| word == "matches");
        if !is_known {
            return Err(Box::new(bad_request("the filter is not one by userId")));
        }
        id(&predicate.value)
    }

    /// Begin and end, in UTC.
    fn interval(&self) -> Result<(Timestamp, Timestamp), Refused> {
        let time = |text: &str| {
            Some(text)
                .filter(|text| text.ends_with('Z') && text.contains('T'))
                .and_then(|text| text.parse::<Timestamp>().ok())
        };
        self.interval
            .split_once('/')
            .and_then(|(from, to)| Some((time(from)?, time(to)?)))
            .filter(|(from, to)| from < to)
            .ok_or_else(|| {
                Box::new(error(
                    400,
                    "invalid.date",
                    "the interval is no begin and end in UTC with a slash between",
                ))
            })
    }
}

/// The user whose conversations a call asks for.
pub(super) fn user_of(call: &Call) -> Option<String> {
    let query: Query = serde_json::from_slice(&call.body).ok()?;
    query.user().ok()
}

/// The longest interval in days, by the flag or by the switch.
fn too_long(ask: &Ask<'_>, interval: Duration) -> Option<Reply> {
    let days = if ask.says("longest_interval", "31_days") {
        31
    } else {
        7
    };
    let most = ask
        .world
        .options
        .max_interval
        .unwrap_or(Duration::from_hours(24 * days));
    let shown = most.as_secs().div_ceil(86_400);
    (interval > most).then(|| {
        bad_request(&format!(
            "The interval must be a valid ISO-8601 interval that does not exceed {shown} days"
        ))
    })
}

pub(super) fn query(ask: &Ask<'_>) -> Result<Reply, Refused> {
    Parameters::of(ask.call, &[])?;
    let query: Query = body(ask.call)?;
    let user = query.user()?;
    let (from, to) = query.interval()?;
    let size = query.paging.page_size;
    let number = query.paging.page_number;
    if !(1..=100).contains(&size) || number == 0 {
        return Ok(error(
            400,
            "invalid.value",
            "pageSize is no number from 1 to 100, or pageNumber is 0",
        ));
    }
    if size.saturating_mul(number) > MOST_RESULTS {
        return Ok(bad_request(&format!(
            "Pagination may not exceed {MOST_RESULTS} results"
        )));
    }
    if let Some(reply) = too_long(ask, to.duration_since(from).unsigned_abs()) {
        return Ok(reply);
    }

    let mut people = ask.people();
    let Some(person) = people.get_mut(&user) else {
        return Ok(page(ask, None, &query));
    };
    if person.state() == State::Deleted && ask.says("deleted_users_conversations", "left_out") {
        return Ok(page(ask, None, &query));
    }
    if let Some(Fault::Drift { by }) = ask.call.fault {
        let (first, last) = touched_days(ask.world, from, to);
        person.timeline.drift(first, last, by);
    }
    let mut rows = Rows::find(ask.world, person, from, to);
    match ask.value("conversations_late") {
        "2s" => rows.without_the_late(Duration::from_secs(2)),
        "10m" => rows.without_the_late(Duration::from_mins(10)),
        _ => {}
    }
    if matches!(query.order, Order::Desc) {
        rows.newest_first();
    }

    Ok(page(ask, Some(&rows), &query))
}

fn page(ask: &Ask<'_>, rows: Option<&Rows<'_>>, query: &Query) -> Reply {
    let total = rows.map_or(0, Rows::len);
    let size = usize::try_from(query.paging.page_size).unwrap_or(usize::MAX);
    let number = usize::try_from(query.paging.page_number).unwrap_or(usize::MAX);
    let begin = (number - 1).saturating_mul(size);
    let has_none = begin >= total || ask.call.fault == Some(Fault::EmptyPage);
    let mut body = b"{".to_vec();
    match rows.filter(|_| !has_none) {
        Some(rows) => {
            body.extend_from_slice(br#""conversations":"#);
            rows.write_array(begin, size, &mut body);
            body.push(b',');
        }
        None => body.extend_from_slice(match ask.value("no_conversations") {
            "null" => br#""conversations":null,"#,
            "empty" => br#""conversations":[],"#,
            _ => b"",
        }),
    }
    body.extend_from_slice(format!(r#""totalHits":{total}}}"#).as_bytes());

    Reply::json(200, body)
}
