//! What a console reads: the overview, and the users of a batch page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::unavailable::put_behind_proxy;
use super::{OPERATOR, READER, ask, await_end, code, get, post, signed, with_tokens};
use crate::dead_letters::fail_calls;
use crate::support::http::exchange;
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, list, status, trial};

const OVERVIEW: &str = "/api/v1/overview";

trial!(
    "the overview is one document, and keeps what was known when Redis is away",
    one_document
);

fn one_document(place: usize) {
    let mut world = with_tokens(World::with_topology(place, deletable(place, 4, 4)));
    world.set("OFFBOARDER_ADMIN_NAME", "production");
    let redis = put_behind_proxy(&mut world, "OFFBOARDER_CHECKPOINTS_URL");
    fail_calls(&world, 0, "get_routing_profile", &status(400));
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    publish(&world);
    world.await_dead_letters(1);
    await_end(&world, &world.users[1].id);
    post(&admin, "/api/v1/pause", &signed(json!({})));
    post(&admin, "/api/v1/resume", &signed(json!({})));

    let known = eventually(PATIENCE, || {
        let overview = get(&admin, OVERVIEW);
        let hour = &overview["lastHour"]["known"];
        let batches = &overview["batches"]["known"]["batches"];
        let is_there = hour["finished"] == 1
            && hour["accessRemoved"] == 2
            && batches[0]["batchId"] == "b-2"
            && overview["deadLetterGroups"]["known"]["letters"] == 1
            && list(&overview["auditLog"]["known"]).len() == 2;
        if is_there {
            Ok(overview)
        } else {
            Err(overview.to_string())
        }
    });
    assert_known(&known);
    assert_not_modified(&admin);

    drop(redis);
    let away = eventually(PATIENCE, || {
        let overview = get(&admin, OVERVIEW);
        let is_away = !overview["access"]["unknown"].is_null();
        if is_away {
            Ok(overview)
        } else {
            Err(overview.to_string())
        }
    });
    for part in ["access", "batches", "lastHour"] {
        let part = &away[part];
        let why = part["unknown"]["code"].as_str().expect("why");
        assert!(
            ["checkpoints_unreachable", "timeout"].contains(&why),
            "{part}"
        );
        assert!(part["asOf"].as_str() < away["asOf"].as_str(), "{part}");
    }
    assert_eq!(away["access"]["known"]["users"], 1, "as it was");
    assert_eq!(away["auditLog"]["unknown"], Value::Null, "{away}");
    assert_eq!(away["deadLetterGroups"]["known"]["letters"], 1, "{away}");
    let kinds: Vec<_> = list(&away["fleet"]["notices"])
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert!(kinds.contains(&&json!("workers_unknown")), "{away}");
    World::drain(worker);
}

/// A dead letter, a user who is deleted, and one who waits.
fn publish(world: &World) {
    let message = |user: usize, batch: &str, after: Option<&str>| {
        let body = json!({ "userId": world.users[user].id, "batchId": batch });
        let mut body = body;
        if let Some(after) = after {
            body["deleteAfter"] = json!(after);
        }
        json!({ "body": body.to_string() })
    };
    world.publish(&[
        message(0, "b-1", None),
        message(1, "b-1", None),
        message(2, "b-2", Some("2999-01-01T00:00:00Z")),
    ]);
}

fn assert_known(overview: &Value) {
    assert_eq!(overview["environment"], "production");
    assert_eq!(overview["access"]["known"]["users"], 1, "{overview}");
    let groups = &overview["deadLetterGroups"]["known"];
    for (name, count) in [
        ("groups", 1),
        ("open", 1),
        ("withAccess", 1),
        ("cameBack", 0),
    ] {
        assert_eq!(groups[name], count, "{name}: {overview}");
    }
    assert_eq!(groups["accessConfirmed"], true, "{overview}");
    // The dead letter of b-1 wants a person, and no worker.
    let batches = list(&overview["batches"]["known"]["batches"]);
    assert_eq!(batches.len(), 1, "{overview}");
    assert_eq!(batches[0]["left"], 1, "{overview}");
    assert_eq!(batches[0]["state"], "under-way", "{overview}");
    let quotas = list(&overview["lastHour"]["known"]["quotas"]);
    let used: u64 = quotas
        .iter()
        .filter_map(|quota| quota["used"].as_u64())
        .sum();
    assert!(quotas.len() == 3 && used > 5, "{overview}");
    assert_eq!(overview["auditLog"]["known"][0]["what"], "resume");
    for part in [
        "access",
        "deadLetterGroups",
        "batches",
        "lastHour",
        "auditLog",
    ] {
        assert_eq!(overview[part]["unknown"], Value::Null, "{part}: {overview}");
        assert!(overview[part]["asOf"].is_string(), "{part}: {overview}");
    }
}

/// The same document again, within the time for which readers share one.
fn assert_not_modified(admin: &str) {
    eventually(PATIENCE, || {
        let first = ask(READER, "GET", admin, OVERVIEW, None);
        let tag = first.header("etag").expect("a tag");
        let bearer = format!("Bearer {OPERATOR}");
        let headers = [("Authorization", bearer.as_str()), ("If-None-Match", &tag)];
        let second = exchange("GET", admin, OVERVIEW, &headers, b"");
        match second.status {
            304 if second.text().is_empty() => Ok(()),
            _ => Err(second.text()),
        }
    });
    let wrong = [
        ("Authorization", &*format!("Bearer {OPERATOR}")),
        ("If-None-Match", "\"x\""),
    ];
    exchange("GET", admin, OVERVIEW, &wrong, b"").expect(200);
}

trial!(
    "the users of a batch come once each by cursor, though users move and join in the middle",
    once_each
);

const USERS: usize = 300;

fn once_each(place: usize) {
    let world = with_tokens(World::with_topology(place, deletable(place, USERS + 20, 1)));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    submit(&world, &ids[..USERS]);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(
            &admin,
            &format!("/api/v1/batches/b-1/users?limit=37{cursor}"),
        );
        let users = list(&page["users"]);
        assert!(users.len() <= 37);
        seen.extend(
            users
                .iter()
                .map(|user| user["userId"].as_str().expect("an ID").to_owned()),
        );
        if seen.len() == 111 {
            submit(&world, &ids[USERS..]);
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let once: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    assert_eq!(once.len(), seen.len(), "each comes once");
    assert!(
        ids[..USERS].iter().all(|id| once.contains(id)),
        "all of them come"
    );

    assert_filters(&admin, ids[7]);
    assert_csv(&admin, &ids);
    assert_batches(&admin);
    World::drain(worker);
}

fn submit(world: &World, ids: &[&str]) {
    let file = world.write("users.txt", &ids.join("\n"));
    world
        .run(&["submit", "--file", &file, "--batch-id", "b-1"])
        .expect(0);
}

fn assert_filters(admin: &str, id: &str) {
    let users = |query: &str| {
        let page = get(admin, &format!("/api/v1/batches/b-1/users?{query}"));
        list(&page["users"]).clone()
    };
    let one = users(&format!("q={}", id.to_uppercase()));
    assert_eq!((one.len(), &one[0]["userId"]), (1, &json!(id)));
    assert!(users("q=ffffffff").is_empty());
    assert!(users("why=protected_user").is_empty());
    eventually(PATIENCE, || {
        let deleted = users("state=Deleted&limit=1000");
        let right = deleted.iter().all(|user| user["state"] == "Deleted");
        if right && deleted.len() > 5 {
            Ok(())
        } else {
            Err(format!("{}", deleted.len()))
        }
    });

    let path = "/api/v1/batches/b-1/users?cursor=a_1_x";
    let foreign = ask(OPERATOR, "GET", admin, path, None);
    assert_eq!(code(&foreign, 409), "foreign_cursor");
    let none = ask(OPERATOR, "GET", admin, "/api/v1/batches/b-2/users", None);
    assert_eq!(code(&none, 404), "no_such_batch");
}

fn assert_csv(admin: &str, ids: &[&str]) {
    let report = ask(READER, "GET", admin, "/api/v1/batches/b-1/report.csv", None);
    assert_eq!(report.status, 200);
    let kind = report.header("content-type").expect("a type");
    assert!(kind.starts_with("text/csv"), "{kind}");
    let text = report.text();
    let mut lines = text.lines();
    assert!(
        lines
            .next()
            .expect("a header")
            .starts_with("userId,result,")
    );
    let rows: BTreeSet<&str> = lines.filter_map(|line| line.split(',').next()).collect();
    assert_eq!(rows, ids.iter().copied().collect());
    assert_eq!(text.lines().count(), ids.len() + 1);
    let none = ask(READER, "GET", admin, "/api/v1/batches/b-2/report.csv", None);
    assert_eq!(code(&none, 404), "no_such_batch");
}

fn assert_batches(admin: &str) {
    let batches = |query: &str| {
        let page = get(admin, &format!("/api/v1/batches?{query}"));
        list(&page["batches"]).len()
    };
    assert_eq!(
        (batches("state=under-way"), batches("state=finished")),
        (1, 0)
    );
    assert_eq!((batches("q=b-"), batches("q=c")), (1, 0));

    let series = get(admin, "/api/v1/batches/b-1/series?since=10m");
    let finished = |series: &Value| -> u64 {
        let minutes = list(&series["minutes"]).iter();
        minutes
            .filter_map(|minute| minute["finished"].as_u64())
            .sum()
    };
    assert!(finished(&series) > 5, "{series}");
    eventually(PATIENCE, || {
        let series = get(admin, "/api/v1/series?since=10m");
        if finished(&series) > 5 {
            Ok(())
        } else {
            Err(series.to_string())
        }
    });
    let shown = get(admin, "/api/v1/batches/b-1");
    let access = &shown["accessRemoved"];
    let histogram = list(&access["histogram"]).iter();
    let sum: u64 = histogram.filter_map(|range| range["users"].as_u64()).sum();
    assert_eq!(Some(sum), access["users"].as_u64(), "{access}");
}
