//! Reading spans that a collector got.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::list;

const KIND_CONSUMER: u64 = 5;
pub(super) const STATUS_ERROR: u64 = 2;

/// The trace that the publisher of a user's message began.
pub(super) fn trace_of(user: usize) -> String {
    format!("0af7651916cd43dd8448eb211c8031{user:02x}")
}

/// The span of that publisher.
pub(super) fn publisher_of(user: usize) -> String {
    format!("b7ad6b71692033{user:02x}")
}

/// The spans of one trace, the earliest first.
pub(super) fn of_trace<'a>(spans: &'a [Value], trace: &str) -> Vec<&'a Value> {
    let mut ours: Vec<&Value> = spans.iter().filter(|span| span["trace"] == trace).collect();
    ours.sort_by_key(|span| span["from"].as_u64());
    ours
}

/// The spans whose name begins like this.
pub(super) fn named<'a>(spans: &[&'a Value], name: &str) -> Vec<&'a Value> {
    let is_named = |span: &&&Value| span["name"].as_str().is_some_and(|of| of.starts_with(name));
    spans.iter().filter(is_named).copied().collect()
}

pub(super) fn names(spans: &[&Value]) -> BTreeSet<String> {
    let names = spans.iter().filter_map(|span| span["name"].as_str());
    names.map(str::to_owned).collect()
}

/// The IDs of the spans that a span is linked to.
pub(super) fn links(span: &Value) -> Vec<&str> {
    let links = list(&span["links"]).iter();
    links.filter_map(|link| link["id"].as_str()).collect()
}

/// Where each delivery came from, and how the run of it ended.
pub(super) fn endings(spans: &[&Value]) -> Vec<String> {
    let ending = |span: &&Value| {
        let at = |name: &str| span["attributes"][name].as_str().unwrap_or("none");
        format!(
            "{}: {}",
            at("messaging.destination.name"),
            at("offboarder.disposition")
        )
    };
    named(spans, "process ").iter().map(ending).collect()
}

/// Every span is below one that arrived, and each delivery is linked to the one that it replaces.
pub(super) fn assert_whole(spans: &[&Value], user: usize) {
    let ids: BTreeSet<&str> = spans
        .iter()
        .filter_map(|span| span["id"].as_str())
        .collect();
    for span in spans {
        let parent = span["parent"].as_str().expect("a parent");
        if span["kind"] == KIND_CONSUMER {
            assert_eq!(
                parent,
                publisher_of(user),
                "a delivery is below its publisher: {span:#}"
            );
        } else {
            assert!(ids.contains(parent), "below nothing that arrived: {span:#}");
        }
    }

    let deliveries = named(spans, "process ");
    assert!(links(deliveries[0]).is_empty(), "the first replaces none");
    for pair in deliveries.windows(2) {
        let before = pair[0]["id"].as_str().expect("an id");
        assert!(
            links(pair[1]).contains(&before),
            "not linked to {before}: {:#}",
            pair[1]
        );
    }
}
