//! Completed contacts, page by page.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ACD, AGENT, USER, tenant};
use crate::simulator::testing::Tenant;

const YEAR: &str = "startDate=2020-01-01T00:00:00Z&endDate=2099-01-01T00:00:00Z";

fn uri(rest: &str) -> String {
    format!("{ACD}/contacts/completed?agentId={AGENT}&{rest}")
}

fn ids(page: &Value) -> Vec<u64> {
    let rows = page["completedContacts"].as_array().unwrap();
    rows.iter()
        .map(|row| row["contactId"].as_u64().unwrap())
        .collect()
}

fn exactly(tenant: &Tenant, from: Timestamp, to: Timestamp) -> Vec<u8> {
    let world = &tenant.world;
    world.api.conversations(world, USER, from, to).unwrap()
}

fn everything(tenant: &Tenant) -> Vec<u8> {
    exactly(tenant, Timestamp::MIN, Timestamp::MAX)
}

/// The rows of all pages, joined as an array.
async fn joined(tenant: &Tenant, rest: &str, top: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut skip = 0;
    loop {
        let uri = uri(&format!(
            "{rest}&orderBy=contactStartDate%20asc&skip={skip}&top={top}"
        ));
        let answer = tenant.get(&uri).await;
        if answer.status == 204 {
            break;
        }
        let page = answer.json();
        let text = String::from_utf8(answer.body).unwrap();
        let rows = text.split_once(r#""completedContacts":["#).unwrap().1;
        all.push(rows.strip_suffix("]}").unwrap().to_owned());
        skip += ids(&page).len();
        if skip as u64 == page["totalRecords"] {
            break;
        }
    }
    format!("[{}]", all.join(",")).into_bytes()
}

#[tokio::test]
async fn the_pages_are_byte_for_byte_what_the_control_call_gives() {
    let tenant = tenant(&[]).await;
    let pages = joined(&tenant, YEAR, 7).await;
    assert_eq!(pages, everything(&tenant));
    let rows: Vec<Value> = serde_json::from_slice(&pages).unwrap();
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row["agentId"] == AGENT));
    assert_eq!(rows[0]["masterContactId"], rows[1]["masterContactId"]);
    assert_ne!(rows[1]["masterContactId"], rows[2]["masterContactId"]);
    let first = &rows[0]["contactStartDate"].as_str().unwrap()[10..];
    assert_eq!(first, "T00:00:00.000Z");
}

#[tokio::test]
async fn an_end_is_inclusive_and_a_millisecond_before_is_not() {
    let tenant = tenant(&[]).await;
    let rows: Vec<Value> = serde_json::from_slice(&everything(&tenant)).unwrap();
    let start = |index: usize| rows[index]["contactStartDate"].as_str().unwrap().to_owned();
    let from: Timestamp = start(3).parse().unwrap();
    let to: Timestamp = start(6).parse().unwrap();
    let before = to - jiff::SignedDuration::from_millis(1);

    let window = |end: Timestamp| uri(&format!("startDate={from}&endDate={end}"));
    let inclusive = tenant.get(&window(to)).await.json();
    assert_eq!(inclusive["totalRecords"], 4);
    let exclusive = tenant.get(&window(before)).await.json();
    assert_eq!(exclusive["totalRecords"], 3);
    let range = format!("startDate={from}&endDate={before}");
    assert_eq!(joined(&tenant, &range, 2).await, exactly(&tenant, from, to));
}

#[tokio::test]
async fn without_an_order_the_rows_come_in_another_and_a_link_is_absolute() {
    let tenant = tenant(&[]).await;
    let plain = tenant.get(&uri(&format!("{YEAR}&top=3"))).await.json();
    let ordered = format!("{YEAR}&top=3&orderBy=contactStartDate+asc");
    let ordered = tenant.get(&uri(&ordered)).await.json();
    assert!(ids(&ordered).is_sorted());
    assert!(ids(&plain).iter().rev().is_sorted());
    let next = ordered["_links"]["next"].as_str().unwrap();
    assert!(next.starts_with("http://127.0.0.1:8098/"), "{next}");
    assert!(next.ends_with("&skip=3&top=3"), "{next}");

    let calls = tenant.get(&uri(&format!("{YEAR}&mediaTypeId=4"))).await;
    assert_eq!(calls.json()["totalRecords"], 10);
}

#[tokio::test]
async fn a_drift_changes_total_and_rows_from_that_call_on() {
    let tenant = tenant(&[]).await;
    tenant.strike(json!({
        "operation": "list_completed_contacts", "user": USER, "skip": 1, "times": 1,
        "fault": { "kind": "drift", "by": 1 },
    }));
    let page = |skip: u64| {
        uri(&format!(
            "{YEAR}&orderBy=contactStartDate+asc&skip={skip}&top=10"
        ))
    };
    let first = tenant.get(&page(0)).await.json();
    let second = tenant.get(&page(10)).await.json();
    assert_eq!(first["totalRecords"], 40);
    assert_eq!(second["totalRecords"], 41);
    assert_eq!(ids(&second)[0], ids(&first)[9], "a row is shown twice");
    assert_eq!(
        tenant.world.api.user_now(USER).unwrap()["conversations"],
        41
    );

    tenant.strike(json!({
        "operation": "*", "times": 1, "fault": { "kind": "drift", "by": -2 },
    }));
    let third = tenant.get(&page(20)).await.json();
    assert_eq!(third["totalRecords"], 39);
    let again = joined(&tenant, YEAR, 10).await;
    assert_eq!(again, everything(&tenant));
}

#[tokio::test]
async fn a_link_can_lead_astray_and_a_page_can_be_empty() {
    let tenant = tenant(&[]).await;
    for fault in [
        json!({ "kind": "next_page", "uri": "http://evil.example/" }),
        json!({ "kind": "empty_page" }),
    ] {
        tenant.strike(json!({ "operation": "*", "times": 1, "fault": fault }));
    }
    let astray = tenant.get(&uri(&format!("{YEAR}&top=5"))).await.json();
    assert_eq!(astray["_links"]["next"], "http://evil.example/");
    let empty = tenant.get(&uri(&format!("{YEAR}&top=5"))).await.json();
    assert_eq!(empty["totalRecords"], 40);
    assert_eq!(empty["completedContacts"], json!([]));
}
