//! What the simulator saw, and the rules that every history has to keep.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::http;
use super::population::User;

/// All other POSTs are queries, or get a token.
const WRITING_POSTS: [&str; 2] = ["deactivate_users", "log_out_agent"];

/// A call that the simulator answered.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) seq: u64,
    pub(crate) operation: String,
    pub(crate) path: String,
    pub(crate) status: u64,
    /// It changed something.
    pub(crate) applied: bool,
    pub(crate) started_at: String,
    pub(crate) ended_at: String,
    method: String,
    user: Option<String>,
}

impl Call {
    fn from_entry(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Self {
            seq: entry["seq"].as_u64().expect("seq"),
            operation: text("operation"),
            path: text("path"),
            status: entry["status"].as_u64().expect("status"),
            applied: entry["applied"].as_bool().expect("applied"),
            started_at: comparable(&entry["startedAt"]),
            ended_at: comparable(&entry["endedAt"]),
            method: text("method"),
            user: entry["userId"].as_str().map(str::to_lowercase),
        }
    }

    /// Whom it was about.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(crate) fn is(&self, operation: &str) -> bool {
        self.operation == operation
    }

    /// Whether it asked for a change.
    pub(crate) fn is_write(&self) -> bool {
        ["PATCH", "PUT", "DELETE"].contains(&self.method.as_str())
            || WRITING_POSTS.contains(&self.operation.as_str())
    }

    pub(crate) fn was_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A time as text that sorts: RFC 3339 in UTC with nine digits after the second, or a padded number.
fn comparable(time: &Value) -> String {
    let Some(text) = time.as_str() else {
        return format!("{:030.9}", time.as_f64().expect("a time"));
    };
    let text = text.trim_end_matches('Z').trim_end_matches("+00:00");
    let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{second}.{fraction:0<9}")
}

/// All calls so far, in order.
pub(crate) fn calls(simulator: &str) -> Vec<Call> {
    let answer = http::request("GET", simulator, "/_simulator/ledger", None);
    let entries = answer.get("entries").unwrap_or(&answer);
    let mut calls: Vec<Call> = entries
        .as_array()
        .expect("entries")
        .iter()
        .map(Call::from_entry)
        .collect();
    calls.sort_by_key(|call| call.seq);
    calls
}

/// How many calls of an operation there were.
pub(crate) fn count(simulator: &str, operation: &str) -> usize {
    calls(simulator)
        .iter()
        .filter(|call| call.is(operation))
        .count()
}

/// How often the archive of a user was begun.
pub(crate) fn queries_of(simulator: &str, user: &str) -> usize {
    let calls = calls(simulator);
    calls
        .iter()
        .filter(|call| call.is("query_conversations") && call.user.as_deref() == Some(user))
        .count()
}

/// How long after this time each of these users was called for the first time.
pub(crate) fn first_calls_after(
    simulator: &str,
    since: Timestamp,
    users: &[String],
) -> BTreeMap<String, SignedDuration> {
    let mut first = BTreeMap::new();
    for call in calls(simulator) {
        let begun: Timestamp = format!("{}Z", call.started_at).parse().expect("a time");
        if let Some(user) = call.user
            && users.contains(&user)
            && begun > since
        {
            let after = begun.duration_since(since);
            let known = first.entry(user).or_insert(after);
            *known = after.min(*known);
        }
    }
    first
}

/// How many calls tried to change a user.
pub(crate) fn writes_of(simulator: &str, user: &str) -> usize {
    let calls = calls(simulator);
    calls
        .iter()
        .filter(|call| call.is_write() && call.user.as_deref() == Some(user))
        .count()
}

/// How much may be done twice.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Repetition {
    /// Nothing.
    None,
    /// The call in flight when a worker was killed, and the reading again after it.
    AfterCrash,
    /// Whatever changes nothing: a Redis that forgets lets two workers act at a time, each of whose
    /// calls is harmless.
    Chaos,
}

/// Panics with every broken rule of every user's history.
pub(crate) fn assert_histories(simulator: &str, users: &[User], repetition: Repetition) {
    let mut histories: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in calls(simulator) {
        if let Some(user) = &call.user {
            histories.entry(user.clone()).or_default().push(call);
        }
    }
    let mut broken = Vec::new();
    for user in users {
        let history = histories.get(&user.id).map_or(&[][..], Vec::as_slice);
        let order = match repetition {
            Repetition::None | Repetition::AfterCrash => order(history),
            Repetition::Chaos => order_in_chaos(history, user),
        };
        broken.extend(order.into_iter().map(|rule| format!("{}: {rule}", user.id)));
        broken.extend(
            once(history, repetition)
                .into_iter()
                .map(|rule| format!("{}: {rule}", user.id)),
        );
    }
    assert!(
        broken.is_empty(),
        "{} rules broken, first: {:#?}",
        broken.len(),
        &broken[..broken.len().min(10)]
    );
}

fn first(history: &[Call], operation: &str) -> Option<u64> {
    history
        .iter()
        .find(|call| call.is(operation))
        .map(|call| call.seq)
}

fn last(history: &[Call], operation: &str) -> Option<u64> {
    history
        .iter()
        .rev()
        .find(|call| call.is(operation))
        .map(|call| call.seq)
}

/// Queues (whose first read shows that the user exists), access, archive, deletion: each begins after the one before it was done.
fn order(history: &[Call]) -> Vec<String> {
    let mut broken = Vec::new();
    for operation in [
        "get_routing_profile",
        "get_scim_user",
        "put_scim_user",
        "query_conversations",
        "delete_user",
    ] {
        if first(history, operation).is_none() {
            broken.push(format!("no {operation}"));
        }
    }
    if !begins_with_existence(history) {
        broken.push(NOT_FIRST.to_owned());
    }

    let archived = last(history, "next_conversations").max(last(history, "query_conversations"));
    let first = |operation| (operation, first(history, operation));
    let last = |operation| (operation, last(history, operation));
    let pairs = [
        (first("get_routing_profile"), first("patch_routing_profile")),
        (last("patch_routing_profile"), first("put_scim_user")),
        (last("patch_queue"), first("put_scim_user")),
        (first("get_scim_user"), first("put_scim_user")),
        (last("put_scim_user"), first("query_conversations")),
        ((LAST_PAGE, archived), first("delete_user")),
    ];
    for ((before, earlier), (after, later)) in pairs {
        if let (Some(earlier), Some(later)) = (earlier, later)
            && earlier >= later
        {
            broken.push(format!("{after} came before {before}"));
        }
    }
    broken.extend(overlaps(history));
    broken
}

const NOT_FIRST: &str = "the first call is not whether the user exists";
const LAST_PAGE: &str = "the last conversations page";

fn begins_with_existence(history: &[Call]) -> bool {
    history
        .first()
        .is_some_and(|call| call.is("get_routing_profile"))
}

/// A history that overlaps with itself is that of two workers, or of two steps at once.
fn overlaps(history: &[Call]) -> Vec<String> {
    let mut by_start: Vec<&Call> = history
        .iter()
        .filter(|call| !call.path.contains("/routing/queues/"))
        .collect();
    by_start.sort_by(|one, other| one.started_at.cmp(&other.started_at));

    let overlap = |pair: &[&Call]| {
        (pair[1].started_at < pair[0].ended_at).then(|| {
            format!(
                "{} began while {} was under way",
                pair[1].operation, pair[0].operation
            )
        })
    };
    by_start.windows(2).filter_map(overlap).collect()
}

/// What holds though steps may come again: no archive is asked for before access was removed, and no
/// user is deleted before the last page was there.
fn order_in_chaos(history: &[Call], user: &User) -> Vec<String> {
    let accepted = |operations: &'static [&str]| {
        history
            .iter()
            .filter(|call| call.was_accepted() && operations.iter().any(|one| call.is(one)))
    };
    let mut broken = Vec::new();
    if !begins_with_existence(history) {
        broken.push(NOT_FIRST.to_owned());
    }
    let deactivated = accepted(&["put_scim_user"]).next();
    let archived = accepted(&["query_conversations", "next_conversations"]).nth(user.pages() - 1);
    for (earlier, done, later) in [
        ("put_scim_user", deactivated, "query_conversations"),
        (LAST_PAGE, archived, "delete_user"),
    ] {
        for call in history.iter().filter(|call| call.is(later)) {
            if done.is_none_or(|done| call.started_at < done.ended_at) {
                broken.push(format!("{later} came before {earlier}"));
            }
        }
    }

    broken
}

/// When each user's first DELETE came.
pub(crate) fn first_deletions(simulator: &str) -> BTreeMap<String, String> {
    let mut first = BTreeMap::new();
    for call in calls(simulator)
        .into_iter()
        .filter(|call| call.is("delete_user"))
    {
        let Call {
            user: Some(user),
            started_at,
            ..
        } = call
        else {
            continue;
        };
        let known = first.entry(user).or_insert_with(|| started_at.clone());
        if started_at < *known {
            *known = started_at;
        }
    }

    first
}

/// Every write was accepted once.
fn once(history: &[Call], repetition: Repetition) -> Vec<String> {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for call in history.iter().filter(|call| call.is_write()) {
        let counts = match repetition {
            Repetition::None => true,
            Repetition::AfterCrash | Repetition::Chaos => {
                call.is("delete_user") && call.was_accepted()
            }
        };
        if counts && !seen.insert((&call.operation, &call.path)) {
            broken.push(format!("{} {} was sent twice", call.operation, call.path));
        }
    }
    broken
}
