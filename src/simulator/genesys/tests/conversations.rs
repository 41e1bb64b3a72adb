use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::super::faults::Fault;
use super::super::super::options::Options;
use super::super::super::population::Record;
use super::{Answer, NOBODY, Tenant, USER};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Midnight, three weeks ago.
fn begin(tenant: &Tenant) -> Timestamp {
    let seconds = tenant.world.epoch.as_second() - 21 * 86_400;
    Timestamp::from_second(seconds - seconds.rem_euclid(86_400)).unwrap()
}

fn days(tenant: &Tenant, count: i32) -> (Timestamp, Timestamp) {
    let from = begin(tenant);
    (from, from + DAY * count)
}

fn body(from: Timestamp, to: Timestamp, size: u64, number: u64) -> Value {
    json!({
        "interval": format!("{from:.3}/{to:.3}"), "order": "asc", "orderBy": "conversationStart",
        "segmentFilters": [{"type": "and", "predicates": [
            {"type": "dimension", "dimension": "userId", "operator": "matches", "value": USER},
        ]}],
        "paging": {"pageSize": size, "pageNumber": number},
    })
}

async fn query(tenant: &Tenant, body: Value) -> Answer {
    tenant
        .ask("POST", "analytics/conversations/details/query", Some(body))
        .await
}

/// The member of each conversation of an answer.
fn members(answer: &Answer, member: &str) -> Vec<Value> {
    match &answer.json()["conversations"] {
        Value::Array(rows) => rows.iter().map(|row| row[member].clone()).collect(),
        _ => Vec::new(),
    }
}

fn served(tenant: &Tenant, from: Timestamp, to: Timestamp) -> Vec<Value> {
    let body = tenant
        .world
        .api
        .conversations(&tenant.world, USER, from, to);
    serde_json::from_slice(&body.unwrap()).unwrap()
}

/// About 27 conversations a day.
fn busy() -> Tenant {
    Tenant::with(Record {
        conversations: Some(10_000),
        conversation_bytes: Some(10),
        ..Record::default()
    })
}

#[tokio::test]
async fn the_pages_of_a_window_hold_what_the_total_says() {
    let tenant = busy();
    let (from, to) = days(&tenant, 7);
    let first = query(&tenant, body(from, to, 100, 1)).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(tenant.last().operation, "query_conversations");
    assert_eq!(tenant.last().user_id.as_deref(), Some(USER));
    let second = query(&tenant, body(from, to, 100, 2)).await;
    let third = query(&tenant, body(from, to, 100, 3)).await;
    let total = first.json()["totalHits"].as_u64().unwrap();
    assert!((150..200).contains(&total), "{total}");

    let mut rows = members(&first, "conversationId");
    rows.extend(members(&second, "conversationId"));
    assert_eq!(rows.len() as u64, total);
    let distinct: BTreeSet<String> = rows.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), rows.len());
    assert_eq!(third.text, format!(r#"{{"totalHits":{total}}}"#));
    let ids: Vec<Value> = served(&tenant, from, to)
        .iter()
        .map(|row| row["conversationId"].clone())
        .collect();
    assert_eq!(rows, ids);
    let starts = members(&first, "conversationStart");
    assert!(
        starts
            .iter()
            .all(|start| start.as_str().unwrap().ends_with('Z'))
    );

    let mut newest = body(from, to, 100, 1);
    newest["order"] = json!("desc");
    rows.reverse();
    assert_eq!(
        members(&query(&tenant, newest).await, "conversationId"),
        rows[..100]
    );
}

#[tokio::test]
async fn an_interval_finds_the_days_that_it_touches() {
    let tenant = busy();
    let noon = begin(&tenant) + SignedDuration::from_hours(12);
    let day = query(&tenant, body(begin(&tenant), begin(&tenant) + DAY, 100, 1)).await;
    let hour = body(noon, noon + SignedDuration::from_hours(1), 100, 1);
    let touched = query(&tenant, hour.clone()).await;
    assert_eq!(day.text, touched.text);

    tenant.set("interval_matching", "active_within");
    let within = query(&tenant, hour).await;
    assert!((1..4).contains(&within.json()["totalHits"].as_u64().unwrap()));
}

#[tokio::test]
async fn windows_join_at_midnight_without_a_gap_or_a_repetition() {
    let tenant = busy();
    for matching in ["touched_days", "active_within", "last_day_too"] {
        tenant.set("interval_matching", matching);
        let from = begin(&tenant);
        let total = |answer: Answer| answer.json()["totalHits"].as_u64().unwrap();
        let mut sum = 0;
        for day in 0..7 {
            let morning = from + DAY * day;
            sum += total(query(&tenant, body(morning, morning + DAY, 1, 1)).await);
        }
        let week = total(query(&tenant, body(from, from + DAY * 7, 1, 1)).await);
        assert_eq!(sum == week, matching != "last_day_too");
    }
}

#[tokio::test]
async fn the_longest_interval_is_a_week_or_a_month() {
    let tenant = busy();
    let from = begin(&tenant) - DAY * 40;
    for (value, days) in [("7_days", 7), ("31_days", 31)] {
        tenant.set("longest_interval", value);
        assert_eq!(
            query(&tenant, body(from, from + DAY * days, 1, 1))
                .await
                .status,
            200
        );
        let to = from + DAY * days + SignedDuration::from_millis(1);
        let refused = query(&tenant, body(from, to, 1, 1)).await;
        assert_eq!(refused.code(), "bad.request");
        assert!(
            refused
                .text
                .contains(&format!("does not exceed {days} days"))
        );
    }
    let options = Options {
        max_interval: Some(Duration::from_hours(24)),
        ..Options::default()
    };
    let tenant = Tenant::new(options, Record::default());
    assert_eq!(
        query(&tenant, body(from, from + DAY * 2, 1, 1))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn pages_beyond_100000_results_are_refused() {
    let tenant = busy();
    let (from, to) = days(&tenant, 1);
    assert_eq!(query(&tenant, body(from, to, 100, 1000)).await.status, 200);
    let refused = query(&tenant, body(from, to, 100, 1001)).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .text
            .contains("Pagination may not exceed 100000 results")
    );
}

#[tokio::test]
async fn nobody_has_no_conversations_in_three_ways() {
    let tenant = busy();
    let mut nobody = body(begin(&tenant), begin(&tenant) + DAY, 10, 1);
    nobody["segmentFilters"][0]["predicates"][0]["value"] = json!(NOBODY);
    for (value, text) in [
        ("missing", r#"{"totalHits":0}"#),
        ("null", r#"{"conversations":null,"totalHits":0}"#),
        ("empty", r#"{"conversations":[],"totalHits":0}"#),
    ] {
        tenant.set("no_conversations", value);
        assert_eq!(query(&tenant, nobody.clone()).await.text, text);
    }
}

#[tokio::test]
async fn the_user_is_matched_in_every_role_or_in_some() {
    let tenant = busy();
    let (from, to) = days(&tenant, 7);
    let total = |answer: Answer| answer.json()["totalHits"].as_u64().unwrap();
    let every = total(query(&tenant, body(from, to, 1, 1)).await);
    tenant.set("matching_roles", "participants");
    let participants = total(query(&tenant, body(from, to, 1, 1)).await);
    tenant.set("matching_roles", "agent");
    let agent = total(query(&tenant, body(from, to, 1, 1)).await);
    assert!((every / 11..=every / 9).contains(&(every - participants)));
    assert!((every / 6..=every / 4).contains(&(participants - agent)));
    assert_eq!(served(&tenant, from, to).len() as u64, agent);
    for row in served(&tenant, from, to) {
        assert_eq!(row["participants"][1]["userId"], USER);
        assert!(row["participants"][1]["attributes"].is_null());
    }
}

#[tokio::test]
async fn a_deleted_users_conversations_are_found_or_not() {
    let tenant = busy();
    let window = body(begin(&tenant), begin(&tenant) + DAY, 10, 1);
    let before = query(&tenant, window.clone()).await.text;
    tenant.delete(&format!("users/{USER}")).await;
    assert_eq!(query(&tenant, window.clone()).await.text, before);
    tenant.set("deleted_users_conversations", "left_out");
    assert_eq!(query(&tenant, window).await.text, r#"{"totalHits":0}"#);
    assert!(!served(&tenant, begin(&tenant), begin(&tenant) + DAY).is_empty());
}

#[tokio::test]
async fn rows_appear_and_vanish_while_a_window_is_read() {
    let tenant = busy();
    let (from, to) = days(&tenant, 1);
    let before = query(&tenant, body(from, to, 10, 1)).await;
    let total = before.json()["totalHits"].as_u64().unwrap();

    tenant.strike("query_conversations", Fault::Drift { by: 2 });
    let second = query(&tenant, body(from, to, 10, 2)).await;
    assert_eq!(second.json()["totalHits"], total + 2);
    assert_eq!(tenant.last().fault, Some("drift"));
    assert_eq!(
        members(&before, "conversationId")[8..],
        members(&second, "conversationId")[..2]
    );

    tenant.strike("query_conversations", Fault::Drift { by: -3 });
    let third = query(&tenant, body(from, to, 10, 3)).await;
    assert_eq!(third.json()["totalHits"], total - 1);
    let again = query(&tenant, body(from, to, 10, 1)).await;
    assert_eq!(again.json()["totalHits"], total - 1);
    assert_eq!(served(&tenant, from, to).len() as u64, total - 1);
    assert_eq!(
        members(&again, "conversationId")[2],
        members(&before, "conversationId")[3]
    );
}

#[tokio::test]
async fn the_newest_conversation_may_last() {
    let tenant = Tenant::with(Record {
        open_conversation: true,
        conversations: Some(3),
        ..Record::default()
    });
    let rows = served(&tenant, Timestamp::MIN, Timestamp::MAX);
    assert_eq!(rows.len(), 3);
    assert!(rows[1]["conversationEnd"].is_string());
    assert!(rows[2]["conversationEnd"].is_null());
}

#[tokio::test]
async fn the_newest_conversation_may_come_late() {
    let tenant = Tenant::with(Record {
        conversations: Some(363),
        ..Record::default()
    });
    let all = served(&tenant, Timestamp::MIN, Timestamp::MAX);
    let start = all[362]["conversationStart"].as_str().unwrap();
    let start: Timestamp = start.parse().unwrap();
    let window = body(start, start + DAY, 10, 1);
    let total = async || query(&tenant, window.clone()).await.json()["totalHits"].clone();
    assert_eq!(total().await, 1);
    for late in ["2s", "10m"] {
        tenant.set("conversations_late", late);
        assert_eq!(total().await, 0);
    }
    tenant.deactivate(7).await;
    assert_eq!(total().await, 0);
    assert_eq!(served(&tenant, Timestamp::MIN, Timestamp::MAX).len(), 363);

    // Deactivated by others, long ago.
    tenant.world.put_user(Record {
        id: USER.to_owned(),
        conversations: Some(363),
        inactive: true,
        ..Record::default()
    });
    assert_eq!(total().await, 1);
}

#[tokio::test]
async fn wrong_queries_are_refused() {
    let tenant = busy();
    let (from, to) = days(&tenant, 1);
    let right = body(from, to, 10, 1);
    let changed = |pointer: &str, value: Value| {
        let mut wrong = right.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        wrong
    };
    let seconds = |time: Timestamp| time.to_string().trim_end_matches('Z').to_owned();
    let with_more = {
        let mut wrong = right.clone();
        wrong["limit"] = json!(1);
        wrong
    };
    let without_paging = {
        let mut wrong = right.clone();
        wrong.as_object_mut().unwrap().remove("paging");
        wrong
    };
    for wrong in [
        changed("/interval", json!(format!("{to}/{from}"))),
        changed("/interval", json!(format!("{from}/{from}"))),
        changed(
            "/interval",
            json!(format!("{}/{}", seconds(from), seconds(to))),
        ),
        changed(
            "/interval",
            json!(format!("{0}+00:00/{0}+00:00", seconds(from))),
        ),
        changed("/interval", json!(from.to_string())),
        changed("/order", json!("up")),
        changed("/orderBy", json!("end")),
        changed("/paging/pageSize", json!(0)),
        changed("/paging/pageSize", json!(101)),
        changed("/paging/pageNumber", json!(0)),
        changed("/segmentFilters", json!([])),
        changed("/segmentFilters/0/type", json!("not")),
        changed("/segmentFilters/0/predicates", json!([])),
        changed("/segmentFilters/0/predicates/0/dimension", json!("queueId")),
        changed("/segmentFilters/0/predicates/0/operator", json!("exists")),
        changed("/segmentFilters/0/predicates/0/type", json!("metric")),
        changed("/segmentFilters/0/predicates/0/value", json!("someone")),
        with_more,
        without_paging,
    ] {
        let answer = query(&tenant, wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}");
        answer.code();
    }
}
